"""Exchanging within speakers: against scipy, against all patterns, and when it is not valid."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from heads.analysis.exchange import DRAWS, addends, swap_test, within_speaker_test
from heads.analysis.rates import compared_rates, count_by, rates
from heads.analysis.significance import sign_flip
from tests.heads.analysis.answers import LABELS, answers, make_tested


def gap(x, y):
    one, other = compared_rates(x, LABELS), compared_rates(y, LABELS)
    return {name: one[name] - other[name] for name in one}


def two_rooms(speakers, clips, seed):
    """Tallies of speakers in two rooms, each with equally many clips of each class in both."""
    rng = np.random.default_rng(seed)
    truth = np.tile(np.repeat(np.arange(3), clips), 2 * speakers)
    guess = np.where(rng.random(len(truth)) < 0.6, truth, rng.integers(0, 3, len(truth)))
    names = np.repeat([f"s{g:02}" for g in range(speakers)], 6 * clips)
    cells = np.repeat(np.arange(2 * speakers), 3 * clips)
    tallies = count_by(make_tested(truth, guess, names), cells, 2 * speakers)
    return tallies[::2], tallies[1::2]


def every_swap(x, y, statistic):
    """Values of a statistic after each of the 2^G swaps, the first without one."""
    found = []
    for kept in product([True, False], repeat=len(x)):
        rows = np.array(kept)[:, None]
        values = statistic(np.where(rows, x, y).sum(axis=0), np.where(rows, y, x).sum(axis=0))
        found.append(values)
    return {name: np.array([values[name] for values in found]) for name in found[0]}


def test_p_is_that_of_all_swaps():
    x, y = two_rooms(6, 8, 0)
    found = within_speaker_test(x, y, gap, 3)
    for name, values in every_swap(x, y, gap).items():
        far = (np.abs(values) >= abs(values[0]) - 1e-12).mean()
        assert found[name].p == pytest.approx(far), name


def test_of_balanced_rooms_p_is_scipys_paired_permutation_test():
    x, y = two_rooms(9, 10, 1)
    means = [rates(own, LABELS)["wa"] for own in (x, y)]
    wanted = stats.permutation_test(
        means, lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=np.inf
    )
    found = within_speaker_test(x, y, gap, 3)["wa"]
    assert found.p == pytest.approx(wanted.pvalue)
    assert found.smallest_p == pytest.approx(2**-8)


def test_a_planted_gap_within_speakers_is_found():
    x, y = two_rooms(10, 30, 2)
    worse = np.random.default_rng(0).binomial(x[:, 6:9].astype(int), 0.6) - x[:, 6:9]
    x[:, 6:9] += worse  # hits
    found = within_speaker_test(x, y, gap, 3)
    for name in ("ua", "wa", "recall:angry"):
        assert found[name].p < 0.05


def unequal_rooms(clips, seed):
    """Twelve speakers without a gap, right in 49 of 50 clips; clips of a class in either room."""
    rng = np.random.default_rng(seed)
    truth = np.tile(np.repeat([0, 1, 2, 0, 1, 2], np.repeat(clips, 3)), 12)
    guess = np.where(rng.random(len(truth)) < 0.98, truth, (truth + 1) % 3)
    names = np.repeat([f"s{g:02}" for g in range(12)], 3 * sum(clips))
    cells = np.repeat(np.arange(24), np.tile(np.multiply(clips, 3), 12))
    tallies = count_by(make_tested(truth, guess, names), cells, 24)
    return tallies[::2], tallies[1::2]


def test_halves_of_unequal_size_are_not_tested():
    """Exchanging them, as if they were alike, finds gaps that are not there."""
    repetitions, below = 200, 0
    for seed in range(repetitions):
        x, y = unequal_rooms((10, 1), seed)
        assert set(within_speaker_test(x, y, gap, 3).values()) == {None}
        added = x[:, 6:9].sum(axis=1) / x[:, :3].sum() - y[:, 6:9].sum(axis=1) / y[:, :3].sum()
        below += sign_flip(added).p <= 0.05
    assert below > 0.15 * repetitions


def test_halves_of_equal_size_find_no_gap_where_there_is_none():
    repetitions = 200
    p = [within_speaker_test(*unequal_rooms((4, 4), s), gap, 3)["ua"].p for s in range(repetitions)]
    assert (np.array(p) <= 0.05).sum() <= stats.binom.isf(1e-3, repetitions, 0.05)


def test_no_test_where_one_speaker_has_other_clips():
    x, y = two_rooms(8, 10, 4)
    x[0] *= 3
    assert set(within_speaker_test(x, y, gap, 3).values()) == {None}


def test_what_does_not_occur_has_no_test():
    tested = make_tested([0] * 40, [0, 1] * 20, np.repeat(["s", "t"], 20))
    tallies = count_by(tested, np.arange(40) // 10, 4)
    found = within_speaker_test(tallies[::2], tallies[1::2], gap, 3)
    assert found["recall:sad"] is found["fpr:angry"] is None
    assert found["wa"].p == 1


def test_many_speakers_are_drawn_and_a_seed_repeats_them():
    x, y = two_rooms(20, 5, 5)
    first, second, other = (swap_test(x, y, gap, seed)["macro_f1"] for seed in (1, 1, 2))
    assert first == second
    assert first.p != other.p
    assert first.smallest_p == 1 / (DRAWS + 1)


def test_p_of_swaps_is_uniform_where_there_is_no_gap():
    repetitions = 300
    p = [swap_test(*two_rooms(8, 20, seed), gap)["macro_f1"].p for seed in range(repetitions)]
    for level in (0.05, 0.2, 0.5):
        low, high = stats.binom.interval(1 - 1e-4, repetitions, level)
        assert low <= (np.array(p) <= level).sum() <= high


def test_addends_add_up_to_the_change():
    truth, before, names = answers(5, 40, 6)
    after = answers(5, 40, 7)[1]
    cells = np.arange(200) // 40
    x, y = (count_by(make_tested(truth, guess, names), cells, 5) for guess in (before, after))
    one, other = (rates(own.sum(axis=0), LABELS) for own in (x, y))
    for name, values in addends(x, y, LABELS).items():
        assert values.sum() == pytest.approx(other[name] - one[name]), name
