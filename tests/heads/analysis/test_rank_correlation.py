"""Spearman's correlation over many sets of speakers at once is scipy's over each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from heads.analysis import rank_correlation as module
from heads.analysis.rank_correlation import rank_correlation, spearman_of_sets


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), levels=st.integers(2, 30))
def test_each_set_has_scipys_correlation(seed, levels):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 5, 60)
    x, y = rng.integers(0, levels, (2, 60)).astype(float)
    kept = (rng.random((7, 5)) < 0.7).astype(float)
    found = spearman_of_sets(x, y, codes, kept)
    for members, value in zip(kept, found, strict=True):
        inside = members[codes] > 0
        if inside.sum() < 2 or np.ptp(x[inside]) == 0 or np.ptp(y[inside]) == 0:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(stats.spearmanr(x[inside], y[inside]).statistic)


def test_many_clips_are_taken_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50))
    codes, kept = rng.integers(0, 9, 50), 1 - np.eye(9)
    whole = spearman_of_sets(x, y, codes, kept)
    monkeypatch.setattr(module, "_AT_ONCE", 120)
    np.testing.assert_array_equal(spearman_of_sets(x, y, codes, kept), whole)


def test_many_speakers_are_left_out_in_groups(monkeypatch):
    """The interval is that of single speakers, but for chance."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(400), 4)
    voice = rng.normal(size=400)[codes]
    x = rng.normal(size=1600) + voice
    y = x + rng.normal(size=1600) - voice
    speakers = np.array([f"s{code:03}" for code in codes])
    grouped = rank_correlation(x, y, speakers, ("x", "y"))
    monkeypatch.setattr(module, "_GROUPS", 400)
    single = rank_correlation(x, y, speakers, ("x", "y"))
    assert grouped["spearman"] == single["spearman"]
    widths = [high - low for low, high in (grouped["ci95"], single["ci95"])]
    assert widths[0] != widths[1]
    assert widths[0] == pytest.approx(widths[1], rel=0.3)


def test_values_that_are_not_known_are_left_out():
    x = np.array([1.0, 2, 3, 4, 9])
    y = np.array([2.0, 4, 5, 7, np.nan])
    found = rank_correlation(x, y, np.array(list("abcab")), ("x", "y"))
    assert (found["spearman"], found["n"]) == (pytest.approx(1), 4)


def test_a_speaker_without_whom_it_is_undefined_leaves_no_interval():
    found = rank_correlation(
        np.array([1.0, 1, 1, 2]), np.array([1.0, 3, 2, 4]), np.array(list("aabc")), ("x", "y")
    )
    assert found["spearman"] is not None
    assert found["ci95"] is None
