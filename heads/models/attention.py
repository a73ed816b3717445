"""Attention pooling: a learned weight for each frame, then a multi-layer perceptron.

The pooled vector is sum_t alpha_t h_t with alpha = softmax(w . h_t): one query, no projections.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from torch import Tensor, nn

from heads.stacked import Stack, StackedPerceptron, Standardise, attention_weights, pool, uniform


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        hidden: Widths of the hidden layers after pooling.
        dropout: Share of hidden values that is dropped while training.
    """

    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.3


class Head(nn.Module):
    """K stacked models: [B, T, D] -> pooled [K, B, D] -> [K, B, C]."""

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
        self.query = uniform((dim,), 1 / sqrt(dim), stack)
        self.classifier = StackedPerceptron((dim, *config.hidden, classes), stack)

    def frame_weights(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Weights of the frames [B, K, T]; they sum to one over time."""
        return attention_weights(frames, mask, self.standardise.queries(self.query))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        pooled = pool(self.frame_weights(frames, mask), frames)  # [B, K, D]
        logits: Tensor = self.classifier(self.standardise(pooled.transpose(0, 1)))
        return logits
