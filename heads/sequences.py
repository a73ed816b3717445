"""Building blocks of heads that look at frames in their order, before anything is pooled.

Padding and hidden frames never show: what they hold is dropped at once, attention gives them no
weight, convolutions see zeros, and recurrent layers pass over them.

Letters: K stacked models, B utterances, T frames, D dimension, S frames of a window, W width.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from math import log

import torch
from torch import Tensor, nn

from embedcache.errors import UsageError
from heads.stacked import Stack, StackedDropout


def check_sizes(head: str, **sizes: int) -> None:
    """See that sizes are 1 or more.

    Raises:
        UsageError: One is not.
    """
    for name, size in sizes.items():
        if size < 1:
            raise UsageError(f"{head}: --set {name}={size}: give 1 or more")


def frames_precision(frames: Tensor) -> AbstractContextManager[object]:
    """Matrix products and convolutions in bfloat16 where frames are in it, all else in float32."""
    half = frames.dtype == torch.bfloat16
    return torch.autocast(frames.device.type, torch.bfloat16, enabled=half)


def full_precision(frames: Tensor) -> AbstractContextManager[object]:
    """All of it in float32, inside `frames_precision`."""
    return torch.autocast(frames.device.type, enabled=False)


def subsample(frames: Tensor, mask: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Means over windows of frames; a window without any frame is none.

    The windows begin with the first frame, so padding does not move them. A mean commutes with
    `Standardise`, which has that much less to do afterwards.

    Args:
        frames: [B, T, D].
        mask: [B, T].
        size: Frames of a window (S).

    Returns:
        The means [B, T / S, D] in float32, zero where there is none, and their mask [B, T / S].
    """
    split = windows(mask, size)
    counts = split.sum(dim=-1, keepdim=True)
    shown = frames.float().masked_fill(~mask[:, :, None], 0.0)
    if size > 1:
        missing = -frames.shape[1] % size
        shown = nn.functional.pad(shown, (0, 0, 0, missing))
        shown = shown.view(len(frames), -1, size, frames.shape[-1]).sum(dim=2)
    return shown / counts.clamp_min(1), counts[..., 0] > 0


def windows(mask: Tensor, size: int) -> Tensor:
    """A mask [B, T] by windows [B, T / S, S]; the last is filled up with what is no frame."""
    missing = -mask.shape[1] % size
    return nn.functional.pad(mask, (0, missing)).view(len(mask), -1, size)


def spread(weights: Tensor, mask: Tensor, size: int) -> Tensor:
    """Weights of windows as weights of frames: each window's weight evenly among its frames.

    Args:
        weights: [..., B, T / S].
        mask: [B, T].
        size: Frames of a window (S).

    Shape:
        Output: [..., B, T].
    """
    split = windows(mask, size)
    each = weights / split.sum(dim=-1).clamp_min(1)
    return (each[..., None] * split).flatten(-2)[..., : mask.shape[1]]


def query_weights(x: Tensor, mask: Tensor, query: Tensor) -> Tensor:
    """Softmax over time of each model's query with what the model itself made of the frames.

    Shape:
        x: [K, B, T, W], mask: [B, T], query: [K, W]. Output: [K, B, T].
    """
    scores = torch.einsum("kbtw,kw->kbt", x, query)
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


def weighted_mean(weights: Tensor, x: Tensor) -> Tensor:
    """Pool over time.

    Shape:
        weights: [K, B, T], x: [K, B, T, W]. Output: [K, B, W].
    """
    return torch.einsum("kbt,kbtw->kbw", weights, x)


def sinusoids(length: int, width: int, device: torch.device) -> Tensor:
    """Positions as sines and cosines of wavelengths from 2 pi to 10,000 times 2 pi: [T, W].

    A. Vaswani et al. (2017), Attention Is All You Need, NeurIPS, arXiv 1706.03762.
    """
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-log(10_000) / width))
    angles = torch.arange(length, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class StackedNorm(nn.Module):
    """K layer norms over the last axis.

    Shape:
        Input and output: [K, ..., W].
    """

    def __init__(self, width: int, stack: Stack) -> None:
        super().__init__()
        device = stack.generators[0].device
        self.weight = nn.Parameter(torch.ones(len(stack), width, device=device))
        self.bias = nn.Parameter(torch.zeros(len(stack), width, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, then scale and shift by each model's own."""
        shape = (len(self.weight), *[1] * (x.dim() - 2), -1)
        normed = nn.functional.layer_norm(x.float(), x.shape[-1:])
        return normed * self.weight.view(shape) + self.bias.view(shape)


class ClipDropout(nn.Module):
    """Dropout of the same values in all frames of a clip, so that its length does not show.

    Y. Gal, Z. Ghahramani (2016), A Theoretically Grounded Application of Dropout in Recurrent
    Neural Networks, NeurIPS, arXiv 1512.05287.

    Shape:
        Input and output: [K, B, T, W].
    """

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.dropout = StackedDropout(stack)

    def forward(self, x: Tensor) -> Tensor:
        """Drop while training."""
        if not self.training:
            return x
        factors: Tensor = self.dropout(torch.ones_like(x[:, :, :1]))
        return x * factors
