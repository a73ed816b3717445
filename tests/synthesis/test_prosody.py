"""Prosody: tempo, pitch and loudness are those that were asked for, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.errors import UsageError
from embedcache.synthesis.phones import CONSONANTS, VOWELS, Syllable
from embedcache.synthesis.prosody import (
    Prosody,
    pitch_semitones,
    time_syllables,
    voicing_amplitude,
)

sentences = st.lists(
    st.builds(
        Syllable,
        onset=st.sampled_from(sorted(CONSONANTS)),
        vowel=st.sampled_from(sorted(VOWELS)),
        stress=st.floats(0, 1),
        pause=st.floats(0, 1),
    ),
    min_size=1,
    max_size=6,
)
FLAT = Prosody(range_semitones=0.0, slope_semitones=0.0)


def pitch(sentence: list[Syllable], prosody: Prosody) -> tuple[np.ndarray, np.ndarray]:
    """Semitones and the amplitude there, 1000 times a second."""
    timed = time_syllables(sentence, prosody.syllables_per_s)
    times_s = np.arange(0, timed[-1].end_s, 0.001)
    amplitude = voicing_amplitude(timed, times_s)
    return pitch_semitones(timed, prosody, times_s, amplitude), amplitude


@given(sentences, st.floats(1, 10))
def test_tempo_is_syllables_per_second_and_pauses_come_on_top(
    sentence: list[Syllable], tempo: float
) -> None:
    timed = time_syllables(sentence, tempo)
    spoken_s = sum(t.end_s - t.begin_s for t in timed)
    assert spoken_s == pytest.approx(len(sentence) / tempo)
    assert timed[-1].end_s == pytest.approx(spoken_s + sum(s.pause for s in sentence) / tempo)


@given(sentences)
def test_times_are_in_order(sentence: list[Syllable]) -> None:
    timed = time_syllables(sentence, 5.0)
    times_s = [s for t in timed for s in (t.begin_s, t.release_s, t.vowel_s, t.end_s)]
    assert times_s == sorted(times_s) and times_s[0] >= 0
    assert [t.syllable for t in timed] == sentence


def test_stressed_and_final_syllables_are_longer() -> None:
    weak, strong = Syllable("m", "aa", 0.0), Syllable("m", "aa", 1.0)
    first, second, third, last = (
        t.end_s - t.begin_s for t in time_syllables([weak, strong, weak, weak], 5.0)
    )
    assert second > first == pytest.approx(third)
    assert last > third


@given(sentences)
def test_voicing_is_between_silence_and_full_and_ends_in_silence(sentence: list[Syllable]) -> None:
    timed = time_syllables(sentence, 5.0)
    amplitude = voicing_amplitude(timed, np.linspace(0, timed[-1].end_s, 500))
    assert amplitude.min() >= 0 and 0 < amplitude.max() <= 1
    assert amplitude[0] == 0 and amplitude[-1] == pytest.approx(0, abs=1e-9)


def test_pauses_and_closures_of_stops_have_no_voice() -> None:
    timed = time_syllables([Syllable("m", "aa"), Syllable("t", "iy", pause=1.0)], 5.0)
    silent_s = np.linspace(timed[0].end_s, timed[1].vowel_s, 50)
    assert voicing_amplitude(timed, silent_s) == pytest.approx(np.zeros(50))


@given(sentences, st.floats(-8, 12), st.floats(0, 16), st.floats(-12, 12))
def test_mean_pitch_of_the_voice_is_the_asked_one(
    sentence: list[Syllable], semitones: float, height: float, slope: float
) -> None:
    prosody = Prosody(semitones, height, slope)
    contour, amplitude = pitch(sentence, prosody)
    assert np.average(contour, weights=amplitude) == pytest.approx(semitones, abs=1e-9)


@given(sentences, st.floats(-12, 12))
def test_slope_is_the_rise_from_beginning_to_end(sentence: list[Syllable], slope: float) -> None:
    contour, _ = pitch(sentence, replace(FLAT, slope_semitones=slope))
    assert contour[-1] - contour[0] == pytest.approx(slope, abs=0.15)


@given(st.floats(0, 1), st.floats(0, 16))
def test_range_is_the_peak_of_a_fully_stressed_syllable(stress: float, height: float) -> None:
    contour, _ = pitch([Syllable("m", "aa", stress)], replace(FLAT, range_semitones=height))
    assert np.ptp(contour) == pytest.approx(stress * height, rel=0.03)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"syllables_per_s": 0.0}, "syllables_per_s 0.0 must be above 0"),
        ({"syllables_per_s": float("nan")}, "syllables_per_s nan must be above 0"),
        ({"jitter": 0.5}, "jitter 0.5 must lie between 0 and 0.08"),
        ({"jitter": -0.1}, "jitter -0.1 must lie between 0 and 0.08"),
    ],
)
def test_what_no_voice_can_do(setting: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Prosody(**setting)
