"""Attention pooling: a learned weight for each frame, then a multi-layer perceptron.

The pooled vector is sum_t alpha_t h_t with alpha = softmax(w . h_t): one query, no projections.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn

from heads.stacked import Generators, StackedPerceptron, Standardise, masked_softmax, uniform


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
        generators: Generators,
    ) -> None:
        super().__init__()
        self.standardise = standardise
        self.query = uniform((dim,), 1 / sqrt(dim), generators)
        self.classifier = StackedPerceptron(
            (dim, *config.hidden, classes), config.dropout, generators
        )

    def frame_weights(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Weights of the frames [B, K, T]; they sum to one over time."""
        # w . (h - mean) / deviation = (w / deviation) . h + constant, and softmax drops constants.
        queries = self.query / self.standardise.deviation  # [K, D]
        return masked_softmax((frames @ queries.T).transpose(1, 2), mask)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        pooled = torch.bmm(self.frame_weights(frames, mask), frames)  # [B, K, D]
        logits: Tensor = self.classifier(self.standardise(pooled.transpose(0, 1)))
        return logits
