"""Building blocks of heads that hold K models at once: every parameter has a leading axis K.

Models of all folds and seeds differ only in their numbers, so one pass over the frames trains them
all. Model k draws its initial weights and its dropout from a generator of its own, and so is the
same whichever models stand beside it, given the same batches.

Letters: K stacked models, B utterances, D dimension, O outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn

from embedcache.errors import UsageError

# Of a variance whose logarithm is taken: a thousandth of that of all training frames.
_LEAST_VARIANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Stack:
    """What tells the K models of a stack apart.

    Attributes:
        generators: [K], what each draws its initial weights and its dropout from.
        dropout: [K], share of hidden values that each drops while training.
    """

    generators: Sequence[torch.Generator]
    dropout: Sequence[float]

    def __post_init__(self) -> None:
        for share in self.dropout:
            if not 0 <= share < 1:
                raise UsageError(f"--set dropout={share}: give a share from 0 to below 1")

    def __len__(self) -> int:
        return len(self.generators)

    def at(self, rows: Sequence[int]) -> Stack:
        """Some of the models."""
        return Stack([self.generators[k] for k in rows], [self.dropout[k] for k in rows])


class StackedLinear(nn.Module):
    """K affine maps, initialised as `nn.Linear` is.

    Shape:
        Input: [K, ..., D]. Output: [K, ..., O].
    """

    def __init__(self, inputs: int, outputs: int, stack: Stack, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / sqrt(inputs)
        self.weight = uniform((inputs, outputs), bound, stack)
        self.bias = uniform((1, outputs), bound, stack) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map each model's rows by its own weights."""
        rows = x.flatten(1, -2)
        if self.bias is None:
            mapped = torch.bmm(rows, self.weight)
        else:
            mapped = torch.baddbmm(self.bias, rows, self.weight)
        return mapped.view(*x.shape[:-1], -1)


class StackedDropout(nn.Module):
    """Dropout whose share and mask are each model's own.

    Shape:
        Input and output: [K, B, D].
    """

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share p of each model's values while training, and scale others by 1 / (1 - p)."""
        if not self.training or not any(self.stack.dropout):
            return x
        factors = [
            (torch.rand(x.shape[1:], generator=generator, device=x.device) >= p) / (1 - p)
            for generator, p in zip(self.stack.generators, self.stack.dropout, strict=True)
        ]
        return x * torch.stack(factors)


class Standardise(nn.Module):
    """Each model's view of the frames: standardised per dimension, and layers weighed and summed.

    sum_l w_l (h_l - mean_l) / deviation_l with w = softmax of a learned score per layer, as in
    SUPERB (Yang et al. 2021, arXiv 2105.01051); with one layer there is nothing to weigh.

    A weighted mean of frames commutes with it as the weights sum to one, so it is applied after
    pooling, to one vector instead of hundreds of frames; queries that are given the inverse
    treatment score the frames as if they had been standardised and summed.

    Shape:
        Input: [K, B, ..., L D], the layers side by side. Output: [K, B, ..., D].

    Attributes:
        dim: D.
        hidden: [B, D], dimensions that training hides: they have each model's mean, which is zero.
    """

    mean: Tensor
    deviation: Tensor
    hidden: Tensor | None = None

    def __init__(self, mean: Tensor, deviation: Tensor, layers: int = 1) -> None:
        """Take moments of training frames.

        Args:
            mean: [K, L D].
            deviation: [K, L D].
            layers: L.
        """
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())
        self.layers = layers
        self.dim = mean.shape[1] // layers
        self.layer_scores: nn.Parameter | None = None
        if layers > 1:
            self.layer_scores = nn.Parameter(torch.zeros(len(mean), layers, device=mean.device))

    def forward(self, x: Tensor) -> Tensor:
        """Standardise and sum up."""
        shape = (len(self.mean), *[1] * (x.dim() - 2), -1)
        scale = 1 / self.deviation
        # (x - mean) / deviation in one pass over what may be millions of values
        seen = torch.addcmul((-self.mean * scale).view(shape), x, scale.view(shape))
        if self.layer_scores is not None:
            weights = self.layer_weights().view(len(self.mean), *[1] * (x.dim() - 2), -1, 1)
            split = seen.view(*seen.shape[:-1], self.layers, self.dim)
            seen = (split * weights).sum(dim=-2)
        return self._without_hidden(seen)

    def log_deviations(self, variances: Tensor) -> Tensor:
        """Variances of frames as logarithms of the deviations of what is seen, of one layer.

        0 is the deviation of all training frames, which a hidden dimension is given; below
        ln(0.001) / 2 it does not fall, however still a dimension is.

        Shape:
            variances: [K, B, ..., D]. Output: the same.
        """
        shape = (len(self.mean), *[1] * (variances.dim() - 2), -1)
        ratios = (variances / self.deviation.square().view(shape)).clamp_min(0.0)
        logs = 0.5 * (ratios + _LEAST_VARIANCE).log()
        return self._without_hidden(logs)

    def _without_hidden(self, seen: Tensor) -> Tensor:
        if self.hidden is None:
            return seen
        batch, dim = self.hidden.shape
        return seen.masked_fill(self.hidden.view(batch, *[1] * (seen.dim() - 3), dim), 0.0)

    def queries(self, queries: Tensor) -> Tensor:
        """Queries of what is seen as queries of the frames, but for a constant.

        q . sum_l w_l (h_l - m_l) / d_l = sum_l (w_l q / d_l) . h_l + constant, and softmax over
        frames drops constants.

        Shape:
            queries: [K, ..., D]. Output: [K, ..., L D].
        """
        shape = (len(self.mean), *[1] * (queries.dim() - 2), self.layers, self.dim)
        spread = queries[..., None, :] / self.deviation.view(shape)
        if self.layer_scores is not None:
            weights = self.layer_weights().view(*shape[:-2], self.layers, 1)
            spread = spread * weights
        return spread.flatten(-2)

    def layer_weights(self) -> Tensor:
        """How much each layer weighs: [K, L], one in all."""
        if self.layer_scores is None:
            return torch.ones(len(self.mean), 1, device=self.mean.device)
        return self.layer_scores.softmax(dim=-1)


