"""A source-filter voice: syllables, a speaker and a prosody in, a waveform out.

The acoustic theory of speech production (Fant 1960) in its simplest useful form: a train of glottal
pulses (the source) is shaped by the resonances of the vocal tract (the filter). Consonants are
shaped noise, pauses and formant movements. All controls are straight lines between a few points in
time, as in the stylised intonation of the IPO model (A Perceptual Study of Intonation, 1990).

Letters: N samples, F filter frames, R formants (5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedcache.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# F1, F2, F3 in Hz: averages over 33 men, Peterson and Barney (1952), JASA 24, table II.
VOWELS = {
    "iy": (270.0, 2290.0, 3010.0),
    "ih": (390.0, 1990.0, 2550.0),
    "eh": (530.0, 1840.0, 2480.0),
    "ae": (660.0, 1720.0, 2410.0),
    "aa": (730.0, 1090.0, 2440.0),
    "ao": (570.0, 840.0, 2410.0),
    "uh": (440.0, 1020.0, 2240.0),
    "uw": (300.0, 870.0, 2240.0),
    "ah": (640.0, 1190.0, 2390.0),
}
# A uniform tube of 17.5 cm, closed at one end, resonates at 500, 1500, ... Hz (Fant 1960). F4 and
# F5 move little between vowels, so they stay where the tube has them.
F4_F5_HZ = (3500.0, 4500.0)
# Klatt (1980), JASA 67, table I.
BANDWIDTHS_HZ = (50.0, 70.0, 110.0, 250.0, 200.0)
# While the mouth is closed F1 is at its lowest; F3's locus is taken as the same everywhere.
CLOSED_F1_HZ, F3_LOCUS_HZ = 250.0, 2500.0

TILT_FROM_HZ = 500.0  # spectral tilt turns about this frequency; the fundamental keeps its level
HOP_S, SPANNED_HOPS = 0.01, 7  # filter frames; 70 ms hold a response of 50 Hz bandwidth to -60 dB
SILENCE_S = (0.08, 0.2)  # before and after the speech, drawn between these bounds
FLOOR_DBFS = -66.0  # the room and the microphone: 40 dB below ordinary speech at -26 dBFS
PEAK = 0.95  # full scale is 1; louder clips are turned down as a whole
SHIMMER_PER_JITTER = 3.66  # 3.81 % to 1.04 %, the two limits of normal voices in Praat's manual


@dataclass(frozen=True, slots=True)
class Consonant:
    """How a consonant sounds before its vowel.

    Attributes:
        f2_locus_hz: Where F2 points to: labial 720, alveolar 1800, velar 3000 Hz (Delattre,
            Liberman and Cooper 1955, JASA 27).
        hold: Share of the syllable for which the mouth is closed.
        murmur: Amplitude of voicing meanwhile, relative to a vowel's.
        noise: Share of the syllable that is noise, after the closure.
        noise_hz: Centre of the noise.
        noise_octaves: Its width (standard deviation of a Gaussian over log frequency).
        noise_db: Its level relative to the voiced part's.
    """

    f2_locus_hz: float
    hold: float
    murmur: float = 0.0
    noise: float = 0.0
    noise_hz: float = 1000.0
    noise_octaves: float = 1.0
    noise_db: float = -20.0


# Peaks of the fricatives: Jongman, Wayland and Wong (2000), JASA 108 (s 6839, sh 3820, f 7733 Hz,
# the last one almost flat). Bursts: Stevens and Blumstein (1978), JASA 64 (labial low, alveolar
# high, velar compact in the middle).
CONSONANTS = {
    "": Consonant(1500.0, hold=0.03),
    "p": Consonant(720.0, 0.26, noise=0.08, noise_hz=900.0, noise_octaves=1.2, noise_db=-15.0),
    "t": Consonant(1800.0, 0.24, noise=0.1, noise_hz=4200.0, noise_octaves=0.6, noise_db=-13.0),
    "k": Consonant(3000.0, 0.24, noise=0.12, noise_hz=1900.0, noise_octaves=0.4, noise_db=-13.0),
    "s": Consonant(1800.0, 0.02, noise=0.36, noise_hz=6839.0, noise_octaves=0.3, noise_db=-14.0),
    "sh": Consonant(1900.0, 0.02, noise=0.36, noise_hz=3820.0, noise_octaves=0.4, noise_db=-12.0),
    "f": Consonant(720.0, 0.02, noise=0.32, noise_hz=6500.0, noise_octaves=1.2, noise_db=-20.0),
    "m": Consonant(720.0, 0.28, murmur=0.35),
    "n": Consonant(1800.0, 0.26, murmur=0.35),
    "l": Consonant(1100.0, 0.2, murmur=0.55),
}


@dataclass(frozen=True, slots=True)
class Syllable:
    """A consonant and a vowel.

    Attributes:
        onset: A name in `CONSONANTS`; empty for none.
        vowel: A name in `VOWELS`.
        stress: 0 to 1: how much higher, longer and louder it is than its neighbours.
        pause: Silence before it, in average syllable lengths.
    """

    onset: str
    vowel: str
    stress: float = 0.5
    pause: float = 0.0

    def __post_init__(self) -> None:
        if self.onset not in CONSONANTS:
            raise unknown_name("consonant", self.onset, filter(None, CONSONANTS))
        if self.vowel not in VOWELS:
            raise unknown_name("vowel", self.vowel, VOWELS)


@dataclass(frozen=True, slots=True)
class Speaker:
    """What a voice keeps whatever it says.

    Attributes:
        f0_hz: Mean fundamental frequency of ordinary speech.
        formant_scale: Of all formants, relative to the average man; his vocal tract's length
            divided by this one's. The average woman's is about 1.17 (Peterson and Barney 1952).
        breathiness: RMS of the aspiration noise relative to the glottal pulses'.
        open_quotient: Share of each period for which the glottis is open.
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


