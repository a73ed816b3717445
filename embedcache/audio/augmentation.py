"""Augmentation: further views of a clip, each of which is a content of its own.

A view is named by text, such as `speed=0.9`: one change and how much of it. The empty view is the
clip itself.

- `speed`: played faster (above 1) or slower; pitch and formants move along, as with sox's `speed`.
- `stretch`: the same change of tempo at the same pitch and level, by a phase vocoder. Above 1 is
  faster and shorter, which is what librosa and torchaudio call its rate.
- `pitch`: shifted by semitones at the same length; formants move along.
- `noise`: white Gaussian noise at a signal-to-noise ratio in dB, the signal being the speech.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedcache.audio.levels import active_power
from embedcache.audio.resample import resample
from embedcache.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

Samples = npt.NDArray[np.float32]

WINDOW_S = 0.032  # of the phase vocoder: a longer one smears speech, by its error in mel bands
HOPS = 4  # in a window, so 8 ms each
PITCH_DENOMINATOR = 300  # ratios of whole numbers up to this are within a cent of any pitch


@dataclass(frozen=True, slots=True)
class Range:
    """Values that a kind of view can have.

    Attributes:
        low: The least.
        high: The greatest.
        step: They are multiples of it.
        neutral: The one that would change nothing.
    """

    low: Decimal
    high: Decimal
    step: Decimal
    neutral: Decimal | None = None


_FACTOR = Range(Decimal("0.5"), Decimal(2), Decimal("0.01"), Decimal(1))
RANGES = {
    "speed": _FACTOR,
    "pitch": Range(Decimal(-12), Decimal(12), Decimal("0.1"), Decimal(0)),
    "stretch": _FACTOR,
    "noise": Range(Decimal(-10), Decimal(60), Decimal("0.1")),
}


def parse_views(options: Sequence[str], what: str = "--augment") -> tuple[str, ...]:
    """The views that `--augment` asks for, in that order, each once.

    Args:
        options: `key=value[,value...]` each.
        what: The option's name, for messages.

    Raises:
        UsageError: There is no such key, or it cannot have such a value.

    >>> parse_views(["speed=0.90,1.1", "pitch=-2", "speed=0.9"])
    ('speed=0.9', 'speed=1.1', 'pitch=-2')
    """
    views: dict[str, None] = {}
    for option in options:
        key, equals, values = option.partition("=")
        if not equals:
            raise UsageError(f"{what} {option}: give key=value[,value...], as in speed=0.9,1.1")
        for value in values.split(","):
            kind, number = _parse_view(f"{key}={value}", what)
            views[_name(kind, number)] = None
    return tuple(views)


def augment(samples: Samples, rate_hz: int, view: str, seed: int) -> Samples:
    """A view of a clip.

    Args:
        samples: Mono; never changed.
        rate_hz: Its sample rate.
        view: Its name; the empty one gives the samples back as they are.
        seed: What noise is drawn from, together with the view's name: a number of the clip's own.

    Shape:
        [n] -> [n'], n' = ceil(n / value) for `speed` and `stretch`, else n

    Raises:
        UsageError: There is no such view.
    """
    if not view:
        return samples
    kind, number = _parse_view(view)
    if kind == "noise":
        return _add_noise(samples, rate_hz, float(number), f"{seed}\n{_name(kind, number)}")
    if kind == "pitch":
        return _shift_pitch(samples, rate_hz, float(number))
    factor = Fraction(number)
    if kind == "stretch":
        return _stretch(samples, rate_hz, factor)
    return resample(samples, factor.numerator, factor.denominator)


def view_seconds(seconds: float, view: str) -> float:
    """Expected duration of a view of a clip.

    >>> view_seconds(3.6, "speed=0.9"), view_seconds(3.6, "pitch=2"), view_seconds(3.6, "")
    (4.0, 3.6, 3.6)
    """
    if not view:
        return seconds
    kind, number = _parse_view(view)
    return seconds / float(number) if kind in ("speed", "stretch") else seconds


def _parse_view(view: str, what: str = "--augment") -> tuple[str, Decimal]:
    key, _, text = view.partition("=")
    key = key.strip()
    if key not in RANGES:
        raise unknown_name("augmentation", key, RANGES)
    allowed = RANGES[key]
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    usable = number.is_finite() and allowed.low <= number <= allowed.high
    if not usable or number % allowed.step or number == allowed.neutral:
        but = "" if allowed.neutral is None else f", but not {allowed.neutral}: that is no change"
        raise UsageError(
            f"{what} {view}: give a number from {allowed.low} to {allowed.high} in steps of "
            f"{allowed.step}{but}"
        )
    return key, number


def _name(kind: str, number: Decimal) -> str:
    return f"{kind}={number.normalize():f}"


def _add_noise(samples: Samples, rate_hz: int, snr_db: float, source: str) -> Samples:
    """The clip plus a n, a^2 = power / mean(n^2) / 10^(snr / 10): the ratio is exact.

    The power is that of the speech: over windows within 40 dB of the loudest one, without what is
    constant, so that neither pauses nor an offset of the recorder change how noisy speech gets. The
    generator is seeded by a hash, so that no two seeds and views share their noise.
    """
    seed = int.from_bytes(hashlib.sha256(source.encode()).digest())
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    clip = samples.astype(np.float64)
    gain = np.sqrt(active_power(clip, rate_hz) / np.mean(noise**2) / 10 ** (snr_db / 10))
    output: Samples = (clip + gain * noise).astype(np.float32)
    return output


def _shift_pitch(samples: Samples, rate_hz: int, semitones: float) -> Samples:
    """Stretch to r times the length, then play r times as fast, r = 2^(semitones / 12).

    A ratio of small whole numbers in place of r keeps the resampling fast and both lengths exact.
    """
    ratio = Fraction(2 ** (semitones / 12)).limit_denominator(PITCH_DENOMINATOR)
    longer = _stretch(samples, rate_hz, 1 / ratio)
    return resample(longer, ratio.numerator, ratio.denominator)[: len(samples)]


def _stretch(samples: Samples, rate_hz: int, tempo: Fraction) -> Samples:
    """The phase vocoder of torchaudio, at the level of the clip.

    Beyond its ends the clip runs out to zero. Cut there, it would click: frames of several times
    hear the cut. Mirrored, as is usual, its first frames would have false phases, and a tone's
    first 20 ms come out up to 11 times too high.

    Shape:
        [n] -> [ceil(n / tempo)]
    """
    import torch
    from torchaudio.functional import phase_vocoder

    hop = round(WINDOW_S * rate_hz / HOPS)
    size = HOPS * hop
    count = -(-len(samples) * tempo.denominator // tempo.numerator)
    clip = samples.astype(np.float64)  # in float32 the sum of phases drifts over a minute
    with torch.inference_mode():
        padded = torch.from_numpy(np.pad(clip, (size // 2, 2 * size), mode="linear_ramp"))
        window = torch.hann_window(size, dtype=torch.float64)
        spectrum = torch.stft(padded, size, hop, window=window, center=False, return_complex=True)
        advance = torch.linspace(0, np.pi * hop, size // 2 + 1, dtype=torch.float64)[:, None]
        stretched = phase_vocoder(spectrum, float(tempo), advance)
        output = torch.istft(stretched, size, hop, window=window, length=count).numpy()
    # The partials fall out of step and speech loses 2 to 5 dB. Level says much about emotion, so
    # a view must not differ by it: the root mean square becomes the clip's.
    power = max(np.mean(output**2), np.finfo(np.float64).tiny)  # silence stays silence
    level: Samples = (output * np.sqrt(np.mean(clip**2) / power)).astype(np.float32)
    return level
