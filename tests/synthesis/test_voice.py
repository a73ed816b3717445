"""The voice obeys the physics that its arguments name, as measured in what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_toeplitz

from embedcache.errors import UsageError
from embedcache.synthesis.phones import CONSONANTS, VOWELS, Syllable
from embedcache.synthesis.prosody import Prosody
from embedcache.synthesis.voice import Speaker, say

RATE_HZ = 16_000
MAN = Speaker(115.0)
WOMAN = Speaker(205.0, formant_scale=1.17, breathiness=0.08, open_quotient=0.62)
FLAT = Prosody(range_semitones=0.0, slope_semitones=0.0, jitter=0.0)
SENTENCE = [
    Syllable("t", "aa", 1.0),
    Syllable("m", "iy", 0.2),
    Syllable("s", "ae", 0.8),
    Syllable("k", "ao", 0.9, pause=0.5),
    Syllable("l", "eh", 0.3),
]


def speak(
    syllables: Sequence[Syllable] = SENTENCE,
    speaker: Speaker = MAN,
    prosody: Prosody = FLAT,
    seed: int = 0,
    rate_hz: int = RATE_HZ,
) -> np.ndarray:
    return say(syllables, speaker, prosody, rate_hz, np.random.default_rng(seed))


def vowel(name: str, speaker: Speaker = MAN, prosody: Prosody = FLAT) -> np.ndarray:
    """The steady middle of one vowel that is held for a second."""
    wave = speak([Syllable("", name)], speaker, replace(prosody, syllables_per_s=1.0))
    middle = len(wave) // 2
    return wave[middle : middle + RATE_HZ // 4].astype(float)


# --- What is measured ---


def f0_hz(wave: np.ndarray) -> float:
    """The first high peak of the autocorrelation between 60 and 400 Hz, with a parabola in it."""
    spectrum = np.fft.rfft(wave * np.hanning(len(wave)), 4 * len(wave))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    lags = np.arange(RATE_HZ // 400, RATE_HZ // 60)
    here = correlation[lags]
    peak = (here > correlation[lags - 1]) & (here >= correlation[lags + 1])
    # Every multiple of the period is a peak, too.
    lag = lags[peak & (here > 0.95 * here[peak].max())][0]
    a, b, c = correlation[lag - 1 : lag + 2]
    return RATE_HZ / (lag + 0.5 * (a - c) / (a - 2 * b + c))


def lpc_formants_hz(wave: np.ndarray, order: int = 14) -> np.ndarray:
    """Angles of the poles of linear prediction (autocorrelation method), narrow ones only."""
    wave = np.append(wave[0], wave[1:] - 0.97 * wave[:-1]) * np.hamming(len(wave))
    correlation = np.correlate(wave, wave, "full")[len(wave) - 1 :][: order + 1]
    predictor = solve_toeplitz(correlation[:-1], correlation[1:])
    poles = np.roots([1, *-predictor])
    poles = poles[poles.imag > 0]
    narrow = poles[-np.log(np.abs(poles)) * RATE_HZ / np.pi < 500]
    return np.sort(np.angle(narrow) * RATE_HZ / (2 * np.pi))


def energy_share_above(wave: np.ndarray, hz: float) -> float:
    power = np.abs(np.fft.rfft(wave)) ** 2
    return power[np.fft.rfftfreq(len(wave), 1 / RATE_HZ) > hz].sum() / power.sum()


def rms_db(wave: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(wave, dtype=float)))


def loud_seconds(wave: np.ndarray) -> float:
    """From the first to the last 10 ms that stand 12 dB above the room's noise at -66 dB."""
    pieces = wave[: len(wave) // 160 * 160].reshape(-1, 160)
    loud = np.flatnonzero(10 * np.log10(np.mean(pieces**2, axis=1)) > -54)
    return (loud[-1] + 1 - loud[0]) * 0.01


# --- The speaker ---


@pytest.mark.parametrize("speaker", [MAN, WOMAN], ids=["man", "woman"])
@pytest.mark.parametrize("semitones", [-4.0, 0.0, 5.0])
def test_measured_f0_is_the_asked_one(speaker: Speaker, semitones: float) -> None:
    wave = vowel("eh", speaker, replace(FLAT, pitch_semitones=semitones))
    assert f0_hz(wave) == pytest.approx(speaker.f0_hz * 2 ** (semitones / 12), rel=0.01)


@pytest.mark.parametrize("name", ["aa", "eh", "ae"])
def test_linear_prediction_finds_the_formants_in_speech(name: str) -> None:
    found = lpc_formants_hz(vowel(name, Speaker(100.0)))
    for hz in VOWELS[name]:
        assert np.abs(found / hz - 1).min() < 0.08


def test_scale_moves_all_formants() -> None:
    man, other = (lpc_formants_hz(vowel("eh", Speaker(100.0, scale)))[:3] for scale in (1, 1.17))
    assert other / man == pytest.approx([1.17] * 3, rel=0.06)


def test_breath_fills_the_gaps_between_harmonics() -> None:
    def noise_share(breathiness: float) -> float:
        wave = vowel("eh", Speaker(120.0, breathiness=breathiness))
        delayed = wave[RATE_HZ // 120 :]
        return np.mean((wave[: len(delayed)] - delayed) ** 2) / np.mean(wave**2)

    assert noise_share(0.4) > 2 * noise_share(0.0)


# --- The prosody ---


def test_slope_moves_the_pitch_without_moving_its_mean() -> None:
    wave = speak([Syllable("", "eh")], MAN, replace(FLAT, slope_semitones=6.0, syllables_per_s=1.0))
    third = len(wave) // 3
    early, late = f0_hz(wave[third - 800 : third + 800]), f0_hz(wave[-third - 800 : -third + 800])
    assert 1.1 < late / early < 1.25
    assert np.sqrt(early * late) == pytest.approx(MAN.f0_hz, rel=0.05)


def test_range_raises_the_stressed_syllable() -> None:
    two = [Syllable("", "eh", 0.0), Syllable("", "eh", 1.0)]
    wave = speak(two, MAN, replace(FLAT, range_semitones=8.0, syllables_per_s=2.0))
    half = len(wave) // 2
    assert f0_hz(wave[half : half + 6400]) > 1.2 * f0_hz(wave[half - 5600 : half - 800])


@pytest.mark.parametrize("above_hz", [1000, 2000])
def test_steeper_tilt_leaves_less_above(above_hz: float) -> None:
    shares = [
        energy_share_above(speak(prosody=replace(FLAT, tilt_db_per_octave=tilt)), above_hz)
        for tilt in (-4.0, -2.0, 0.0, 2.0, 4.0)
    ]
    assert shares == sorted(shares) and shares[-1] > 2 * shares[0]


@pytest.mark.parametrize("tempo", [3.0, 5.0, 7.0])
def test_tempo_is_syllables_per_second(tempo: float) -> None:
    wave = speak(prosody=replace(FLAT, syllables_per_s=tempo))
    # Five syllables and a pause of half of one; the closures at both ends cannot be heard.
    assert loud_seconds(wave) == pytest.approx(5.5 / tempo, rel=0.12)


def test_level_is_the_rms() -> None:
    waves = [speak(prosody=replace(FLAT, level_dbfs=level)) for level in (-32, -26, -20)]
    quiet, middle, loud = map(rms_db, waves)
    assert (middle - quiet, loud - middle) == (pytest.approx(6, abs=0.1), pytest.approx(6, abs=0.1))
    assert middle == pytest.approx(-27, abs=1.5)  # the silence around takes about 1 dB


# --- The consonants ---


@pytest.mark.parametrize("onset", CONSONANTS)
@pytest.mark.parametrize("speaker", [MAN, WOMAN], ids=["man", "woman"])
def test_nothing_clicks(onset: str, speaker: Speaker) -> None:
    wave = speak([Syllable(onset, v) for v in ("aa", "iy", "ao", "eh")], speaker)
    # A click is a jump of the wave's own size within a sample. Noise jumps more than voice does.
    limit = 0.7 if CONSONANTS[onset].frication else 0.4
    assert np.abs(np.diff(wave)).max() < limit * np.abs(wave).max()


def test_noise_consonants_are_noise_at_their_own_height() -> None:
    def centre_hz(onset: str) -> float:
        wave = speak([Syllable(onset, "aa")], MAN, replace(FLAT, syllables_per_s=2.0), seed=1)
        begin = int(np.flatnonzero(np.abs(wave) > 0.01)[0])
        power = np.abs(np.fft.rfft(wave[begin : begin + 1600])) ** 2
        return np.average(np.fft.rfftfreq(1600, 1 / RATE_HZ), weights=power)

    assert 3000 < centre_hz("sh") < 4800 < centre_hz("s") < 7500


# --- Whatever is said ---

syllables = st.builds(
    Syllable,
    onset=st.sampled_from(sorted(CONSONANTS)),
    vowel=st.sampled_from(sorted(VOWELS)),
    stress=st.floats(0, 1),
    pause=st.floats(0, 1),
)
prosodies = st.builds(
    Prosody,
    pitch_semitones=st.floats(-8, 12),
    range_semitones=st.floats(0, 16),
    slope_semitones=st.floats(-12, 12),
    syllables_per_s=st.floats(2, 9),
    level_dbfs=st.floats(-50, 0),
    tilt_db_per_octave=st.floats(-6, 6),
    jitter=st.floats(0, 0.08),
)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(syllables, min_size=1, max_size=6),
    st.sampled_from([MAN, WOMAN]),
    prosodies,
    st.sampled_from([16_000, 22_050, 48_000]),
)
def test_it_is_finite_unclipped_and_surrounded_by_silence(
    said: list[Syllable], who: Speaker, how: Prosody, rate_hz: int
) -> None:
    wave = speak(said, who, how, rate_hz=rate_hz)
    assert wave.dtype == np.float32 and wave.ndim == 1
    assert np.isfinite(wave).all() and np.abs(wave).max() < 0.951
    edge = int(0.05 * rate_hz)
    assert np.abs(wave[:edge]).max() < 0.005 and np.abs(wave[-edge:]).max() < 0.005
    assert wave[:edge].std() > 0  # a room, not digital zero


def test_the_generator_decides_everything_random() -> None:
    assert np.array_equal(speak(seed=3), speak(seed=3))
    assert not np.array_equal(speak(seed=3)[:8000], speak(seed=4)[:8000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Speaker(0.0), "f0_hz, formant_scale and open_quotient must be above 0"),
        (lambda: Speaker(100.0, open_quotient=1.5), "the last one at most 1"),
        (lambda: speak([]), "there are no syllables to say"),
        (lambda: speak(speaker=WOMAN, rate_hz=8000), "rate_hz 8000 is too low.*use at least 11583"),
    ],
)
def test_what_cannot_be_said(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
