"""The vocal tract: formants where the phones have them, and an exact filter while they stand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from embedcache.synthesis.phones import CONSONANTS, VOWELS, Syllable
from embedcache.synthesis.prosody import time_syllables
from embedcache.synthesis.tract import (
    BANDWIDTHS_HZ,
    CLOSED_F1_HZ,
    F4_F5_HZ,
    HOP_S,
    formant_tracks,
    vocal_tract,
)

RATE_HZ = 16_000


def still(name: str, frames: int, scale: float = 1.0) -> np.ndarray:
    return np.tile(scale * np.array([*VOWELS[name], *F4_F5_HZ]), (frames, 1))


@pytest.mark.parametrize("scale", [1.0, 1.17])
@pytest.mark.parametrize("name", VOWELS)
def test_resonances_of_the_filter_stand_at_the_formants(name: str, scale: float) -> None:
    click = np.zeros(RATE_HZ // 10)
    click[0] = 1.0
    formants_hz = still(name, 12, scale)
    response = vocal_tract(click, formants_hz, 0.0, RATE_HZ)
    gain = np.abs(np.fft.rfft(response, RATE_HZ))  # one bin a Hz
    for hz in formants_hz[0, :3]:
        near = np.arange(round(hz) - 60, round(hz) + 61)
        assert abs(int(near[gain[near].argmax()]) - hz) < 30


def test_still_formants_are_an_ordinary_filter() -> None:
    rng = np.random.default_rng(0)
    source, formants_hz = rng.standard_normal(4000), still("ah", 4000 // 160 + 2)
    expected = source
    for hz, bandwidth_hz in zip(formants_hz[0], BANDWIDTHS_HZ, strict=True):
        radius = np.exp(-np.pi * bandwidth_hz / RATE_HZ)
        denominator = [1, -2 * radius * np.cos(2 * np.pi * hz / RATE_HZ), radius**2]
        expected = lfilter([sum(denominator)], denominator, expected)
    got = vocal_tract(source, formants_hz, 0.0, RATE_HZ)[:4000]
    assert np.abs(got - expected).max() < 2e-3 * np.abs(expected).max()


def test_tilt_is_decibels_per_octave() -> None:
    click = np.eye(1, 1600, 800)[0]
    flat, tilted = (
        np.abs(np.fft.rfft(vocal_tract(click, still("ah", 12), tilt, RATE_HZ), RATE_HZ))
        for tilt in (0.0, -5.0)
    )
    change_db = 20 * np.log10(tilted / flat)
    assert change_db[[300, 1000, 2000, 4000]] == pytest.approx([0, -5, -10, -15], abs=0.2)


@settings(deadline=None)
@given(st.integers(1, 2000), st.integers(0, 99), st.sampled_from([16_000, 22_050, 48_000]))
def test_the_filter_is_linear_even_while_it_moves(samples: int, seed: int, rate_hz: int) -> None:
    rng = np.random.default_rng(seed)
    timed = time_syllables([Syllable("k", "iy"), Syllable("", "aa")], 5.0)
    formants_hz = formant_tracks(timed, samples, rate_hz)
    a, b = rng.standard_normal((2, samples))
    together = vocal_tract(a + 3 * b, formants_hz, 1.0, rate_hz)
    apart = vocal_tract(a, formants_hz, 1.0, rate_hz)
    apart += 3 * vocal_tract(b, formants_hz, 1.0, rate_hz)
    assert len(together) >= samples
    assert together == pytest.approx(apart, abs=1e-6)


@pytest.mark.parametrize("onset", CONSONANTS)
@pytest.mark.parametrize("vowel", VOWELS)
def test_formants_go_from_the_locus_to_the_vowel(onset: str, vowel: str) -> None:
    timed = time_syllables([Syllable(onset, vowel)], 1.0)
    tracks = formant_tracks(timed, RATE_HZ, RATE_HZ)
    assert len(tracks) == 1 / HOP_S + 2
    assert tracks[0, :2].tolist() == [CLOSED_F1_HZ, CONSONANTS[onset].f2_locus_hz]
    steady = round(timed[0].in_vowel_s(0.6) / HOP_S)
    assert tracks[steady, :3] == pytest.approx(VOWELS[vowel])
    assert (tracks[:, 3:] == F4_F5_HZ).all()
    for track in tracks.T[:3]:
        steps = np.diff(track)
        assert (steps >= -1e-9).all() or (steps <= 1e-9).all()
