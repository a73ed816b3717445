"""The test that gaps have: few false alarms where permutations alone have many, and its power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from heads.analysis.estimates import contrast, estimate
from heads.analysis.gap_tests import gap_tests
from heads.analysis.permutation import permutation_test
from heads.analysis.power import attainable_level, smallest_detectable


def mean(tallies):
    return {"mean": tallies[..., 0] / tallies[..., 1]}


def group(rng, speakers, spread, center=0.0):
    values = rng.normal(center, spread, speakers)
    return np.stack([values, np.ones(speakers)], axis=1)


def found_by(x, y):
    own, other = (estimate(g, mean, g[:, 1]) for g in (x, y))
    return gap_tests((x, y, 0), contrast(own, other, crossed=False), mean, 1, 0)["mean"]


def test_three_speakers_who_spread_thrice_as_far_raise_few_false_alarms():
    rng, repetitions = np.random.default_rng(0), 1000
    alarms = {"both": 0, "permutation": 0}
    for _ in range(repetitions):
        x, y = group(rng, 3, 0.15), group(rng, 7, 0.05)
        alarms["both"] += found_by(x, y).p <= 0.05
        alarms["permutation"] += permutation_test(x, y, mean)[0]["mean"] <= 0.05
    assert alarms["both"] <= stats.binom.ppf(0.999, repetitions, 0.063)  # docs/statistics.md
    assert alarms["permutation"] > stats.binom.ppf(0.999, repetitions, 0.063)


@pytest.mark.parametrize(("speakers", "smallest_p"), [(4, 2 / 70), (5, 2 / 252)])
def test_the_smallest_detectable_gap_is_found_in_two_of_three(speakers, smallest_p):
    """It is called 80 % power, and found in 70 to 79 % (docs/statistics.md)."""
    rng, repetitions = np.random.default_rng(1), 600
    level = attainable_level(0.05, smallest_p)
    error, freedom = 0.1 * np.sqrt(2 / speakers), 2.0 * (speakers - 1)
    gap = float(smallest_detectable(np.array(error), np.array(freedom), level))
    found = 0
    for _ in range(repetitions):
        test = found_by(group(rng, speakers, 0.1, gap), group(rng, speakers, 0.1))
        assert test.smallest_p == smallest_p
        found += test.p <= 0.05
    assert stats.binom.ppf(1e-3, repetitions, 0.69) <= found
    assert found <= stats.binom.ppf(1 - 1e-3, repetitions, 0.8)


def test_without_an_error_the_permutations_decide():
    x, y = np.tile([1.0, 1.0], (4, 1)), np.tile([0.0, 1.0], (4, 1))
    assert found_by(x, y).p == 2 / 70


def test_crossed_groups_are_exchanged_within_speakers():
    """Tallies begin with how many utterances there are of each class."""

    def rate(tallies):
        return {"rate": tallies[..., 1] / tallies[..., 0]}

    clips, hits = np.full(6, 10.0), np.arange(6.0)
    x, y = np.stack([clips, hits + 3], axis=1), np.stack([clips, hits], axis=1)
    own, other = (estimate(g, rate, clips) for g in (x, y))
    found = contrast(own, other, crossed=True)
    assert gap_tests((x, y, 6), found, rate, 1, 0)["rate"].p == 2 / 64
    y[0] *= 2
    assert gap_tests((x, y, 6), found, rate, 1, 0) == {"rate": None}
