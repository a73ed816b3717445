"""Mean of the frames, or mean and deviation, then a multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from embedcache.errors import UsageError
from heads.stacked import Stack, StackedPerceptron, Standardise

Frames = npt.NDArray[np.float32]

POOLING = ("mean", "mean-std")


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        pooling: `mean` of the frames, or `mean-std`: mean and standard deviation.
        hidden: Widths of the hidden layers.
        dropout: Share of hidden values that is dropped while training.
    """

    pooling: str = "mean"
    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if self.pooling not in POOLING:
            raise UsageError(f"--set pooling={self.pooling}: give {' or '.join(POOLING)}")


def reducer(config: Config) -> Callable[[Frames], Frames]:
    """What is made of an utterance's frames once, before training: [T, D] to [1, D']."""
    return _mean if config.pooling == "mean" else _mean_and_deviation


def _mean(frames: Frames) -> Frames:
    mean: Frames = frames.mean(axis=0, keepdims=True, dtype=np.float32)
    return mean


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

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        mean = (frames.float() * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        models = len(self.standardise.mean)
        logits: Tensor = self.classifier(self.standardise(mean.expand(models, -1, -1)))
        return logits
