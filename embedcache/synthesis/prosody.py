"""How it is said: the timing, loudness and melody of a sentence.

All contours are straight lines between a few points in time, as in the stylised intonation of the
IPO model (A Perceptual Study of Intonation, 1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.synthesis import Array
    from embedcache.synthesis.phones import Syllable

FINAL_LENGTHENING = 1.3  # of a sentence's last syllable


@dataclass(frozen=True, slots=True)
class Prosody:
    """How something is said.

    Attributes:
        pitch_semitones: Mean pitch of the voiced parts, relative to the speaker's.
        range_semitones: Height of the pitch movement on a fully stressed syllable.
        slope_semitones: Rise of the pitch from beginning to end; negative falls.
        syllables_per_s: Tempo.
        level_dbfs: RMS of the speech, in dB relative to full scale.
        tilt_db_per_octave: Slope added to the source's spectrum above 500 Hz; negative is duller.
        jitter: Standard deviation of the glottal periods, relative to their mean.

    Raises:
        UsageError: Tempo or jitter are none that a voice can have.
    """

    pitch_semitones: float = 0.0
    range_semitones: float = 4.0
    slope_semitones: float = -3.0
    syllables_per_s: float = 5.0
    level_dbfs: float = -26.0
    tilt_db_per_octave: float = 0.0
    jitter: float = 0.005

    def __post_init__(self) -> None:
        if not self.syllables_per_s > 0:
            raise UsageError(
                f"syllables_per_s {self.syllables_per_s} must be above 0; conversation has about 5"
            )
        if not 0 <= self.jitter <= 0.08:
            raise UsageError(
                f"jitter {self.jitter} must lie between 0 and 0.08; an ordinary voice has 0.005"
            )


@dataclass(frozen=True, slots=True)
class TimedSyllable:
    """A syllable with its place in time.

    Attributes:
        syllable: What is said.
        begin_s: The mouth closes.
        release_s: It opens; noise, if the consonant has any.
        vowel_s: The vowel begins.
        end_s: The vowel is over.
    """

    syllable: Syllable
    begin_s: float
    release_s: float
    vowel_s: float
    end_s: float

    def in_vowel_s(self, share: float) -> float:
        """The time at which this share of the vowel is over."""
        return self.vowel_s + share * (self.end_s - self.vowel_s)


def time_syllables(
    syllables: Sequence[Syllable], syllables_per_s: float
) -> tuple[TimedSyllable, ...]:
    """Place syllables one after the other; stressed and final ones are longer.

    The tempo is that of the syllables alone; pauses come on top.
    """
    mean_s = 1 / syllables_per_s
    weights = np.array([0.8 + 0.4 * s.stress for s in syllables])
    weights[-1] *= FINAL_LENGTHENING
    timed = []
    now_s = 0.0
    for syllable, weight in zip(syllables, (weights / weights.mean()).tolist(), strict=True):
        consonant = syllable.consonant
        noise_share = consonant.frication.share if consonant.frication else 0.0
        length_s = weight * mean_s
        begin_s = now_s + syllable.pause * mean_s
        release_s = begin_s + consonant.closure_share * length_s
        vowel_s = release_s + noise_share * length_s
        now_s = begin_s + length_s
        timed.append(TimedSyllable(syllable, begin_s, release_s, vowel_s, now_s))
    return tuple(timed)


def voicing_amplitude(timed: Sequence[TimedSyllable], times_s: Array) -> Array:
    """Amplitude of the glottal flow: each vowel swells quickly and dies away slowly.

    Shape:
        times_s [N] -> [N].
    """
    points = [(0.0, 0.0)]
    for t in timed:
        murmur, loud = t.syllable.consonant.murmur, 0.7 + 0.3 * t.syllable.stress
        points += [
            (t.begin_s, 0.0),
            (t.begin_s + 0.25 * (t.release_s - t.begin_s), murmur),
            (t.vowel_s, murmur),
            (t.in_vowel_s(0.15), loud),
            (t.in_vowel_s(0.6), 0.9 * loud),
            (t.in_vowel_s(0.9), 0.4 * loud),
            (t.end_s, 0.0),
        ]
    return _contour(points, times_s)


def pitch_semitones(
    timed: Sequence[TimedSyllable], prosody: Prosody, times_s: Array, amplitude: Array
) -> Array:
    """Pitch relative to the speaker's: a slope, with a peak on each stressed vowel.

    Pitch is heard where there is voice, so its mean weighted by amplitude is the one asked for.

    Shape:
        times_s, amplitude [N] -> [N].
    """
    points = [(0.0, 0.0)]
    for t in timed:
        points += [(t.begin_s, 0.0), (t.in_vowel_s(0.4), t.syllable.stress), (t.end_s, 0.0)]
    movement = prosody.range_semitones * _contour(points, times_s)
    movement += prosody.slope_semitones * times_s / timed[-1].end_s
    mean = float(np.average(movement, weights=amplitude))
    return movement + (prosody.pitch_semitones - mean)


def _contour(points: Sequence[tuple[float, float]], times_s: Array) -> Array:
    at_s, values = np.array(points).T
    contour: Array = np.interp(times_s, at_s, values)
    return contour
