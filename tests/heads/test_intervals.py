"""The jackknife of a mean is the t interval of speakers' means; of anything else, of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from heads.intervals import jackknife


def mean(tallies):
    return {"mean": tallies[..., 0] / tallies[..., 1]}


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_of_a_mean_it_is_the_t_interval(speakers, seed):
    values = np.random.default_rng(seed).standard_normal(speakers)
    tallies = np.stack([values, np.ones(speakers)], axis=1)
    found = jackknife(tallies, mean, {"mean": (-np.inf, np.inf)})
    expected = stats.t.interval(0.95, speakers - 1, values.mean(), stats.sem(values))
    assert found["mean"] == pytest.approx(expected)


def test_it_is_cut_at_the_limits_which_are_0_and_1_if_not_named():
    tallies = np.array([[-9.0, 1.0], [10.0, 1.0]])
    assert jackknife(tallies, mean, {})["mean"] == (0.0, 1.0)
    assert jackknife(tallies, mean, {"mean": (-3.0, 2.0)})["mean"] == (-3.0, 2.0)


def test_one_speaker_or_an_undefined_score_allow_none():
    assert jackknife(np.array([[1.0, 2.0]]), mean, {}) == {"mean": None}

    def undefined(tallies):
        return {"mean": np.full(tallies.shape[:-1], np.nan)}

    assert jackknife(np.ones((3, 2)), undefined, {}) == {"mean": None}
