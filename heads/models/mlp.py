"""Mean of the frames, or more of their statistics, then a multi-layer perceptron."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from embedcache.encoders import ColumnRoles
from embedcache.errors import UsageError
from heads.functionals import Functionals, mean_frame
from heads.models import Frames, Reduction
from heads.stacked import Stack, StackedPerceptron, Standardise, even_weights, pool

POOLING = ("mean", "mean-std", "functionals")


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        pooling: `mean` of the frames; `mean-std`, mean and standard deviation; or `functionals`,
            see `heads.functionals`.
        hidden: Widths of the hidden layers.
        dropout: Share of hidden values that is dropped while training.
    """

    pooling: str = "mean"
    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if self.pooling not in POOLING:
            raise UsageError(f"--set pooling={self.pooling}: give {', '.join(POOLING)}")


def reducer(config: Config, roles: ColumnRoles) -> Reduction:
    """What is made of an utterance's frames once, before training: [T, D] to [1, D']."""
    if config.pooling == "functionals":
        return Functionals(roles)
    return mean_frame if config.pooling == "mean" else _mean_and_deviation


def _mean_and_deviation(frames: Frames) -> Frames:
    moments = frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64)
    return np.concatenate(moments)[None].astype(np.float32)


class Head(nn.Module):
    """K stacked models: [B, T, D] -> mean [B, D] -> [K, B, C]."""

    def __init__(
        self,
        config: Config,
        dim: int,
        classes: int,
        standardise: Standardise,
        stack: Stack,
    ) -> None:
        super().__init__()
        if standardise.layers > 1 and config.pooling != "mean":
            raise UsageError(
                f"--layer weighted weighs means of layers: mlp with --set pooling={config.pooling} "
                "takes one layer, or --layer best"
            )
        self.standardise = standardise
        self.classifier = StackedPerceptron((dim, *config.hidden, classes), stack)

    def frame_weights(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Weights of the frames [B, K, T]: all have the same, in a mean as in a deviation."""
        return even_weights(mask)[:, None].expand(-1, len(self.standardise.mean), -1)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        mean = pool(even_weights(mask)[:, None], frames.float()).transpose(0, 1)  # [1, B, D]
        models = len(self.standardise.mean)
        logits: Tensor = self.classifier(self.standardise(mean.expand(models, -1, -1)))
        return logits
