"""The noise of consonants: air in a narrow gap between tongue or lips and palate or teeth.

It arises in front of most of the vocal tract, so its spectrum is that of the short cavity before it
(Stevens 1971, JASA 50) and not that of the vowel's formants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from embedcache.synthesis import Array


@dataclass(frozen=True, slots=True)
class Frication:
    """A consonant's noise.

    Attributes:
        share: Share of the syllable that is noise.
        centre_hz: Where its spectrum is highest.
        octaves: Standard deviation of the spectrum, a Gaussian over log frequency.
        level_db: RMS relative to the voiced speech.
    """

    share: float
    centre_hz: float
    octaves: float
    level_db: float


def frication_noise(
    frication: Frication, samples: int, rate_hz: int, rng: np.random.Generator
) -> Array:
    """White noise through the consonant's spectrum, swelling and fading; its level is left open.

    Args:
        frication: Which noise.
        samples: How long.
        rate_hz: Sample rate.
        rng: Draws the noise.

    Shape:
        Returns [N].
    """
    white = rng.standard_normal(samples)
    frequency_hz = np.maximum(np.fft.rfftfreq(samples, 1 / rate_hz), 1.0)
    octaves = np.log2(frequency_hz / frication.centre_hz)
    gain = np.exp(-0.5 * (octaves / frication.octaves) ** 2)
    noise: Array = np.fft.irfft(np.fft.rfft(white) * gain, samples) * np.hanning(samples)
    return noise
