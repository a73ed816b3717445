"""Mean of the frames, then a multi-layer perceptron."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from heads.stacked import Generators, StackedPerceptron, Standardise


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        hidden: Widths of the hidden layers.
        dropout: Share of hidden values that is dropped while training.
    """

    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.3


def reduce(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean over time, [T, D] to [1, D]: the mean of one frame is that frame."""
    mean: npt.NDArray[np.float32] = frames.mean(axis=0, keepdims=True, dtype=np.float32)
    return mean


class Head(nn.Module):
    """K stacked models: [B, T, D] -> mean [B, D] -> [K, B, C]."""

    def __init__(
        self,
        config: Config,
        dim: int,
        classes: int,
        standardise: Standardise,
        generators: Generators,
    ) -> None:
        super().__init__()
        self.standardise = standardise
        self.classifier = StackedPerceptron(
            (dim, *config.hidden, classes), config.dropout, generators
        )

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        weight = mask[:, :, None].to(frames.dtype)
        mean = (frames * weight).sum(dim=1) / weight.sum(dim=1)
        models = len(self.standardise.mean)
        logits: Tensor = self.classifier(self.standardise(mean.expand(models, -1, -1)))
        return logits
