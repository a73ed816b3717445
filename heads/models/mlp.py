"""Mean of the frames, or more of their statistics, then a multi-layer perceptron."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from embedcache.encoders import ColumnRoles
from embedcache.errors import UsageError
from heads.functionals import Functionals, mean_frame
from heads.models import Frames, Reduction
from heads.pooling import pool_seen, takes_deviations
from heads.stacked import Stack, StackedPerceptron, Standardise, even_weights

POOLING = ("auto", "mean", "mean-std", "functionals")
TRAINING = {"weight_decay": 1.0}


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        pooling: `mean` of the frames; `mean-std`, mean and standard deviation; `auto`, which is
            `mean-std` of one layer and `mean` of several; or `functionals`, those of
            `heads.functionals`.
        hidden: Widths of the hidden layers.
        dropout: Share of hidden values that is dropped while training.
    """

    pooling: str = "auto"
    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if self.pooling not in POOLING:
            raise UsageError(f"--set pooling={self.pooling}: give {', '.join(POOLING)}")


def reducer(config: Config, roles: ColumnRoles) -> Reduction:
    """What is made of an utterance's frames once, before training: [T, D] to [T', D']."""
    if config.pooling == "functionals":
        return Functionals(roles)
    return mean_frame if config.pooling == "mean" else _two_frames


def _two_frames(frames: Frames) -> Frames:
    """Two frames with the mean and the deviation of all: mean - deviation, mean + deviation."""
    mean, deviation = frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64)
    return np.stack([mean - deviation, mean + deviation]).astype(np.float32)


class Head(nn.Module):
    """K stacked models: [B, T, D] -> pooled [K, B, 2 D] -> [K, B, C]."""

    def __init__(
        self,
        config: Config,
        dim: int,
        classes: int,
        standardise: Standardise,
        stack: Stack,
    ) -> None:
        super().__init__()
        pooling = config.pooling
        if pooling == "functionals":
            if standardise.layers > 1:
                raise UsageError(
                    "--layer weighted weighs means of layers: mlp with --set pooling=functionals "
                    "takes one layer, or --layer best"
                )
            pooling = "mean"  # they are a single frame
        self.deviations = takes_deviations(pooling, "mlp", standardise.layers)
        self.standardise = standardise
        pooled = (1 + self.deviations) * dim
        self.classifier = StackedPerceptron((pooled, *config.hidden, classes), stack)

    def frame_weights(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Weights of the frames [B, K, T]: all have the same, in a mean as in a deviation."""
        return even_weights(mask)[:, None].expand(-1, len(self.standardise.mean), -1)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        pooled = pool_seen(
            self.frame_weights, frames.float(), mask, self.standardise, self.deviations
        )
        logits: Tensor = self.classifier(pooled[:, :, 0])
        return logits
