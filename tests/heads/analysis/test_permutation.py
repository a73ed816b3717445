"""Permuting groups over speakers: against scipy, by enumeration, and under planted nulls."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy import stats

from heads.analysis import permutation
from heads.analysis.permutation import permutation_test
from heads.analysis.rates import compared_rates, count_by
from tests.heads.analysis.answers import LABELS, answers, make_tested


def score(tallies):
    return compared_rates(tallies, LABELS)


def tallies_of(truth, guess, names):
    _, codes = np.unique(names, return_inverse=True)
    return count_by(make_tested(truth, guess, names), codes, codes.max() + 1)


def accuracies(right, clips):
    """Tallies of speakers with equally many clips, of which so many are right."""
    truth = np.zeros(len(right) * clips, int)
    guess = np.concatenate([np.where(np.arange(clips) < n, 0, 1) for n in right])
    return tallies_of(truth, guess, np.repeat([f"s{g:02}" for g in range(len(right))], clips))


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(permutation, "DRAWS", 199)


@pytest.mark.parametrize("sizes", [(4, 5), (5, 5), (2, 6)])
def test_with_equal_clips_p_is_that_of_scipys_permuted_welch_t(sizes):
    right = np.random.default_rng(sum(sizes)).choice(40, sum(sizes), replace=False)
    tallies = accuracies(right, 40)
    p, smallest = permutation_test(tallies[: sizes[0]], tallies[sizes[0] :], score)

    def welch_t(x, y, axis):
        return np.abs(stats.ttest_ind(x, y, equal_var=False, axis=axis).statistic)

    wanted = stats.permutation_test(
        (right[: sizes[0]] / 40, right[sizes[0] :] / 40), welch_t, alternative="greater"
    )
    assert p["wa"] == pytest.approx(wanted.pvalue)
    assert smallest == (2 if sizes[0] == sizes[1] else 1) / comb(sum(sizes), sizes[0])


def test_p_of_each_rate_is_the_share_of_all_permutations():
    """Seven speakers, three of them in a: 35 ways to choose who is in a."""
    tallies = tallies_of(*answers(7, 30, 4))

    def welch_t(chosen):
        parts = tallies[list(chosen)], np.delete(tallies, list(chosen), axis=0)
        gap, variance = {}, {}
        for sign, part in zip((1, -1), parts, strict=True):
            left_out = [score(np.delete(part, g, axis=0).sum(axis=0)) for g in range(len(part))]
            for name, value in score(part.sum(axis=0)).items():
                gap[name] = gap.get(name, 0) + sign * value
                own = np.var([found[name] for found in left_out]) * (len(part) - 1)
                variance[name] = variance.get(name, 0) + own
        return {name: abs(gap[name]) / np.sqrt(variance[name]) for name in gap}

    everything = [welch_t(chosen) for chosen in combinations(range(7), 3)]
    p, _ = permutation_test(tallies[:3], tallies[3:], score)
    for name in p:
        t = np.array([found[name] for found in everything])
        assert p[name] == pytest.approx((t >= t[0] * (1 - 1e-9)).mean()), name


def test_drawn_permutations_agree_with_all(monkeypatch):
    tallies = tallies_of(*answers(12, 30, 5))  # 924 permutations
    exact, smallest = permutation_test(tallies[:6], tallies[6:], score)
    assert smallest == 2 / 924
    monkeypatch.setattr(permutation, "DRAWS", 900)
    drawn, at_least = permutation_test(tallies[:6], tallies[6:], score)
    assert at_least == 1 / 901
    for name, p in drawn.items():
        low, high = stats.binom.interval(1 - 1e-6, 900, exact[name])
        assert (low + 1) / 901 <= p <= (high + 1) / 901
        assert p != exact[name]


def test_of_many_speakers_fewer_permutations_are_drawn():
    tallies = accuracies(np.random.default_rng(0).integers(3, 9, 420), 10)
    _, smallest = permutation_test(tallies[:210], tallies[210:], score)
    assert smallest == 1 / 2000


def test_a_seed_repeats_the_draws():
    tallies = tallies_of(*answers(20, 10, 7))
    first, second, other = (
        permutation_test(tallies[:10], tallies[10:], score, seed)[0] for seed in (1, 1, 2)
    )
    assert first == second != other


def test_p_is_uniform_where_there_is_no_gap(few_draws):
    """Speakers differ and groups do not: p falls below any level as often as that level."""
    repetitions, p_values = 300, []
    for seed in range(repetitions):
        tallies = tallies_of(*answers(12, 60, seed))  # many clips, few equal gaps
        p_values.append(list(permutation_test(tallies[:6], tallies[6:], score, seed)[0].values()))
    for level in (0.05, 0.2, 0.5, 0.8):
        below = (np.array(p_values) <= level).sum(axis=0)
        low, high = stats.binom.interval(1 - 1e-5, repetitions, level)
        assert ((low <= below) & (below <= high)).all()


def test_p_holds_where_the_smaller_group_varies_more(few_draws):
    """Janssen (1997), doi 10.1016/S0167-7152(97)00043-6: a permuted gap alone would not."""
    rng = np.random.default_rng(0)
    repetitions, sizes = 200, (8, 24)
    spread = np.repeat([0.15, 0.03], sizes)
    below = 0
    for seed in range(repetitions):
        skill = np.clip(0.6 + spread * rng.standard_normal(32), 0, 1)
        tallies = accuracies(rng.binomial(100, skill), 100)
        below += permutation_test(tallies[:8], tallies[8:], score, seed)[0]["wa"] <= 0.05
    assert below <= stats.binom.isf(1e-4, repetitions, 0.05)


def test_equal_groups_have_a_p_of_one_and_an_undefined_rate_none():
    tallies = accuracies([20] * 8, 40)
    p, _ = permutation_test(tallies[:4], tallies[4:], score)
    assert p["wa"] == 1
    assert p["recall:happy"] is None  # it does not occur


def test_groups_without_any_spread_are_as_far_apart_as_can_be():
    tallies = accuracies([40] * 4 + [0] * 4, 40)
    p, smallest = permutation_test(tallies[:4], tallies[4:], score)
    assert p["wa"] == smallest == 2 / 70
