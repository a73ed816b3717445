"""Building blocks of heads that hold K models at once: every parameter has a leading axis K.

Models of all folds and seeds differ only in their numbers, so one pass over the frames trains them
all. Model k draws its initial weights and its dropout from a generator of its own, and so is the
same whichever models stand beside it, given the same batches.

Letters: K stacked models, B utterances, D dimension, O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn

from embedcache.errors import UsageError

Generators = Sequence[torch.Generator]


class StackedLinear(nn.Module):
    """K affine maps, initialised as `nn.Linear` is.

    Shape:
        Input: [K, B, D]. Output: [K, B, O].
    """

    def __init__(self, inputs: int, outputs: int, generators: Generators) -> None:
        super().__init__()
        bound = 1 / sqrt(inputs)
        self.weight = uniform((inputs, outputs), bound, generators)
        self.bias = uniform((1, outputs), bound, generators)

    def forward(self, x: Tensor) -> Tensor:
        """Map each model's rows by its own weights."""
        return torch.baddbmm(self.bias, x, self.weight)


class StackedDropout(nn.Module):
    """Dropout whose mask for model k comes from generator k.

    Shape:
        Input and output: [K, B, D].
    """

    def __init__(self, p: float, generators: Generators) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise UsageError(f"dropout {p}: give a share from 0 to below 1")
        self.p = p
        self.generators = generators

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share p of the values while training, and scale the others by 1 / (1 - p)."""
        if not self.training or self.p == 0:
            return x
        kept = [
            torch.rand(x.shape[1:], generator=generator, device=x.device) >= self.p
            for generator in self.generators
        ]
        return x * torch.stack(kept) / (1 - self.p)


class Standardise(nn.Module):
    """Subtract each model's mean and divide by its standard deviation, per dimension.

    A weighted mean of frames commutes with it as the weights sum to one, so it is applied after
    pooling, to one vector instead of hundreds of frames; a query that is divided by the deviation
    scores the frames as if they had been standardised.

    Shape:
        Input and output: [K, B, ..., D].

    Attributes:
        hidden: [B, D], dimensions that training hides: they have each model's mean, which is zero.
    """

    mean: Tensor
    deviation: Tensor
    hidden: Tensor | None = None

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Standardise x."""
        shape = (len(self.mean), *[1] * (x.dim() - 2), -1)
        standardised = (x - self.mean.view(shape)) / self.deviation.view(shape)
        if self.hidden is None:
            return standardised
        batch, dim = self.hidden.shape
        return standardised.masked_fill(self.hidden.view(batch, *[1] * (x.dim() - 3), dim), 0.0)


class StackedPerceptron(nn.Module):
    """Hidden layers with ReLU and dropout, then the classes' logits.

    Shape:
        Input: [K, B, D]. Output: [K, B, C].
    """

    def __init__(self, sizes: Sequence[int], dropout: float, generators: Generators) -> None:
        super().__init__()
        layers: list[nn.Module] = [StackedLinear(sizes[0], sizes[1], generators)]
        for inputs, outputs in pairwise(sizes[1:]):
            layers += [nn.ReLU(), StackedDropout(dropout, generators)]
            layers.append(StackedLinear(inputs, outputs, generators))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each model."""
        logits: Tensor = self.layers(x)
        return logits


def uniform(shape: tuple[int, ...], bound: float, generators: Generators) -> nn.Parameter:
    """A parameter [K, *shape] from U(-bound, bound), each model's from its own generator."""
    drawn = [
        torch.rand(shape, generator=generator, device=generator.device) for generator in generators
    ]
    return nn.Parameter((torch.stack(drawn) * 2 - 1) * bound)


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over time that gives padding no weight.

    Shape:
        scores: [B, Q, T] for any Q, mask: [B, T]. Output: [B, Q, T].
    """
    return scores.masked_fill(~mask[:, None], float("-inf")).softmax(dim=-1)
