"""Resampling by a windowed sinc: `torchaudio.functional.resample` with its defaults, at any ratio.

torchaudio multiplies with one kernel per output phase, each as long as the input period. For rates
with a large common divisor that is fast; for 44,101 to 16,000 Hz it would be 16,000 kernels of
44,000 values, nearly all of them zero. There the same sum is taken over its non-zero part alone.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Samples = npt.NDArray[np.float32]

ZERO_CROSSINGS = 6  # torchaudio's lowpass_filter_width
ROLLOFF = 0.99
_MAX_KERNEL = 1 << 20
_CHUNK = 1 << 15


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resample a clip.

    Args:
        samples: Mono.
        from_hz: Its sample rate.
        to_hz: The wanted one.

    Shape:
        [n] -> [ceil(n * to_hz / from_hz)]

    >>> resample(np.zeros(48_001, np.float32), 48_000, 16_000).shape
    (16001,)
    """
    if from_hz == to_hz:
        return samples
    common = gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    kernel_size = up * (down + 2 * _width(up, down))
    if kernel_size <= _MAX_KERNEL:
        return _by_kernel(from_hz, to_hz)(samples)
    return _by_sum(samples, up, down)


def _width(up: int, down: int) -> int:
    """Input samples on either side that reach an output sample."""
    return ceil(ZERO_CROSSINGS * down / (min(up, down) * ROLLOFF))


@lru_cache(maxsize=8)
def _by_kernel(from_hz: int, to_hz: int) -> Callable[[Samples], Samples]:
    """The transform of torchaudio, its kernel computed once per pair of rates."""
    import torch
    import torchaudio

    # A float32 kernel, as the functional form makes it for float32 audio: bit for bit the same.
    transform: Any = torchaudio.transforms.Resample(
        from_hz,
        to_hz,
        lowpass_filter_width=ZERO_CROSSINGS,
        rolloff=ROLLOFF,
        dtype=torch.float32,
    )

    def apply(samples: Samples) -> Samples:
        with torch.inference_mode():
            output: Samples = transform(torch.from_numpy(samples)).numpy()
        return output

    return apply


def _by_sum(samples: Samples, up: int, down: int) -> Samples:
    """y[n] = r sum_k x[k] sinc(r u) cos^2(pi r u / 2 z), u = k - n down / up.

    r = rolloff min(up, down) / down is the cut-off in units of the input's Nyquist rate, and the
    window ends at r |u| = z zero crossings.
    """
    cutoff = ROLLOFF * min(up, down) / down
    reach = np.arange(-_width(up, down), _width(up, down) + 2)
    padded = np.pad(samples, (-int(reach[0]), int(reach[-1]) + 1))
    count = -(-len(samples) * up // down)
    output = np.empty(count, np.float32)
    for start in range(0, count, _CHUNK):
        # Whole and fractional input position of each output sample, exact in integers.
        whole, rest = np.divmod(np.arange(start, min(start + _CHUNK, count)) * down, up)
        phase = cutoff * (reach - (rest / up)[:, None])
        inside = np.clip(phase, -ZERO_CROSSINGS, ZERO_CROSSINGS)
        window = np.cos(inside * np.pi / (2 * ZERO_CROSSINGS)) ** 2
        weights = cutoff * np.sinc(inside) * window
        near = padded[whole[:, None] + (reach - reach[0])]
        output[start : start + len(whole)] = (near * weights).sum(axis=1)
    return output
