"""Frames as 8-bit integers: 256 levels from the lowest to the highest value of a row's channel.

    q     = round((x - low) · 255 / (high - low)) - 128
    value = low + (q + 128) · (high - low) / 255

Uniform affine quantisation (Gray and Neuhoff, "Quantization", IEEE Trans. Information Theory 44,
1998), whose range is taken over the frames of one row at one layer: a row does not depend on what
else is stored. The two extremes are kept rather than a scale and an offset, because they come back
exactly so; scale and offset follow from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

DTYPE = "int8"
LIMIT_BYTES = 8
"""Of the two extremes of a channel in a row."""

_STEPS = 255
_LOWEST = -128

Levels = npt.NDArray[np.int8]
Limits = npt.NDArray[np.float32]


def quantise(frames: npt.NDArray[np.float32]) -> tuple[Levels, Limits]:
    """Frames as levels, and the lowest and highest value of each channel.

    What `dequantise` gives back differs by at most half a step, (high - low) / 510, and half of
    float32's spacing there. The extremes come back exactly, and so does a channel that does not
    vary. Larger values never get lower levels. A negative zero counts as zero. Frames that were
    quantised before get the same levels and limits again.

    Args:
        frames: Finite, one at least.

    Shape:
        `[*, T, D] -> [*, T, D], [*, 2, D]`

    >>> levels, limits = quantise(np.array([[0, 5], [0.4, 5], [1, 5]], np.float32))
    >>> levels.tolist(), limits.tolist()
    ([[-128, -128], [-26, -128], [127, -128]], [[0.0, 5.0], [1.0, 5.0]])
    """
    # Which of two zeros is the least follows from the order of comparisons: there is but one here.
    low = frames.min(axis=-2, keepdims=True) + np.float32(0)
    high = frames.max(axis=-2, keepdims=True) + np.float32(0)
    # In float64 no difference overflows, and none of two float32 values is lost.
    span = np.subtract(high, low, dtype=np.float64)
    levels = np.subtract(frames, low, dtype=np.float64)
    levels *= np.divide(_STEPS, span, out=np.zeros_like(span), where=span > 0)
    np.rint(levels, out=levels)
    levels += _LOWEST
    return levels.astype(np.int8), np.concatenate([low, high], axis=-2)


def dequantise(levels: Levels, limits: Limits) -> npt.NDArray[np.float32]:
    """Values of levels; the inverse of `quantise`, up to half a step.

    Shape:
        `[*, T, D], [*, 2, D] -> [*, T, D]`

    >>> dequantise(np.array([[-128], [-26], [127]], np.int8), np.array([[0], [1]], np.float32))
    array([[0. ],
           [0.4],
           [1. ]], dtype=float32)
    """
    low, high = limits[..., :1, :], limits[..., 1:, :]
    values = levels.astype(np.float64)
    values -= _LOWEST
    values *= np.subtract(high, low, dtype=np.float64) / _STEPS
    values += low
    frames = values.astype(np.float32)
    # The sum above may miss a highest value that is tiny beside the lowest.
    np.copyto(frames, high, where=levels == _LOWEST + _STEPS)
    return frames


@dataclass(frozen=True, slots=True)
class QuantisedFrames:
    """Quantised frames, which take the place of an array: numpy asks for values when it needs them.

    Attributes:
        levels: [*, T, D].
        limits: [*, 2, D], the lowest and the highest value of each channel.
    """

    levels: Levels
    limits: Limits

    @classmethod
    def of(cls, frames: npt.NDArray[np.float32]) -> QuantisedFrames:
        """Quantise frames: finite, [*, T, D]."""
        return cls(*quantise(frames))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the frames."""
        return self.levels.shape

    def __len__(self) -> int:
        return len(self.levels)

    def __iter__(self) -> Iterator[QuantisedFrames]:
        return map(QuantisedFrames, self.levels, self.limits)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """The values, worked out anew each time."""
        if copy is False:
            raise ValueError("quantised frames have no values without a copy")
        return dequantise(self.levels, self.limits).astype(dtype or np.float32, copy=False)
