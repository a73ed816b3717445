"""Convolutions over time, a bidirectional GRU, then pooling by attention, mean or maximum.

Letters: K models, B utterances, T frames, D dimension, S frames of a window, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from embedcache.errors import UsageError
from heads.sequences import (
    ClipDropout,
    StackedNorm,
    check_sizes,
    frames_precision,
    query_weights,
    spread,
    subsample,
    weighted_mean,
    windows,
)
from heads.stacked import Stack, StackedPerceptron, Standardise, even_weights, uniform

# Every model makes frames of its own, so that a stack of them saves nothing.
STACKS = False
# Frames and dimensions are hidden, for so many weights learn a thousand clips by heart.
TRAINING = {"lr": 1e-3, "epochs": 50, "patience": 10, "mask_time": 0.2, "mask_features": 0.2}
POOLING = ("attention", "mean", "max")


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        subsample: Frames that are averaged before the first convolution.
        channels: Width of each convolution.
        kernel: Frames that a convolution sees, an odd number.
        stride: Frames by which a convolution moves on.
        rnn: Width of the GRU, in each direction.
        pooling: `attention`: weights from a learned query; `mean`; `max` of each value.
        hidden: Widths of the hidden layers after pooling.
        dropout: Share of hidden values that is dropped while training.
    """

    subsample: int = 4
    channels: tuple[int, ...] = (128, 128)
    kernel: int = 5
    stride: int = 2
    rnn: int = 128
    pooling: str = "attention"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.3

    def __post_init__(self) -> None:
        check_sizes(
            "cnn-rnn",
            subsample=self.subsample,
            kernel=self.kernel,
            stride=self.stride,
            rnn=self.rnn,
        )
        if not self.kernel % 2:
            raise UsageError(f"cnn-rnn: --set kernel={self.kernel}: give an odd number")
        if self.pooling not in POOLING:
            raise UsageError(f"cnn-rnn: --set pooling={self.pooling}: give {', '.join(POOLING)}")


