"""Levels of a clip: its peak, root mean square, loudness, or the power of its speech alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from embedcache.errors import ClipError

Samples = npt.NDArray[np.float32]

LOUDNESS_FILTERS = "DeMan"  # of pyloudnorm: those of the standard's table, at any rate
LOUDNESS_BLOCK_S = 0.4
LOUDNESS_GATES_DB = (-70.0, -10.0)  # pyloudnorm's own: in LUFS, and below the mean of what passes

ACTIVE_WINDOW_S = 0.025
ACTIVE_BELOW_DB = 40.0


def level_db(samples: Samples, rate_hz: int, kind: str) -> float:
    """A clip's level: its `peak` or `rms` in dB, or its loudness in LUFS.

    Loudness follows ITU-R BS.1770-4 for one channel, its two gates included. Two things it leaves
    open: a clip shorter than a block of 0.4 s is one block; and the absolute gate, made for
    programmes at -23 LUFS, is put to the clip with its peak at 1, so that a quiet recording is
    measured like the same one turned up.

    Raises:
        ClipError: It is silent, or all of it fails the absolute gate.
    """
    peak = float(np.abs(samples).max())
    if not peak:
        raise ClipError("content", "silent: it has no level to normalise")
    scaled = samples.astype(np.float64) / peak
    level = {"peak": _peak_db, "rms": _rms_db, "lufs": _loudness_db}[kind](scaled, rate_hz)
    return float(level + 20 * np.log10(peak))


def describe_level(kind: str) -> dict[str, Any]:
    """What a level's numbers depend on beside the clip, as JSON values."""
    if kind != "lufs":
        return {}
    return {
        "by": "pyloudnorm",
        "filters": LOUDNESS_FILTERS,
        "block_s": LOUDNESS_BLOCK_S,
        "gates_db": list(LOUDNESS_GATES_DB),
    }


def active_power(clip: npt.NDArray[np.float64], rate_hz: int) -> float:
    """Mean square of a clip, less its mean, over windows that are not silent beside the loudest."""
    size = min(round(ACTIVE_WINDOW_S * rate_hz), len(clip))
    whole = len(clip) // size * size
    windows = (clip - clip.mean())[:whole].reshape(-1, size)
    power = np.square(windows).mean(axis=1)
    active = power > power.max() * 10 ** (-ACTIVE_BELOW_DB / 10)
    return float(power[active].mean()) if active.any() else 0.0


def _peak_db(samples: npt.NDArray[np.float64], rate_hz: int) -> float:
    return float(20 * np.log10(np.abs(samples).max()))


def _rms_db(samples: npt.NDArray[np.float64], rate_hz: int) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


def _loudness_db(samples: npt.NDArray[np.float64], rate_hz: int) -> float:
    """By the package `pyloudnorm`, with the standard's own filters (its "DeMan").

    torchaudio's is 0.12 LU off, clips what it filters, and cannot measure under 0.4 s. The last
    block reaches up to 50 ms beyond a clip that is no whole number of steps of 0.1 s: it reads up
    to 0.3 LU too low at 0.45 s, and 0.02 at 3.65 s.
    """
    pyloudnorm = import_module("pyloudnorm")  # it has no types
    block_s = min(LOUDNESS_BLOCK_S, len(samples) / rate_hz)
    meter = pyloudnorm.Meter(rate_hz, filter_class=LOUDNESS_FILTERS, block_size=block_s)
    # A zero more: n / rate * rate can round to above n, and then the clip would be refused.
    loudness = float(meter.integrated_loudness(np.append(samples, 0.0)))
    if not np.isfinite(loudness):
        raise ClipError(
            "content",
            f"its loudness cannot be measured: with its peak at full scale, all of it still lies "
            f"below {LOUDNESS_GATES_DB[0]:g} LUFS",
        )
    return loudness
