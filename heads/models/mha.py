"""Multi-head attention pooling with learned queries, then a multi-layer perceptron.

A head's score of a frame is q . (W_k h_t) / sqrt(d) = (W_k^T q / sqrt(d)) . h_t, so the learned
query can stand in the frames' own space and no frame is projected; and sum_t alpha_t (W_v h_t) =
W_v (sum_t alpha_t h_t), so values are projected after pooling. It is the function of
`nn.MultiheadAttention` (Vaswani et al. 2017, arXiv 1706.03762) for the same query, at a fraction of
the work. Where it also takes deviations, each head has that of the frames by its own weights, and
values are projected from both.

Letters: K models, B utterances, T frames, D dimension, Q queries, H attention heads, V value width.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn

from embedcache.errors import UsageError
from heads.pooling import pool_seen, takes_deviations
from heads.stacked import (
    Stack,
    StackedLinear,
    StackedPerceptron,
    Standardise,
    attention_weights,
    uniform,
)

TRAINING = {"weight_decay": 1.0}


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        heads: Attention heads (H) per query.
        queries: Learned queries (Q).
        pooling: `mean`, which is `nn.MultiheadAttention`; `mean-std`, mean and deviation; or
            `auto`, which is `mean-std` of one layer and `mean` of several.
        width: Width of the values of all heads together, and of the output projection.
        hidden: Widths of the hidden layers after pooling.
        dropout: Share of hidden values that is dropped while training.
    """

    heads: int = 4
    queries: int = 1
    pooling: str = "auto"
    width: int = 128
    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        takes_deviations(self.pooling, "mha", layers=1)
        if self.heads < 1 or self.queries < 1 or self.width < 1 or self.width % self.heads:
            raise UsageError(
                f"mha: width {self.width} must be a multiple of heads {self.heads}, "
                f"and queries {self.queries} be 1 or more"
            )


class Head(nn.Module):
    """K stacked models: [B, T, D] -> pooled [K, B, Q, H, 2 D] -> [K, B, Q * width] -> [K, B, C]."""

    def __init__(
        self,
        config: Config,
        dim: int,
        classes: int,
        standardise: Standardise,
        stack: Stack,
    ) -> None:
        super().__init__()
        self.config = config
        self.standardise = standardise
        self.deviations = takes_deviations(config.pooling, "mha", standardise.layers)
        pooled = (1 + self.deviations) * dim
        bound = 1 / sqrt(dim)
        self.query = uniform((config.queries, config.heads, dim), bound, stack)
        size = config.width // config.heads
        self.value = uniform((config.heads, pooled, size), 1 / sqrt(pooled), stack)
        self.value_bias = uniform((config.width,), bound, stack)
        self.output = StackedLinear(config.width, config.width, stack)
        self.classifier = StackedPerceptron(
            (config.queries * config.width, *config.hidden, classes), stack
        )

    def frame_weights(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Weights of the frames [B, K * Q * H, T]; they sum to one over time."""
        queries = self.standardise.queries(self.query).flatten(0, 2)  # [K Q H, D]
        return attention_weights(frames, mask, queries)

    def attend(self, frames: Tensor, mask: Tensor) -> Tensor:
        """What multi-head attention gives for each learned query: [K, B, Q, width]."""
        models, queries, heads, _ = self.query.shape
        pooled = pool_seen(self.frame_weights, frames, mask, self.standardise, self.deviations)
        pooled = pooled.view(models, -1, queries, heads, pooled.shape[-1])  # [K, B, Q, H, 2 D]
        values = torch.einsum("kbqhd,khdv->kbqhv", pooled, self.value).flatten(3)
        values = values + self.value_bias[:, None, None]
        output: Tensor = self.output(values.flatten(1, 2))
        return output.view(models, -1, queries, self.config.width)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        logits: Tensor = self.classifier(self.attend(frames, mask).flatten(2))
        return logits
