"""Levels: what is scaled has the level that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.synthesis.levels import rms, scale_to_rms


@given(st.floats(1e-3, 1e3), st.integers(2, 500), st.integers(0, 99))
def test_the_level_is_the_asked_one_and_the_shape_is_kept(
    target: float, samples: int, seed: int
) -> None:
    wave = np.random.default_rng(seed).standard_normal(samples)
    scaled = scale_to_rms(wave, target)
    assert rms(scaled) == pytest.approx(target)
    assert scaled / rms(scaled) == pytest.approx(wave / rms(wave))


def test_silence_stays_silence() -> None:
    assert not scale_to_rms(np.zeros(9), 1.0).any()


@given(st.floats(0, 6.28), st.floats(0.01, 100))
def test_a_sine_is_three_decibels_below_its_peak(phase: float, peak: float) -> None:
    sine = peak * np.sin(2 * np.pi * np.arange(400) / 40 + phase)
    assert rms(sine) == pytest.approx(peak / np.sqrt(2))
