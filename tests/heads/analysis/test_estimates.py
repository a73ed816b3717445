"""Contrasts of two groups: errors, degrees of freedom, and when there are none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from heads.analysis.estimates import contrast, contrast_with_zero, edges, estimate, number
from heads.analysis.planted import speaker_effects
from heads.analysis.rates import clips_of, compared_rates, speaker_weights
from tests.heads.analysis.answers import LABELS


def mean(tallies):
    return {"mean": tallies[..., 0] / tallies[..., 1]}


def group(values, clips):
    values, clips = np.array(values, float), np.array(clips, float)
    return np.stack([values * clips, clips], axis=1)


def kish(clips):
    return np.sum(clips) ** 2 / np.sum(np.square(clips))


def test_of_equal_clips_it_is_welchs_test():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.6, 0.2, 5), rng.normal(0.5, 0.05, 9)
    own, other = (estimate(group(v, [7] * len(v)), mean, np.full(len(v), 7)) for v in (x, y))
    found = contrast(own, other, crossed=False)
    wanted = stats.ttest_ind(x, y, equal_var=False)
    assert found.values == pytest.approx([x.mean() - y.mean()])
    assert found.p_values() == pytest.approx([wanted.pvalue])
    assert found.freedom == pytest.approx([wanted.df])
    assert found.interval()[0] == pytest.approx(list(wanted.confidence_interval()))


def test_of_crossed_groups_it_is_the_paired_test():
    x, y = np.random.default_rng(1).uniform(0.3, 0.8, (2, 8))
    own, other = (estimate(group(v, [5] * 8), mean, np.full(8, 5)) for v in (x, y))
    found = contrast(own, other, crossed=True)
    wanted = stats.ttest_rel(x, y)
    assert found.p_values() == pytest.approx([wanted.pvalue])
    assert found.interval()[0] == pytest.approx(list(wanted.confidence_interval()))
    alone = contrast_with_zero(own)
    assert alone.p_values() == pytest.approx([stats.ttest_1samp(x, 0).pvalue])


def test_crossed_groups_have_the_smaller_number_of_effective_speakers():
    even, uneven = np.full(6, 10), np.array([40, 4, 4, 4, 4, 4])
    values = np.random.default_rng(2).uniform(0.3, 0.8, (2, 6))
    own, other = (
        estimate(group(v, clips), mean, clips)
        for v, clips in zip(values, (even, uneven), strict=True)
    )
    for pair in ((own, other), (other, own)):
        assert contrast(*pair, crossed=True).freedom == pytest.approx([kish(uneven) - 1])


def test_each_score_has_the_freedom_of_those_it_rests_on():
    values, clips = [0.2, 0.4, 0.6, 0.8, 0.5, 0.3], np.full(6, 10)

    def twice(tallies):
        return {"all": mean(tallies)["mean"], "two": mean(tallies)["mean"]}

    weights = {"all": np.full(6, 1 / 6), "two": np.array([0.5, 0.5, 0, 0, 0, 0])}
    own = estimate(group(values, clips), twice, weights)
    assert own.effective == pytest.approx([6, 2])
    assert contrast_with_zero(own).freedom == pytest.approx([5, 1])
    assert estimate(group(values, clips), twice, clips).effective == pytest.approx([6, 6])


def test_who_has_nearly_all_clips_leaves_no_error_of_that_score_alone():
    values = {"all": np.full(6, 1.0), "one": np.array([50, 1, 1, 1, 1, 1.0])}
    own = estimate(
        group(np.linspace(0.2, 0.8, 6), [10] * 6),
        lambda t: dict.fromkeys(values, mean(t)["mean"]),
        values,
    )
    found = contrast_with_zero(own)
    assert np.isnan(found.error).tolist() == [False, True]
    assert np.isnan(found.interval()).any(axis=1).tolist() == [False, True]


def rare_class(rng, speakers=12, holders=2, clips=15):
    """Speakers of whom two alone have clips of the second class."""
    chance = 0.6 + 0.1 * speaker_effects(rng, (speakers, 1), 3.0)
    support = np.full((speakers, 3), clips)
    support[holders:, 1] = 0
    hits = rng.binomial(support, chance)
    return np.concatenate([support, hits, hits, np.zeros((speakers, 15))], axis=1).astype(float)


def test_the_interval_of_a_recall_that_two_speakers_hold_covers_a_gap_of_nothing():
    """Of all clips there are 11 effective speakers a side, of that class 2."""
    rng, repetitions = np.random.default_rng(3), 400
    held = {"rates": 0, "clips": 0}

    def recall(tallies):
        return {"recall:happy": compared_rates(tallies, LABELS)["recall:happy"]}

    for _ in range(repetitions):
        x, y = rare_class(rng), rare_class(rng)
        for name, of in (("rates", lambda g: speaker_weights(g, LABELS)),
                         ("clips", lambda g: clips_of(g, 3))):  # fmt: skip
            found = contrast(*(estimate(g, recall, of(g)) for g in (x, y)), crossed=False)
            low, high = found.interval()[0]
            held[name] += not (low > 0 or high < 0)
    assert held["rates"] >= stats.binom.ppf(1e-3, repetitions, 0.95)
    assert held["clips"] < stats.binom.ppf(1e-3, repetitions, 0.95)


def test_speakers_who_do_not_differ_have_no_interval():
    own = estimate(group([0.5] * 4, [8] * 4), mean, np.full(4, 8))
    for found in (contrast(own, own, crossed=True), contrast_with_zero(own)):
        assert np.isnan(found.error).all()
        assert edges(found.interval()[0]) is None


def test_what_is_undefined_is_none():
    assert [number(x) for x in (0.5, np.nan, np.inf)] == [0.5, None, None]
    assert edges(np.array([0.1, np.inf])) is None


def test_logarithms_of_nothing_are_undefined():
    own = estimate(group([0.0, 0.0, 0.4], [5] * 3), mean, np.full(3, 5)).logarithms
    assert own.values == pytest.approx([np.log(0.4 / 3)])
    assert np.isnan(own.without[0]).tolist() == [False, False, True]