class StackedPerceptron(nn.Module):
    """Hidden layers with ReLU and dropout, then the classes' logits.

    Shape:
        Input: [K, B, D]. Output: [K, B, C].
    """

    def __init__(self, sizes: Sequence[int], stack: Stack) -> None:
        super().__init__()
        layers: list[nn.Module] = [StackedLinear(sizes[0], sizes[1], stack)]
        for inputs, outputs in pairwise(sizes[1:]):
            layers += [nn.ReLU(), StackedDropout(stack), StackedLinear(inputs, outputs, stack)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each model."""
        logits: Tensor = self.layers(x)
        return logits


def uniform(shape: tuple[int, ...], bound: float, stack: Stack) -> nn.Parameter:
    """A parameter [K, *shape] from U(-bound, bound), each model's from its own generator."""
    drawn = [
        torch.rand(shape, generator=generator, device=generator.device)
        for generator in stack.generators
    ]
    return nn.Parameter((torch.stack(drawn) * 2 - 1) * bound)


def attention_weights(frames: Tensor, mask: Tensor, queries: Tensor) -> Tensor:
    """Softmax over time of each query's product with the frames; padding has no weight.

    Computed in the frames' dtype: one matrix product for all queries of all models.

    Shape:
        frames: [B, T, D], mask: [B, T], queries: [Q, D]. Output: [B, Q, T].
    """
    scores = (frames @ queries.to(frames.dtype).T).transpose(1, 2)
    return scores.masked_fill_(~mask[:, None], float("-inf")).softmax(dim=-1)


def even_weights(mask: Tensor) -> Tensor:
    """The same weight for every frame, one in all; padding has none: [B, T]."""
    return mask / mask.sum(dim=1, keepdim=True)


def pool(weights: Tensor, frames: Tensor) -> Tensor:
    """Weighted means of the frames, in float32.

    Shape:
        weights: [B, Q, T], frames: [B, T, D]. Output: [B, Q, D].
    """
    return torch.bmm(weights, frames).float()


def keep_models(head: nn.Module, rows: Sequence[int]) -> None:
    """Leave only some models in a stack; parameters are new ones."""
    index = torch.tensor(rows)
    for module in head.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(parameter.detach()[index.to(parameter.device)]))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer[index.to(buffer.device)])
        if isinstance(module, StackedDropout):
            module.stack = module.stack.at(rows)


def run_some(
    head: nn.Module, state: Mapping[str, Tensor], rows: slice, frames: Tensor, mask: Tensor
) -> Tensor:
    """Logits of neighbouring models of a stack, without the others' work: [K', B, C].

    Args:
        head: Its own weights are not used.
        state: Weights and buffers of the stack, as `state_dict` has them.
        rows: Which of the models.
        frames: [B, T, D].
        mask: [B, T].
    """
    own = {name: tensor[rows] for name, tensor in state.items()}
    logits: Tensor = torch.func.functional_call(head, own, (frames, mask))
    return logits
