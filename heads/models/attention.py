"""Attention pooling: a learned weight for each frame, then a multi-layer perceptron.

The pooled vector is sum_t alpha_t h_t with alpha = softmax(w . h_t), and with it the deviation
around it by the same weights: one query, no projections.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from torch import Tensor, nn

from heads.pooling import pool_seen, takes_deviations
from heads.stacked import Stack, StackedPerceptron, Standardise, attention_weights, uniform

TRAINING = {"weight_decay": 1.0}


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        pooling: `mean`; `mean-std`, mean and deviation; or `auto`, which is `mean-std` of one layer
            and `mean` of several.
        hidden: Widths of the hidden layers after pooling.
        dropout: Share of hidden values that is dropped while training.
    """

    pooling: str = "auto"
    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        takes_deviations(self.pooling, "attention", layers=1)


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
        self.standardise = standardise
        self.deviations = takes_deviations(config.pooling, "attention", standardise.layers)
        self.query = uniform((dim,), 1 / sqrt(dim), stack)
        pooled = (1 + self.deviations) * dim
        self.classifier = StackedPerceptron((pooled, *config.hidden, classes), stack)

    def frame_weights(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Weights of the frames [B, K, T]; they sum to one over time."""
        return attention_weights(frames, mask, self.standardise.queries(self.query))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        pooled = pool_seen(self.frame_weights, frames, mask, self.standardise, self.deviations)
        logits: Tensor = self.classifier(pooled[:, :, 0])
        return logits
