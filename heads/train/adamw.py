"""AdamW for stacked models: each has its own learning rate, weight decay and clipping.

I. Loshchilov, F. Hutter (2019), Decoupled Weight Decay Regularization, arXiv 1711.05101.

Letters: K models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heads.train.settings import TrainConfig

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8  # as torch has them


class StackedAdamW:
    """Updates a head's parameters, every one of which has a leading axis K.

    It works element by element, so models do not touch each other.
    """

    def __init__(self, head: nn.Module, configs: Sequence[TrainConfig]) -> None:
        self._head = head
        device = next(head.parameters()).device
        self._lr = torch.tensor([config.lr for config in configs], device=device)
        self._decay = torch.tensor([config.weight_decay for config in configs], device=device)
        self._clip = torch.tensor([config.clip for config in configs], device=device)
        self._step = 0
        self._means = [torch.zeros_like(p) for p in head.parameters()]
        self._squares = [torch.zeros_like(p) for p in head.parameters()]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some of the models, after the head was left with these."""
        index = torch.tensor(rows, device=self._lr.device)
        self._lr, self._decay, self._clip = self._lr[index], self._decay[index], self._clip[index]
        self._means = [tensor[index] for tensor in self._means]
        self._squares = [tensor[index] for tensor in self._squares]

    @torch.no_grad()
    def step(self) -> None:
        """Clip the gradients, and follow them."""
        self._step += 1
        parameters = list(self._head.parameters())
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        clip_each(gradients, self._clip)
        torch._foreach_lerp_(self._means, gradients, 1 - _BETA1)
        torch._foreach_mul_(self._squares, _BETA2)
        torch._foreach_addcmul_(self._squares, gradients, gradients, 1 - _BETA2)
        mean_bias, square_bias = 1 - _BETA1**self._step, 1 - _BETA2**self._step
        for parameter, mean, square in zip(parameters, self._means, self._squares, strict=True):
            shape = (-1, *[1] * (parameter.dim() - 1))
            rate = self._lr.view(shape)
            parameter.mul_(1 - rate * self._decay.view(shape))
            size = (square / square_bias).sqrt_().add_(_EPS)
            parameter.sub_(mean / size * (rate / mean_bias))
            parameter.grad = None


def clip_each(gradients: Sequence[Tensor], limits: Tensor) -> None:
    """Scale each model's gradient to its largest norm, in place.

    Args:
        gradients: [K, ...] each.
        limits: [K].
    """
    squares = [g.flatten(1).square().sum(dim=1) for g in gradients]
    norms = torch.stack(squares).sum(dim=0).sqrt()  # [K]
    scale = (limits / norms.clamp_min(1e-12)).clamp_max(1.0)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)))
