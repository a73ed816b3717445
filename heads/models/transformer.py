"""Transformer encoder over the frames, then a learned query's pooling, or their mean.

Blocks are those of A. Vaswani et al. (2017), Attention Is All You Need, arXiv 1706.03762, with the
norm before each part and one at the end: R. Xiong et al. (2020), On Layer Normalization in the
Transformer Architecture, arXiv 2002.04745.

Letters: K models, B utterances, T frames, D dimension, S frames of a window, W width, H attention
heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from torch import Tensor, nn

from embedcache.errors import UsageError
from heads.sequences import (
    ClipDropout,
    StackedNorm,
    check_sizes,
    frames_precision,
    full_precision,
    query_weights,
    sinusoids,
    spread,
    subsample,
    weighted_mean,
)
from heads.stacked import (
    Stack,
    StackedLinear,
    StackedPerceptron,
    Standardise,
    even_weights,
    uniform,
)

# Every model makes frames of its own, so that a stack of them saves nothing.
STACKS = False
# An epoch took half of the time in bfloat16, on a CPU that multiplies it.
DEEP = True
# Frames and dimensions are hidden, for millions of weights learn a thousand clips by heart.
TRAINING = {"lr": 1e-3, "epochs": 50, "patience": 10, "mask_time": 0.2, "mask_features": 0.2}
POOLING = ("query", "mean")


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        blocks: Of the encoder.
        heads: Attention heads (H) per block.
        width: Of the encoder (W).
        feedforward: Width of each block's hidden layer.
        subsample: Frames (S) that are averaged before the encoder.
        pooling: `query`: weights from a learned query; `mean`: of all frames.
        hidden: Widths of the hidden layers after pooling.
        dropout: Share of hidden values that is dropped while training.
    """

    blocks: int = 4
    heads: int = 8
    width: int = 256
    feedforward: int = 512
    subsample: int = 16
    pooling: str = "query"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.3

    def __post_init__(self) -> None:
        check_sizes(
            "transformer",
            blocks=self.blocks,
            heads=self.heads,
            width=self.width,
            feedforward=self.feedforward,
            subsample=self.subsample,
        )
        if self.width % self.heads or self.width % 2:
            raise UsageError(
                f"transformer: width {self.width} must be even, and a multiple of heads "
                f"{self.heads}"
            )
        if self.pooling not in POOLING:
            raise UsageError(
                f"transformer: --set pooling={self.pooling}: give {' or '.join(POOLING)}"
            )


class Head(nn.Module):
    """K models: [B, T, D] -> [K, B, T / S, W] -> pooled [K, B, W] -> [K, B, C]."""

    def __init__(
        self,
        config: Config,
        dim: int,
        classes: int,
        standardise: Standardise,
        stack: Stack,
    ) -> None:
        super().__init__()
        self.subsample = config.subsample
        self.standardise = standardise
        self.project = StackedLinear(dim, config.width, stack)
        self.dropout = ClipDropout(stack)
        self.blocks = nn.ModuleList(_Block(config, stack) for _ in range(config.blocks))
        self.norm = StackedNorm(config.width, stack)
        self.query: nn.Parameter | None = None
        if config.pooling == "query":
            self.query = uniform((config.width,), 1 / sqrt(config.width), stack)
        self.classifier = StackedPerceptron((config.width, *config.hidden, classes), stack)

    def encode(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder makes of windows of frames, [K, B, T / S, W], and their mask."""
        means, shown = subsample(frames, mask, self.subsample)
        seen = self.standardise(means.expand(len(self.standardise.mean), -1, -1, -1))
        with frames_precision(frames):
            x = self.project(seen).float()
            x = self.dropout(x + sinusoids(shown.shape[1], x.shape[-1], x.device))
            for block in self.blocks:
                x = block(x, shown)
        return self.norm(x), shown

    def frame_weights(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Weights of the frames in pooling [B, K, T]; frames of a window have the same."""
        weights = self._weights(*self.encode(frames, mask))
        return spread(weights, mask, self.subsample).transpose(0, 1)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        encoded, shown = self.encode(frames, mask)
        logits: Tensor = self.classifier(weighted_mean(self._weights(encoded, shown), encoded))
        return logits

    def _weights(self, encoded: Tensor, shown: Tensor) -> Tensor:
        """Of each window: [K, B, T / S]."""
        if self.query is None:
            return even_weights(shown).expand(len(encoded), -1, -1)
        return query_weights(encoded, shown, self.query)


class _Block(nn.Module):
    """x + attention(norm(x)), then x + perceptron(norm(x)): [K, B, T, W] to the same."""

    def __init__(self, config: Config, stack: Stack) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_norm = StackedNorm(width, stack)
        # A bias of the keys would add the same to all scores of a query, and do nothing.
        self.project = StackedLinear(width, 3 * width, stack, bias=False)
        self.output = StackedLinear(width, width, stack)
        self.perceptron_norm = StackedNorm(width, stack)
        self.widen = StackedLinear(width, config.feedforward, stack)
        self.narrow = StackedLinear(config.feedforward, width, stack)
        self.dropout = ClipDropout(stack)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attend to the frames of mask [B, T], then take each by itself."""
        x = x + self.dropout(self.output(self._attend(self.attention_norm(x), mask)))
        widened = nn.functional.gelu(self.widen(self.perceptron_norm(x)))
        x = x + self.dropout(self.narrow(widened))
        return x

    def _attend(self, x: Tensor, mask: Tensor) -> Tensor:
        models, batch, time, width = x.shape
        projected: Tensor = self.project(x).float()
        split = projected.view(models * batch, time, 3, self.heads, width // self.heads)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # [K B, H, T, W / H]
        shown = mask.repeat(models, 1)[:, None, None]
        with full_precision(x):  # on a CPU, attention in bfloat16 was slower
            attended = nn.functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=shown
            )
        return attended.transpose(1, 2).reshape(x.shape)
