"""The jackknife of a mean is the t interval of speakers' means; of anything else, of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from heads.intervals import effective_speakers, jackknife


def mean(tallies):
    return {"mean": tallies[..., 0] / tallies[..., 1]}


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_of_a_mean_it_is_the_t_interval(speakers, seed):
    values = np.random.default_rng(seed).standard_normal(speakers)
    tallies = np.stack([values, np.ones(speakers)], axis=1)
    found = jackknife(tallies, mean, {"mean": (-np.inf, np.inf)}, tallies[:, 1])
    expected = stats.t.interval(0.95, speakers - 1, values.mean(), stats.sem(values))
    assert found["mean"] == pytest.approx(expected)


def test_it_is_cut_at_the_limits_which_are_0_and_1_if_not_named():
    tallies = np.array([[-9.0, 1.0], [10.0, 1.0]])
    assert jackknife(tallies, mean, {}, np.ones(2))["mean"] == (0.0, 1.0)
    assert jackknife(tallies, mean, {"mean": (-3.0, 2.0)}, np.ones(2))["mean"] == (-3.0, 2.0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=12), st.integers(1, 9))
def test_speakers_count_by_their_clips(clips, factor):
    found = effective_speakers(np.array(clips))
    assert 1 <= found <= len(clips) + 1e-9
    assert effective_speakers(factor * np.array(clips)) == pytest.approx(found)
    # As many speakers without a clip change nothing, twice the speakers are twice as many.
    assert effective_speakers(np.array(clips + [0] * factor)) == pytest.approx(found)
    assert effective_speakers(np.array(clips * factor)) == pytest.approx(factor * found)


def test_unequal_clips_take_degrees_of_freedom():
    tallies = np.array([[0.2, 1.0], [0.6, 1.0], [0.5, 1.0], [4.1, 8.0]])
    limits = {"mean": (-np.inf, np.inf)}
    clips = tallies[:, 1]
    (low, high), (narrow_low, narrow_high) = (
        jackknife(tallies, mean, limits, own)["mean"] for own in (clips, np.ones(4))
    )
    effective = 121 / 67
    expected = stats.t.ppf(0.975, effective - 1) / stats.t.ppf(0.975, 3)
    assert (high - low) / (narrow_high - narrow_low) == pytest.approx(expected)
    for edges in ((low, high), (narrow_low, narrow_high)):
        assert sum(edges) / 2 == pytest.approx(5.4 / 11)
    # Seeds are as many clips again, of the same speakers.
    assert jackknife(np.stack([tallies] * 3), mean, limits, np.stack([clips] * 3))["mean"] == (
        pytest.approx((low, high))
    )


def test_a_speaker_who_has_nearly_all_clips_allows_none():
    tallies = np.array([[1.0, 2.0], [40.0, 60.0]])
    assert jackknife(tallies, mean, {}, np.array([2, 60])) == {"mean": None}
    assert jackknife(tallies, mean, {}, np.array([0, 60])) == {"mean": None}
    assert jackknife(tallies, mean, {}, np.array([0, 0])) == {"mean": None}
    assert jackknife(tallies, mean, {}, np.array([20, 60])) != {"mean": None}


def test_it_cannot_be_taken_without_saying_how_many_clips_each_speaker_has():
    with pytest.raises(TypeError, match="clips"):
        jackknife(np.ones((3, 2)), mean, {})


def test_one_speaker_or_an_undefined_score_allow_none():
    assert jackknife(np.array([[1.0, 2.0]]), mean, {}, np.ones(1)) == {"mean": None}

    def undefined(tallies):
        return {"mean": np.full(tallies.shape[:-1], np.nan)}

    assert jackknife(np.ones((3, 2)), undefined, {}, np.ones(3)) == {"mean": None}
