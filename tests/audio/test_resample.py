from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio.functional as audio
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.audio.resample import _by_sum, resample
from tests.material import noise

USUAL = [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (11_025, 16_000), (22_050, 24_000)]


@pytest.mark.parametrize(("from_hz", "to_hz"), USUAL)
def test_usual_rates_are_torchaudios_own_numbers(from_hz: int, to_hz: int) -> None:
    clip = noise(0.5, 0, from_hz)
    theirs = audio.resample(torch.from_numpy(clip), from_hz, to_hz).numpy()
    np.testing.assert_array_equal(resample(clip, from_hz, to_hz), theirs)


@pytest.mark.parametrize(("up", "down"), [(160, 441), (2, 1), (1, 3), (640, 441), (8000, 12207)])
def test_the_sparse_sum_is_torchaudios_function(up: int, down: int) -> None:
    clip = noise(0.05, 1, 20_000)
    theirs = audio.resample(torch.from_numpy(clip).double(), down, up).numpy()
    np.testing.assert_allclose(_by_sum(clip, up, down), theirs, atol=2e-7)


@settings(deadline=None, max_examples=40)
@given(st.integers(4_000, 60_000))
def test_a_tone_below_both_limits_stays_that_tone(from_hz: int) -> None:
    """A sine of 500 Hz, resampled at any ratio, is a sine of 500 Hz, away from the edges."""
    time = np.arange(from_hz // 4) / from_hz
    output = resample(np.sin(2 * np.pi * 500 * time).astype(np.float32), from_hz, 16_000)
    assert len(output) == -(-len(time) * 16_000 // from_hz)
    expected = np.sin(2 * np.pi * 500 * np.arange(len(output)) / 16_000)
    middle = slice(200, len(output) - 200)
    np.testing.assert_allclose(output[middle], expected[middle], atol=0.012)


def test_a_tone_above_the_new_limit_is_gone() -> None:
    time = np.arange(24_414) / 24_414
    output = resample(np.sin(2 * np.pi * 10_500 * time).astype(np.float32), 24_414, 16_000)
    assert np.abs(output[200:-200]).max() < 0.02


def test_the_same_rate_changes_nothing() -> None:
    clip = noise(0.1, 0)
    assert resample(clip, 16_000, 16_000) is clip