@dataclass(frozen=True, slots=True)
class Prosody:
    """How something is said.

    Attributes:
        pitch_semitones: Mean pitch of the voiced parts, relative to the speaker's `f0_hz`.
        range_semitones: Height of the pitch movement on a fully stressed syllable.
        slope_semitones: Rise of the pitch from beginning to end; negative falls.
        syllables_per_s: Tempo.
        level_dbfs: RMS of the speech, in dB relative to full scale.
        tilt_db_per_octave: Slope added to the source's spectrum above 500 Hz; negative is duller.
        jitter: Standard deviation of the glottal periods, relative to their mean.
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
class _Placed:
    """A syllable's times: mouth closed, then noise, then the vowel."""

    syllable: Syllable
    begin_s: float
    noise_s: float
    onset_s: float
    end_s: float

    @property
    def consonant(self) -> Consonant:
        return CONSONANTS[self.syllable.onset]

    def vowel_part_s(self, share: float) -> float:
        """The time at which this share of the vowel is over."""
        return self.onset_s + share * (self.end_s - self.onset_s)


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
    placed = _place(syllables, 1 / prosody.syllables_per_s)
    times_s = np.arange(round(placed[-1].end_s * rate_hz)) / rate_hz
    amplitude = _voicing(placed, times_s)
    f0_hz = speaker.f0_hz * 2 ** (_pitch_semitones(placed, times_s, amplitude, prosody) / 12)
    source = glottal_source(f0_hz, amplitude, speaker, prosody.jitter, rate_hz, rng)
    hop = _hop(rate_hz)
    frames_s = np.arange(len(source) // hop + 2) * hop / rate_hz
    formants_hz = speaker.formant_scale * _formants_hz(placed, frames_s)
    speech = vocal_tract(source, formants_hz, prosody.tilt_db_per_octave, rate_hz)
    _add_noises(speech, placed, rate_hz, rng)
    return _record(speech, prosody.level_dbfs, rate_hz, rng)


def _place(syllables: Sequence[Syllable], mean_length_s: float) -> list[_Placed]:
    # Stressed and final syllables are longer than others; their mean is exactly what was asked.
    weights = np.array([0.8 + 0.4 * s.stress for s in syllables])
    weights[-1] *= 1.3
    placed = []
    now_s = 0.0
    for syllable, weight in zip(syllables, (weights / weights.mean()).tolist(), strict=True):
        consonant = CONSONANTS[syllable.onset]
        length_s = weight * mean_length_s
        begin_s = now_s + syllable.pause * mean_length_s
        noise_s = begin_s + consonant.hold * length_s
        onset_s = noise_s + consonant.noise * length_s
        now_s = begin_s + length_s
        placed.append(_Placed(syllable, begin_s, noise_s, onset_s, now_s))
    return placed


def _voicing(placed: Sequence[_Placed], times_s: Array) -> Array:
    """Amplitude of the glottal flow, [N]: each vowel swells quickly and dies away slowly."""
    points = [(0.0, 0.0)]
    for p in placed:
        murmur, loud = p.consonant.murmur, 0.7 + 0.3 * p.syllable.stress
        points += [
            (p.begin_s, 0.0),
            (p.begin_s + 0.25 * (p.noise_s - p.begin_s), murmur),
            (p.onset_s, murmur),
            (p.vowel_part_s(0.15), loud),
            (p.vowel_part_s(0.6), 0.9 * loud),
            (p.vowel_part_s(0.9), 0.4 * loud),
            (p.end_s, 0.0),
        ]
    return _line(points, times_s)


def _pitch_semitones(
    placed: Sequence[_Placed], times_s: Array, amplitude: Array, prosody: Prosody
) -> Array:
    """Pitch relative to the speaker's, [N]: a slope, with a peak on each stressed vowel."""
    points = [(0.0, 0.0)]
    for p in placed:
        points += [(p.begin_s, 0.0), (p.vowel_part_s(0.4), p.syllable.stress), (p.end_s, 0.0)]
    movement = prosody.range_semitones * _line(points, times_s)
    movement += prosody.slope_semitones * times_s / placed[-1].end_s
    # Pitch is heard where there is voice, so its mean there is the one that was asked for.
    mean = float(np.average(movement, weights=amplitude))
    return movement + (prosody.pitch_semitones - mean)


def _line(points: Sequence[tuple[float, float]], times_s: Array) -> Array:
    at_s, values = np.array(points).T
    line: Array = np.interp(times_s, at_s, values)
    return line


def _formants_hz(placed: Sequence[_Placed], frames_s: Array) -> Array:
    """Formants of the average man, [F, R]: from each consonant's locus to its vowel and on."""
    at_s: list[float] = []
    targets: list[tuple[float, ...]] = []
    for p in placed:
        vowel = VOWELS[p.syllable.vowel]
        locus = (CLOSED_F1_HZ, p.consonant.f2_locus_hz, F3_LOCUS_HZ)
        # The transition points to the locus, but begins to sound half-way (Delattre et al. 1955).
        half_way = tuple((a + b) / 2 for a, b in zip(locus, vowel, strict=True))
        at_s += [p.begin_s, p.noise_s, p.onset_s, p.vowel_part_s(0.4), p.vowel_part_s(0.85)]
        targets += [locus, locus, half_way, vowel, vowel]
    moving = [np.interp(frames_s, at_s, track) for track in zip(*targets, strict=True)]
    still = [np.full(len(frames_s), hz) for hz in F4_F5_HZ]
    formants_hz: Array = np.stack([*moving, *still], axis=1)
    return formants_hz


def glottal_source(
    f0_hz: Array,
    amplitude: Array,
    speaker: Speaker,
    jitter: float,
    rate_hz: int,
    rng: np.random.Generator,
) -> Array:
    """The sound at the glottis, as it would be heard without a vocal tract.

    Rosenberg's (1971, JASA 49) polynomial pulse: with x the place in the period, p = 5/7 and
    q = 2/7 of the open quotient, the flow is 3 (x/p)^2 - 2 (x/p)^3 while the glottis opens,
    1 - ((x-p)/q)^2 while it closes, else 0. It is differentiated, because the lips radiate the
    derivative of the flow. Aspiration noise is strongest while the glottis is open.

    Args:
        f0_hz: Fundamental frequency at every sample.
        amplitude: Of the flow at every sample; 0 is silence.
        speaker: Gives the open quotient and the breathiness.
        jitter: Standard deviation of the periods, relative to their mean.
        rate_hz: Sample rate.
        rng: Draws jitter, shimmer and noise.

    Shape:
        f0_hz, amplitude [N] -> [N].
    """
    cycles = np.cumsum(f0_hz) / rate_hz
    # Period k lasts 1 + jitter * normal cycles, so `bounds` are the closures in units of cycles.
    count = int(1.5 * cycles[-1]) + 20
    lengths = 1 + jitter * rng.standard_normal(count).clip(-3, 3)
    bounds = np.concatenate([[0.0], np.cumsum(lengths)])
    period = np.searchsorted(bounds, cycles, side="right") - 1
    place = (cycles - bounds[period]) / lengths[period]
    opening, closing = speaker.open_quotient * 5 / 7, speaker.open_quotient * 2 / 7
    x = place / opening
    y = (place - opening) / closing
    flow = np.where(x < 1, x * x * (3 - 2 * x), np.maximum(1 - y * y, 0) * (y < 1))
    # The flow is zero where periods meet, so a new amplitude for each makes no click.
    shimmer = 1 + SHIMMER_PER_JITTER * jitter * rng.standard_normal(count).clip(-3, 3)
    pulses: Array = np.diff(flow * amplitude * shimmer[period], prepend=0.0)
    breath = rng.standard_normal(len(flow)) * amplitude * (0.3 + 0.7 * flow)
    pulses += speaker.breathiness * _rms(pulses) / max(_rms(breath), 1e-12) * breath
    return pulses


def vocal_tract(
    source: Array, formants_hz: Array, tilt_db_per_octave: float, rate_hz: int
) -> Array:
    """Filter a source by five resonances that move.

    The source is cut into overlapping Hann windows, which add up to one. Each piece passes through
    its own filter, whole, with the ringing after its end, and the results are added. So one filter
    fades into the next, nothing is cut off, and where the formants stand still this is exactly
    the time-invariant filter.

    Args:
        source: Sound pressure at the glottis.
        formants_hz: Resonances every `HOP_S` seconds.
        tilt_db_per_octave: Slope added above 500 Hz.
        rate_hz: Sample rate.

    Shape:
        source [N], formants_hz [F, R] with F = N // hop + 2 -> [N + the ringing].
    """
    hop = _hop(rate_hz)
    frames = len(formants_hz)
    size = SPANNED_HOPS * hop
    # Frame f is centred on sample f * hop.
    padded = np.zeros((frames + 1) * hop)
    padded[hop : hop + len(source)] = source
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop]
    window = np.sin(np.pi * np.arange(2 * hop) / (2 * hop)) ** 2
    spectrum = np.fft.rfft(pieces * window, size)
    spectrum *= _tilt_gain(size, tilt_db_per_octave, rate_hz)
    denominator = _resonances(formants_hz, rate_hz)
    # A resonance passes 0 Hz unchanged (Klatt 1980): its gain is its denominator's sum.
    spectrum *= denominator.sum(axis=1, keepdims=True) / np.fft.rfft(denominator, size)
    rung = np.fft.irfft(spectrum, size).reshape(frames, SPANNED_HOPS, hop)
    out = np.zeros((frames + SPANNED_HOPS - 1, hop))
    for shift in range(SPANNED_HOPS):
        out[shift : shift + frames] += rung[:, shift]
    return out.reshape(-1)[hop:]


