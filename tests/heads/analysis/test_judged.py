"""Scores of clips beside votes, and intervals that hold what was planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heads.analysis.judged import SCORES, clip_scores, interval, mean_score, sum_of
from heads.analysis.planted import speaker_effects
from heads.labels import majority
from tests.heads.analysis.judged_tables import make_judged

UNEQUAL = np.array([2] * 8 + [40] * 2)


def test_accuracy_is_of_the_runs_truth_and_the_rest_of_the_votes():
    judged = make_judged()
    perfect = replace(
        judged.tested, predictions=np.repeat(judged.votes.distributions[None], 2, axis=0)
    )
    found = clip_scores(replace(judged, tested=perfect))
    for name, best in (("js", 0.0), ("kl", 0.0), ("tau", 1.0)):
        known = found[name][~np.isnan(found[name])]
        assert known.size
        np.testing.assert_allclose(known, best, atol=1e-6)
    right = perfect.predictions.argmax(axis=2) == judged.tested.targets.argmax(axis=1)
    np.testing.assert_array_equal(found["wa"], right)
    assert set(found) == set(SCORES)


def test_a_clip_without_votes_or_with_a_tied_truth_is_not_scored():
    judged = make_judged(hard=False)
    judged.votes.counts[0, :4] = 0
    found = clip_scores(judged)
    for name in ("tau", "js", "kl"):
        assert np.isnan(found[name][:, 0]).all()
    tied = majority(judged.tested.targets) < 0
    assert tied.any()
    np.testing.assert_array_equal(np.isnan(found["wa"]), [tied, tied])


def test_a_mean_leaves_out_what_is_undefined():
    values = np.array([[1.0, np.nan, 0.0, 0.5], [0.0, 1.0, 0.0, 0.5]])
    found = mean_score("tau", values, np.array(list("aabb")))
    assert found["tau"] == pytest.approx((0.5 + 0.375) / 2)
    nothing = mean_score("tau", np.full((2, 4), np.nan), np.array(list("aabb")))
    assert nothing == {"tau": None, "tau_ci95": None}


def test_intervals_hold_the_planted_accuracy_where_clips_are_unequal():
    """Eight speakers with 2 clips, two with 40; with G - 1 degrees of freedom 86 % hold it."""
    repetitions, accuracy = 1000, 0.6
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(len(UNEQUAL)).astype(str), UNEQUAL)
    chances = accuracy + 0.1 * speaker_effects(rng, (repetitions, len(UNEQUAL)), 3.0)
    right = rng.random((repetitions, len(speakers))) < np.repeat(chances, UNEQUAL, axis=1)
    edges = np.array([mean_score("wa", own[None] * 1.0, speakers)["wa_ci95"] for own in right])
    covered = np.mean((edges[:, 0] <= accuracy) & (accuracy <= edges[:, 1]))
    assert covered >= 0.93


def test_an_unknown_speaker_leaves_no_interval():
    tallies = np.array([[1.0, 4.0], [3.0, 4.0], [2.0, 4.0]])
    clips = tallies[:, 1]

    def share(tallies):
        return {"wa": tallies[..., 0] / tallies[..., 1]}

    low, high = interval(tallies, share, clips, np.array(list("aabbcc")))["wa"]
    assert 0 <= low < 0.5 < high <= 1
    assert interval(tallies, share, clips, np.array(["a", "", "c"])) == {"wa": None}


def test_sums_are_by_group():
    assert sum_of(np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2]), 4).tolist() == [2, 0, 5, 0]