class Head(nn.Module):
    """K models: [B, T, D] -> [K, B, T / S, 2 W] -> pooled [K, B, 2 W] -> [K, B, C].

    S is `subsample`, times `stride` for each convolution.
    """

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
        widths = (dim, *config.channels)
        self.convolutions = nn.ModuleList(
            _Convolution(inputs, outputs, config, stack)
            for inputs, outputs in zip(widths, config.channels, strict=False)
        )
        self.rnn = _GRU(widths[-1], config.rnn, stack)
        self.dropout = ClipDropout(stack)
        self.query: nn.Parameter | None = None
        if config.pooling == "attention":
            self.query = uniform((2 * config.rnn,), 1 / sqrt(2 * config.rnn), stack)
        self.classifier = StackedPerceptron((2 * config.rnn, *config.hidden, classes), stack)

    def encode(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What is pooled, [K, B, T / S, 2 W], and the mask of its windows."""
        means, shown = subsample(frames, mask, self.config.subsample)
        x = self.standardise(means.expand(len(self.standardise.mean), -1, -1, -1))
        with frames_precision(frames):
            for convolution in self.convolutions:
                x, shown = convolution(x, shown)
        return self.dropout(self.rnn(x.float(), shown)), shown

    def frame_weights(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Weights of the frames in pooling [B, K, T]; frames of a window have the same.

        With `pooling=max` a window's weight is the share of values that are largest in it.
        """
        encoded, shown = self.encode(frames, mask)
        if self.config.pooling == "max":
            largest = encoded.masked_fill(~shown[:, :, None], float("-inf")).argmax(dim=2)
            counts = encoded.new_zeros(encoded.shape[:3])
            weights = counts.scatter_add(2, largest, torch.ones_like(encoded[:, :, 0]))
            weights = weights / encoded.shape[-1]
        else:
            weights = self._weights(encoded, shown)
        size = self.config.subsample * self.config.stride ** len(self.convolutions)
        return spread(weights, mask, size).transpose(0, 1)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        encoded, shown = self.encode(frames, mask)
        if self.config.pooling == "max":
            pooled = encoded.masked_fill(~shown[:, :, None], float("-inf")).amax(dim=2)
        else:
            pooled = weighted_mean(self._weights(encoded, shown), encoded)
        logits: Tensor = self.classifier(pooled)
        return logits

    def _weights(self, encoded: Tensor, shown: Tensor) -> Tensor:
        """Of each window: [K, B, T / S]."""
        if self.query is None:
            return even_weights(shown).expand(len(encoded), -1, -1)
        return query_weights(encoded, shown, self.query)


class _Convolution(nn.Module):
    """K convolutions over time, each with a norm over its channels, ReLU and dropout.

    What is no frame is zero, as beyond the ends.

    Shape:
        Input: [K, B, T, D] and mask [B, T]. Output: [K, B, T / stride, W] and their mask.
    """

    def __init__(self, inputs: int, outputs: int, config: Config, stack: Stack) -> None:
        super().__init__()
        bound = 1 / sqrt(inputs * config.kernel)
        self.stride, self.padding = config.stride, config.kernel // 2
        self.weight = uniform((outputs, inputs, config.kernel), bound, stack)
        self.bias = uniform((outputs,), bound, stack)
        self.norm = StackedNorm(outputs, stack)
        self.dropout = ClipDropout(stack)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve."""
        shown = x.masked_fill(~mask[:, :, None], 0.0).transpose(2, 3)
        if shown.shape[-1] < self.stride:
            # torch 2.11 on a CPU never fills in the weights' gradient of a convolution in bfloat16
            # whose stride is longer than its input. Zeros behind it change nothing: they are beyond
            # the end as well.
            shown = nn.functional.pad(shown, (0, self.stride - shown.shape[-1]))
        convolved = torch.stack(
            [
                nn.functional.conv1d(one, weight, bias, self.stride, self.padding)
                for one, weight, bias in zip(shown, self.weight, self.bias, strict=True)
            ]
        )
        x = self.dropout(self.norm(convolved.transpose(2, 3)).relu())
        return x, windows(mask, self.stride).any(dim=-1)


class _GRU(nn.Module):
    """K bidirectional GRUs, initialised as `nn.GRU` is, that pass over what is no frame.

    Shape:
        Input: [K, B, T, D] and mask [B, T]. Output: [K, B, T, 2 W].
    """

    def __init__(self, inputs: int, width: int, stack: Stack) -> None:
        super().__init__()
        bound = 1 / sqrt(width)
        self.width = width
        for direction in ("forward", "backward"):
            for name, shape in {
                "input": (3 * width, inputs),
                "state": (3 * width, width),
                "input_bias": (3 * width,),
                "state_bias": (3 * width,),
            }.items():
                self.register_parameter(f"{direction}_{name}", uniform(shape, bound, stack))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Run each model's own, from zero."""
        # Frames to the front, in their order; those that are none behind them.
        order = (~mask).long().argsort(dim=1, stable=True)
        back = order.argsort(dim=1)
        lengths = mask.sum(dim=1).cpu()
        outputs = []
        for k, one in enumerate(x):
            front = one.gather(1, order[:, :, None].expand_as(one))
            packed = pack_padded_sequence(front, lengths, batch_first=True, enforce_sorted=False)
            start = x.new_zeros(2, len(lengths), self.width)
            found, _ = torch.gru(
                packed.data, packed.batch_sizes, start,
                [parameter[k] for parameter in self.parameters()],
                True, 1, 0.0, self.training, True,
            )  # fmt: skip
            repacked = PackedSequence(
                found, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices
            )
            padded, _ = pad_packed_sequence(repacked, batch_first=True, total_length=mask.shape[1])
            outputs.append(padded.gather(1, back[:, :, None].expand_as(padded)))
        return torch.stack(outputs)