def _hop(rate_hz: int) -> int:
    return round(HOP_S * rate_hz)


def _resonances(formants_hz: Array, rate_hz: int) -> Array:
    """Denominators of the cascades, [F, 2R + 1].

    A resonance at f with bandwidth b has the poles r exp(+-i theta) with r = exp(-pi b / rate) and
    theta = 2 pi f / rate, so its denominator is 1 - 2 r cos(theta) z^-1 + r^2 z^-2.
    """
    frames, count = formants_hz.shape
    radius = np.exp(-np.pi * np.array(BANDWIDTHS_HZ) / rate_hz)
    first = -2 * radius * np.cos(2 * np.pi * formants_hz / rate_hz)
    product = np.zeros((frames, 2 * count + 1))
    product[:, 0] = 1
    for r in range(count):
        before = product.copy()
        product[:, 1:] += first[:, [r]] * before[:, :-1]
        product[:, 2:] += radius[r] ** 2 * before[:, :-2]
    return product


def _tilt_gain(size: int, tilt_db_per_octave: float, rate_hz: int) -> Array:
    frequency_hz = np.fft.rfftfreq(size, 1 / rate_hz)
    octaves = np.log2(np.maximum(frequency_hz, TILT_FROM_HZ) / TILT_FROM_HZ)
    return np.asarray(10 ** (tilt_db_per_octave * octaves / 20))


