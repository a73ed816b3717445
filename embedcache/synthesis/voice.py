"""A source-filter voice: syllables, a speaker and a prosody in, a waveform out.

The acoustic theory of speech production (Fant 1960) in its simplest useful form: a train of glottal
pulses (the source) is shaped by the resonances of the vocal tract (the filter). Consonants are
shaped noise, pauses and formant movements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedcache.errors import UsageError
from embedcache.synthesis.frication import frication_noise
from embedcache.synthesis.glottis import glottal_source
from embedcache.synthesis.levels import rms, scale_to_rms
from embedcache.synthesis.phones import Syllable
from embedcache.synthesis.prosody import (
    Prosody,
    TimedSyllable,
    pitch_semitones,
    time_syllables,
    voicing_amplitude,
)
from embedcache.synthesis.tract import F4_F5_HZ, formant_tracks, vocal_tract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from embedcache.synthesis import Array

SILENCE_S = (0.08, 0.2)  # before and after the speech, drawn between these bounds
ROOM_DBFS = -66.0  # noise of room and microphone: 40 dB below ordinary speech at -26 dBFS
PEAK = 0.95  # full scale is 1; louder clips are turned down as a whole


@dataclass(frozen=True, slots=True)
class Speaker:
    """What a voice keeps whatever it says.

    Attributes:
        f0_hz: Mean fundamental frequency of ordinary speech.
        formant_scale: Of all formants, relative to the average man; his vocal tract's length
            divided by this one's. The average woman's is about 1.17 (Peterson and Barney 1952).
        breathiness: RMS of the aspiration noise relative to the glottal pulses'.
        open_quotient: Share of each period for which the glottis is open.

    Raises:
        UsageError: No voice is like that.
    """

    f0_hz: float
    formant_scale: float = 1.0
    breathiness: float = 0.05
    open_quotient: float = 0.56

    def __post_init__(self) -> None:
        if not (self.f0_hz > 0 and self.formant_scale > 0 and 0 < self.open_quotient <= 1):
            raise UsageError(
                f"{self}: f0_hz, formant_scale and open_quotient must be above 0, the last one at "
                "most 1"
            )


def say(
    syllables: Sequence[Syllable],
    speaker: Speaker,
    prosody: Prosody,
    rate_hz: int,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Speak a sentence.

    Args:
        syllables: What is said.
        speaker: Whose voice it is.
        prosody: How it is said.
        rate_hz: Sample rate; at least 2.2 times the fifth formant.
        rng: Source of everything random: jitter, noise, the length of the silence around.

    Shape:
        Returns [N], one channel, between -0.95 and 0.95.

    Raises:
        UsageError: There is nothing to say, or the sample rate is too low for the voice.

    >>> wave = say([Syllable("m", "aa")], Speaker(120), Prosody(), 16_000, np.random.default_rng(0))
    >>> wave.dtype, bool(0.3 < len(wave) / 16_000 < 0.7)
    (dtype('float32'), True)
    """
    if not syllables:
        raise UsageError("there are no syllables to say; give at least one")
    lowest_hz = 2.2 * speaker.formant_scale * F4_F5_HZ[-1]
    if rate_hz < lowest_hz:
        raise UsageError(
            f"rate_hz {rate_hz} is too low for a formant scale of {speaker.formant_scale}; "
            f"use at least {lowest_hz:.0f}"
        )
    timed = time_syllables(syllables, prosody.syllables_per_s)
    source = _source(timed, speaker, prosody, rate_hz, rng)
    formants_hz = speaker.formant_scale * formant_tracks(timed, len(source), rate_hz)
    speech = vocal_tract(source, formants_hz, prosody.tilt_db_per_octave, rate_hz)
    _add_frication(speech, timed, rate_hz, rng)
    return _record(speech, prosody.level_dbfs, rate_hz, rng)


def _source(
    timed: Sequence[TimedSyllable],
    speaker: Speaker,
    prosody: Prosody,
    rate_hz: int,
    rng: np.random.Generator,
) -> Array:
    times_s = np.arange(round(timed[-1].end_s * rate_hz)) / rate_hz
    amplitude = voicing_amplitude(timed, times_s)
    semitones = pitch_semitones(timed, prosody, times_s, amplitude)
    return glottal_source(
        speaker.f0_hz * 2 ** (semitones / 12),
        amplitude,
        rate_hz,
        rng,
        open_quotient=speaker.open_quotient,
        breathiness=speaker.breathiness,
        jitter=prosody.jitter,
    )


def _add_frication(
    speech: Array, timed: Sequence[TimedSyllable], rate_hz: int, rng: np.random.Generator
) -> None:
    """Add each consonant's noise in place; levels are relative to the voiced speech."""
    voiced_rms = rms(speech)
    for t in timed:
        frication = t.syllable.consonant.frication
        begin, end = round(t.release_s * rate_hz), round(t.vowel_s * rate_hz)
        if frication is not None and end > begin:
            noise = frication_noise(frication, end - begin, rate_hz, rng)
            speech[begin:end] += scale_to_rms(noise, voiced_rms * 10 ** (frication.level_db / 20))


def _record(
    speech: Array, level_dbfs: float, rate_hz: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Set the level, put silence around it, add the room's noise, keep it from clipping."""
    before_s, after_s = rng.uniform(*SILENCE_S, 2)
    speech = scale_to_rms(speech, 10 ** (level_dbfs / 20))
    wave = np.pad(speech, (round(before_s * rate_hz), round(after_s * rate_hz)))
    wave += 10 ** (ROOM_DBFS / 20) * rng.standard_normal(len(wave))
    wave *= min(1.0, PEAK / float(np.abs(wave).max()))
    return wave.astype(np.float32)
