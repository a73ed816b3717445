"""Conditioning: what is done to a clip between decoding and encoding. All of it is off by default.

The steps run in this order. Noise goes first, while its spectrum is whole; then the band is cut,
as a telephone line cuts what a microphone heard; silence is looked for in what is left; the level
is that of the speech alone; and the length comes last, so that padding weighs in no level.

Samples are float32, so a level above full scale is kept as it is: nothing is ever clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from math import log2
from typing import Any

import numpy as np
import numpy.typing as npt

from embedcache.audio.decode import DECODING
from embedcache.audio.levels import describe_level, level_db
from embedcache.errors import ClipError, SerError, UsageError

Samples = npt.NDArray[np.float32]

GATE: dict[str, Any] = {
    "stationary": False,
    "prop_decrease": 1.0,
    "time_constant_s": 2.0,
    "freq_mask_smooth_hz": 500,
    "time_mask_smooth_ms": 50,
    "thresh_n_mult_nonstationary": 2,
    "sigmoid_slope_nonstationary": 10,
}
"""Settings of noisereduce: its own defaults."""
GATE_WINDOW_S = 0.064  # 1024 samples at 16 kHz; elsewhere the nearest power of two
GATE_CONTEXT_S = 1.875  # 30,000 samples at 16 kHz, on either side
GATE_CHUNK_S = 37.5  # 600,000 samples at 16 kHz

TELEPHONE_BAND_HZ = (300.0, 3400.0)  # ITU-T G.712
TELEPHONE_ORDER = 6
_TELEPHONE_REACH_S = 0.1

TRIM_BELOW_DB = 40.0
TRIM_WINDOW_S = 0.025
TRIM_HOP_S = 0.010
TRIM_MARGIN_HOPS = 5

LEVELS_DB = {"peak": 0.0, "rms": -20.0, "lufs": -23.0}
"""Where `normalise` brings a clip; 0 dB is a peak, or a root mean square, of 1."""
FIX_LIMITS_S = (0.1, 3600.0)
LOWEST_RATE_HZ = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """Which steps are on.

    Attributes:
        denoise: Spectral gating by the package `noisereduce` (extra `denoise`), non-stationary. Its
            noise floor is a mean over seconds: steady noise falls by 19 dB in a clip of 4 s, and by
            1 dB in one of 0.3 s.
        telephone: Band-pass from 300 to 3400 Hz, without delay.
        trim: Cut silence off both ends, all but 50 ms: what stays 40 dB below the loudest 25 ms.
        normalise: `peak` (0 dBFS), `rms` (-20 dBFS), `lufs` (-23 LUFS), or empty. It takes away how
            loud a clip was, which says much about the emotion.
        fix_seconds: Every clip gets exactly this length: cut, or padded with zeros, at its end.

    Raises:
        UsageError: A value that cannot be.
    """

    denoise: bool = False
    telephone: bool = False
    trim: bool = False
    normalise: str = ""
    fix_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.normalise and self.normalise not in LEVELS_DB:
            raise UsageError(f"--normalise {self.normalise}: give {' or '.join(LEVELS_DB)}")
        low, high = FIX_LIMITS_S
        if self.fix_seconds is not None and not low <= self.fix_seconds <= high:
            raise UsageError(
                f"--fix-seconds {self.fix_seconds:g}: give a number from {low:g} to {high:g}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """What is on, in the order of the steps, for people to read.

        >>> Conditioning(trim=True, normalise="lufs", fix_seconds=3).names
        ('trim', 'normalise=lufs', 'fix_seconds=3')
        """
        on = {
            "denoise": self.denoise,
            "telephone": self.telephone,
            "trim": self.trim,
            f"normalise={self.normalise}": bool(self.normalise),
        }
        fixed = () if self.fix_seconds is None else (f"fix_seconds={self.fix_seconds:.12g}",)
        return (*(name for name, is_on in on.items() if is_on), *fixed)

    @classmethod
    def from_key(cls, record: dict[str, Any]) -> Conditioning:
        """The inverse of `describe`, so that a model hears what it was trained on.

        Args:
            record: From `describe`, or the `conditioning` of a cache's key.

        Raises:
            SerError: It holds a step or a setting that this version does not have.

        >>> Conditioning.from_key(describe(Conditioning(trim=True))) == Conditioning(trim=True)
        True
        """
        steps = {name: step for name, step in record.items() if name not in DECODING}
        try:
            found = cls(
                denoise="denoise" in steps,
                telephone="telephone" in steps,
                trim="trim" in steps,
                normalise=steps.get("normalise", {}).get("to", ""),
                fix_seconds=steps.get("fix_seconds", {}).get("seconds"),
            )
            known = describe(found)
        except (UsageError, AttributeError, TypeError, ValueError):
            known = {}
        for name, step in steps.items():
            if known.get(name) != step:
                raise SerError(
                    f"its audio was conditioned with {name} {step}, which this version of "
                    "ser-embedcache cannot do; install the version that wrote it, or extract again"
                )
        return found


def check_conditioning(conditioning: Conditioning, rate_hz: int) -> None:
    """Refuse what cannot be done, before any work.

    Args:
        conditioning: The steps.
        rate_hz: The encoder's sample rate.

    Raises:
        UsageError: A package is missing, or a step needs a higher rate.
    """
    if conditioning.denoise and find_spec("noisereduce") is None:
        raise UsageError(
            "--denoise needs the package noisereduce, which is not installed: "
            "pip install 'ser-embedcache[denoise]'"
        )
    needs_rate = {
        "--telephone": conditioning.telephone,
        "--normalise lufs": conditioning.normalise == "lufs",
    }
    for option, on in needs_rate.items():
        if on and rate_hz < LOWEST_RATE_HZ:
            raise UsageError(
                f"{option} needs a sample rate of {LOWEST_RATE_HZ} Hz or more, and the encoder "
                f"hears {rate_hz} Hz; leave it out or choose another --encoder"
            )


def condition(samples: Samples, rate_hz: int, conditioning: Conditioning) -> Samples:
    """Condition a clip.

    Args:
        samples: Mono; never changed.
        rate_hz: Its sample rate.
        conditioning: The steps. With none, the samples are given back as they are.

    Shape:
        [n] -> [n'], n' <= n with `trim`, n' = round(fix_seconds * rate_hz) with `fix_seconds`

    Raises:
        UsageError: See `check_conditioning`.
        ClipError: Nothing but silence is left, or its loudness cannot be measured.
    """
    check_conditioning(conditioning, rate_hz)
    output = samples
    if conditioning.denoise:
        output = _denoise(output, rate_hz)
    if conditioning.telephone:
        output = _telephone(output, rate_hz)
    if conditioning.trim:
        start, end = speech_bounds(output, rate_hz)
        output = output[start:end]
    if conditioning.normalise:
        output = _normalise(output, rate_hz, conditioning.normalise)
    if conditioning.fix_seconds is not None:
        output = _fix_length(output, round(conditioning.fix_seconds * rate_hz))
    if output is not samples and not np.isfinite(output).all():
        raise ClipError("content", f"{_after(conditioning)} its samples are NaN or infinite")
    if output is not samples and not output.any():
        raise ClipError("content", f"{_after(conditioning)} it is silent")
    return output


def describe(conditioning: Conditioning) -> dict[str, Any]:
    """The steps that are on, with every constant that their numbers depend on, as JSON values.

    >>> describe(Conditioning())
    {}
    >>> describe(Conditioning(normalise="rms", fix_seconds=5))
    {'normalise': {'to': 'rms', 'level_db': -20.0}, 'fix_seconds': {'seconds': 5.0, 'at': 'end'}}
    """
    steps: dict[str, Any] = {}
    if conditioning.denoise:
        steps["denoise"] = {
            "by": "noisereduce",
            **GATE,
            "window_s": GATE_WINDOW_S,
            "context_s": GATE_CONTEXT_S,
            "chunk_s": GATE_CHUNK_S,
        }
    if conditioning.telephone:
        steps["telephone"] = {
            "by": "butterworth, forward and backward",
            "band_hz": list(TELEPHONE_BAND_HZ),
            "order": TELEPHONE_ORDER,
            "reach_s": _TELEPHONE_REACH_S,
        }
    if conditioning.trim:
        steps["trim"] = {
            "below_db": TRIM_BELOW_DB,
            "window_s": TRIM_WINDOW_S,
            "hop_s": TRIM_HOP_S,
            "margin_hops": TRIM_MARGIN_HOPS,
        }
    if conditioning.normalise:
        to = conditioning.normalise
        steps["normalise"] = {"to": to, "level_db": LEVELS_DB[to], **describe_level(to)}
    if conditioning.fix_seconds is not None:
        steps["fix_seconds"] = {"seconds": float(conditioning.fix_seconds), "at": "end"}
    return steps


def conditioned_seconds(seconds: float, conditioning: Conditioning) -> float:
    """Expected duration of a clip after conditioning; where it is trimmed, the most it can be.

    >>> conditioned_seconds(3.7, Conditioning(trim=True, fix_seconds=5))
    5.0
    """
    fixed = conditioning.fix_seconds
    return seconds if fixed is None else float(fixed)


def speech_bounds(samples: Samples, rate_hz: int) -> tuple[int, int]:
    """Where a clip's speech begins and ends, in samples, with a margin of silence.

    A window is silent where its root mean square lies `TRIM_BELOW_DB` below the loudest one's. The
    margin is a whole number of hops, so that trimming twice is trimming once.
    """
    size, hop = round(TRIM_WINDOW_S * rate_hz), round(TRIM_HOP_S * rate_hz)
    windows = -(-len(samples) // hop)
    padded = np.pad(samples, (0, windows * hop + size - len(samples)))
    framed = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:windows]
    power = np.einsum("ft,ft->f", framed, framed, dtype=np.float64)
    loud = np.flatnonzero(power > power.max() * 10 ** (-TRIM_BELOW_DB / 10))
    if not loud.size:
        return 0, len(samples)
    margin = TRIM_MARGIN_HOPS * hop
    start = max(0, int(loud[0]) * hop - margin)
    return start, min(len(samples), int(loud[-1]) * hop + size + margin)


def _denoise(samples: Samples, rate_hz: int) -> Samples:
    """`noisereduce.reduce_noise`; at 16 kHz, up to 37.5 s, with the numbers of its defaults.

    A longer clip is cleaned piece by piece in memory, with what lies around each piece: the
    package would write it to a temporary file.
    """
    reduce_noise = import_module("noisereduce").reduce_noise
    size = 1 << round(log2(GATE_WINDOW_S * rate_hz))
    chunk, context = round(GATE_CHUNK_S * rate_hz), round(GATE_CONTEXT_S * rate_hz)
    output = np.zeros_like(samples)
    for start in range(0, len(samples), chunk):
        before = max(0, start - context)
        piece = samples[before : start + chunk + context]
        if not piece.any():
            continue  # the gate would divide zero by zero
        clean = reduce_noise(
            y=piece,
            sr=rate_hz,
            n_fft=size,
            win_length=size,
            hop_length=size // 4,
            padding=context,
            chunk_size=None,
            n_jobs=1,
            use_torch=False,
            **GATE,
        )
        output[start : start + chunk] = clean[start - before :][:chunk]
    return output


def _telephone(samples: Samples, rate_hz: int) -> Samples:
    """Butterworth forward and backward: no delay, and 6 dB down at the band's two ends."""
    from scipy.signal import butter, sosfiltfilt

    sections = butter(TELEPHONE_ORDER, TELEPHONE_BAND_HZ, "bandpass", output="sos", fs=rate_hz)
    reach = min(round(_TELEPHONE_REACH_S * rate_hz), len(samples) - 1)
    output: Samples = sosfiltfilt(sections, samples, padlen=reach).astype(np.float32)
    return output


def _normalise(samples: Samples, rate_hz: int, to: str) -> Samples:
    gain = 10 ** ((LEVELS_DB[to] - level_db(samples, rate_hz, to)) / 20)
    return (samples.astype(np.float64) * gain).astype(np.float32)


def _fix_length(samples: Samples, count: int) -> Samples:
    return np.pad(samples[:count], (0, max(0, count - len(samples))))


def _after(conditioning: Conditioning) -> str:
    return f"after {', '.join(conditioning.names)},"