def _add_noises(
    speech: Array, placed: Sequence[_Placed], rate_hz: int, rng: np.random.Generator
) -> None:
    """Add each consonant's noise in place; levels are relative to the voiced parts'."""
    voiced_rms = _rms(speech)
    for p in placed:
        begin, end = round(p.noise_s * rate_hz), round(p.onset_s * rate_hz)
        if p.consonant.noise and end > begin:
            noise = rng.standard_normal(end - begin)
            frequency_hz = np.maximum(np.fft.rfftfreq(len(noise), 1 / rate_hz), 1.0)
            octaves = np.log2(frequency_hz / p.consonant.noise_hz)
            gain = np.exp(-0.5 * (octaves / p.consonant.noise_octaves) ** 2)
            noise = np.fft.irfft(np.fft.rfft(noise) * gain, len(noise)) * np.hanning(len(noise))
            level = voiced_rms * 10 ** (p.consonant.noise_db / 20)
            speech[begin:end] += level / max(_rms(noise), 1e-12) * noise


def _record(
    speech: Array, level_dbfs: float, rate_hz: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Set the level, put silence around it, add the room's noise, keep it from clipping."""
    before_s, after_s = rng.uniform(*SILENCE_S, 2)
    speech = speech * 10 ** (level_dbfs / 20) / max(_rms(speech), 1e-12)
    wave = np.pad(speech, (round(before_s * rate_hz), round(after_s * rate_hz)))
    wave += 10 ** (FLOOR_DBFS / 20) * rng.standard_normal(len(wave))
    wave *= min(1.0, PEAK / float(np.abs(wave).max()))
    return wave.astype(np.float32)


def _rms(wave: Array) -> float:
    return float(np.sqrt(np.mean(wave * wave)))
