"""Tests over speakers: exact against every pattern of signs, and laws that swaps obey."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from heads.analysis.planted import Design, plant, planted_run
from heads.analysis.significance import (
    COMPARED,
    DRAWS,
    LEVEL,
    SWAPS,
    compare_pair,
    holm,
    sign_flip,
    stands,
    too_few,
)
from heads.intervals import jackknife
from heads.metrics import scores

ADDITIVE = ("ua", "wa", "top2", "kl", "kendall_tau")


def two_runs(difference=0.0, seed=0, **changes):
    design = Design(
        speakers=(4, 4), clips=(4,), classes=3, runs=2, seeds=2, difference=difference,
        run_spread=0.04, agreement=(1.0, 0.8), **changes,
    )  # fmt: skip
    outcomes = plant(design, 1, seed)
    return planted_run(outcomes, run=0), planted_run(outcomes, run=1)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=11))
def test_p_is_the_share_of_all_patterns_of_signs(values):
    differences = np.array(values, float) / 7
    sums = np.array(list(product([1, -1], repeat=len(values)))) @ differences
    expected = np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-12)
    found = sign_flip(differences)
    assert found.p == pytest.approx(expected)
    assert found.p >= found.smallest_p == 2.0 ** (1 - len(values)) or found.p == 1


def test_no_p_is_below_the_smallest_that_so_many_speakers_can_give():
    """Of 40 speakers of whom 30 move, all patterns of these are counted."""
    still = np.concatenate([np.ones(30), np.zeros(10)])
    found = sign_flip(still)
    assert found.p == 2.0**-29
    assert found.smallest_p == 2.0**-31


def holm_by_hand(p_values):
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    steps = [p_values[i] * (len(order) - rank) for rank, i in enumerate(order)]
    return {i: max(steps[: rank + 1]) for rank, i in enumerate(order)}


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)), min_size=1, max_size=5))
def test_too_few_is_where_the_smallest_p_would_not_stand_among_the_others(drawn):
    p_values, smallest = [max(pair) for pair in drawn], [min(pair) for pair in drawn]
    for i, few in enumerate(too_few(p_values, smallest)):
        lucky = [*p_values[:i], smallest[i], *p_values[i + 1 :]]
        assert few == (holm_by_hand(lucky)[i] > LEVEL)
        assert not few or holm_by_hand(p_values)[i] > LEVEL


def test_a_clear_difference_of_another_run_leaves_more_to_six_speakers():
    """Two comparisons: 2 / 2^6 stands after one that is sure, and not beside one that is not."""
    assert too_few([0.2, 1e-7], [2.0**-5, 1e-7]) == [False, False]
    assert too_few([0.2, 0.2], [2.0**-5, 1e-7]) == [True, False]
    assert too_few([None, 0.2], [None, 2.0**-5]) == [False, False]


def test_p_of_the_level_stands():
    assert [stands(p) for p in (LEVEL, LEVEL + 1e-12, None)] == [True, False, False]


def test_halves_and_draws_agree_with_each_other():
    """Of 33 speakers patterns are drawn, of 32 all are counted: nearly the same data."""
    differences = np.random.default_rng(0).normal(0.3, 1, 32)
    exact = sign_flip(differences).p
    drawn = sign_flip(np.append(differences, 1e-6)).p
    error = np.sqrt(exact * (1 - exact) / DRAWS)
    assert 0.01 < exact < 0.9
    assert abs(exact - drawn) < 4 * error
    assert sign_flip(np.ones(40)).p == sign_flip(np.ones(40)).smallest_p == 1 / (1 + DRAWS)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(0, 60))
def test_p_is_never_smaller_than_the_smallest(speakers, moving):
    """Nor where few of very many speakers differ, so that their patterns can all be looked at."""
    differences = (np.arange(speakers) < moving).astype(float)
    found = sign_flip(differences)
    assert found.p >= found.smallest_p
    if moving >= speakers:
        assert found.p == found.smallest_p


def test_forty_speakers_of_whom_thirty_move_are_counted_exactly():
    found = sign_flip(np.append(np.ones(30), np.zeros(10)))
    assert found.p == 2.0**-29
    assert found.smallest_p <= found.p


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=6))
def test_holm_is_closed_testing_by_bonferroni(p_values):
    """p of a hypothesis is the largest of all intersections that it stands in."""
    there = [i for i, p in enumerate(p_values) if p is not None]
    expected = list(p_values)
    for i in there:
        subsets = (c for n in range(1, len(there) + 1) for c in combinations(there, n) if i in c)
        expected[i] = max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in subsets)
    assert holm(p_values) == pytest.approx(expected)


def test_differences_are_those_of_the_metrics_seeds_averaged():
    first, second = two_runs(0.1)
    found = compare_pair(first, second).differences
    assert set(found) == set(COMPARED["emotion"])
    for name, difference in found.items():
        values = [own.scores(own.by_speaker.sum(axis=1))[name].mean() for own in (first, second)]
        assert difference.estimate == pytest.approx(values[0] - values[1])
        low, high = difference.ci95
        assert low < difference.estimate < high


def test_the_other_way_round_is_the_other_sign():
    first, second = two_runs(0.1)
    one, other = compare_pair(first, second).differences, compare_pair(second, first).differences
    for name in one:
        assert one[name].estimate == pytest.approx(-other[name].estimate)
        assert one[name].test == other[name].test
        assert one[name].ci95 == pytest.approx([-x for x in reversed(other[name].ci95)])


@pytest.mark.parametrize("metric", [*ADDITIVE, "macro_f1", "ece"])
def test_p_is_that_of_really_swapping_speakers_between_the_runs(metric):
    """All 2^8 swaps of predictions, scored from the predictions themselves."""
    first, second = two_runs(0.12, seed=5)
    swapped = []
    for pattern in product([False, True], repeat=len(first.speaker_names)):
        change = np.array(pattern)[first.speaker_codes][None, :, None]
        one = replace(first, predictions=np.where(change, second.predictions, first.predictions))
        other = replace(first, predictions=np.where(change, first.predictions, second.predictions))
        # Metrics that are no sums are those of tallies averaged over seeds.
        tallies = [own.by_speaker.sum(axis=1).mean(axis=0) for own in (one, other)]
        values = [scores(tally, 3)[metric] for tally in tallies]
        swapped.append(float(values[0] - values[1]))
    far = np.abs(swapped) >= abs(swapped[0]) - 1e-9
    assert compare_pair(first, second, [metric]).differences[metric].test.p == pytest.approx(
        far.mean()
    )


@pytest.mark.parametrize(
    ("speakers", "smallest"), [(4, 2 / 16), (8, 2 / 256), (14, 1 / (1 + SWAPS))]
)
def test_the_smallest_p_of_swaps_is_reached_by_a_run_that_is_better_for_all(speakers, smallest):
    """Of all swaps, two leave or turn everything; of drawn ones, the one that is kept."""
    design = Design(speakers=(speakers // 2, speakers // 2), clips=(4,), classes=3)
    run = planted_run(plant(design, 1))
    right = replace(run, predictions=0.9 * run.targets[None] + 0.1 / 3)
    wrong = replace(run, predictions=np.roll(right.predictions, 1, axis=2))
    test = compare_pair(right, wrong, ["macro_f1"]).differences["macro_f1"].test
    assert test.smallest_p == smallest
    if speakers <= 8:
        assert test.p == smallest
    else:
        assert smallest <= test.p < 0.01


@pytest.mark.parametrize("metric", ["ua", "macro_f1"])
def test_intervals_have_as_many_degrees_of_freedom_as_clips_leave(metric):
    """Every second speaker has ten times the clips of the others."""
    design = Design(
        speakers=(4, 4), clips=(2, 20), classes=3, runs=2, difference=0.1, run_spread=0.04
    )
    first, second = (planted_run(plant(design, 1, 3), run=n) for n in range(2))
    both = np.concatenate([first.by_speaker, second.by_speaker], axis=2)

    def difference(tallies):
        one, other = (scores(half, 3)[metric] for half in np.split(tallies, 2, axis=-1))
        return {metric: one - other}

    expected = jackknife(both, difference, {metric: (-1, 1)}, np.bincount(first.speaker_codes))
    assert compare_pair(first, second).differences[metric].ci95 == pytest.approx(expected[metric])
    wrong = jackknife(both, difference, {metric: (-1, 1)}, np.ones(8))
    assert np.diff(expected[metric]) > 1.15 * np.diff(wrong[metric])


def test_a_seed_more_of_the_same_changes_nothing():
    """A run's seeds are swapped together: they are no further witnesses."""
    first, second = two_runs(0.1)
    doubled = replace(first, predictions=np.repeat(first.predictions, 2, axis=0))
    one, other = compare_pair(first, second), compare_pair(doubled, second)
    for name, difference in one.differences.items():
        assert other.differences[name].estimate == pytest.approx(difference.estimate)
        assert other.differences[name].test.p == pytest.approx(difference.test.p)


def test_a_run_and_itself_are_alike():
    run, _ = two_runs()
    for difference in compare_pair(run, run).differences.values():
        assert (difference.estimate, difference.ci95, difference.test.p) == (0, None, 1)


@pytest.mark.parametrize(("speakers", "smallest"), [((4, 4), 2 / 2**8), ((8, 8), 1 / 2_000)])
def test_the_smallest_p_of_swaps_is_that_of_all_or_of_those_drawn(speakers, smallest):
    design = Design(speakers=speakers, clips=(20,), classes=3, runs=2, difference=0.3,
                    run_spread=0.01, spread=(0.02, 0.02))  # fmt: skip
    outcomes = plant(design, 1, 0)
    runs = planted_run(outcomes, run=0), planted_run(outcomes, run=1)
    test = compare_pair(*runs, ["macro_f1"]).differences["macro_f1"].test
    assert test.p == test.smallest_p == smallest


def test_degrees_of_freedom_are_those_of_the_effective_number_of_speakers():
    """Speakers with 1 or 9 clips of each class: the interval is that of WA by its formula."""
    design = Design(speakers=(4, 4), clips=(1, 9), classes=3, runs=2, run_spread=0.04)
    outcomes = plant(design, 1, 3)
    first, second = (planted_run(outcomes, run=r) for r in (0, 1))
    right = [run.predictions[0].argmax(1) == run.targets.argmax(1) for run in (first, second)]
    change, clips = right[0].astype(float) - right[1], np.bincount(first.speaker_codes)
    left_out = np.array([change[first.speaker_codes != g].mean() for g in range(8)])
    freedom = clips.sum() ** 2 / (clips**2).sum() - 1
    error = np.sqrt(7 / 8 * ((left_out - left_out.mean()) ** 2).sum())
    half = stats.t.ppf(0.975, freedom) * error
    found = compare_pair(first, second, ["wa"]).differences["wa"]
    assert freedom < 4
    assert found.ci95 == pytest.approx([change.mean() - half, change.mean() + half])


def test_what_is_left_out_is_told():
    first, second = two_runs()
    pair = compare_pair(first, second.rows(np.arange(20)))
    assert (pair.utterances, pair.lost) == (20, (len(first.ids) - 20, 0))
    assert (pair.labels, pair.speakers) == (first.labels, len(set(first.speakers[:20])))


def test_metrics_against_votes_need_the_same_votes():
    first, second = two_runs()
    hard = replace(second, targets=np.eye(3)[second.targets.argmax(axis=1)])
    assert {"kendall_tau", "kl"}.isdisjoint(compare_pair(first, hard).differences)


def test_dimensions_are_swapped_too():
    first, second = (replace(own, target="dimensions") for own in two_runs(0.15))
    found = compare_pair(first, second).differences
    assert set(found) == {"ccc", "rmse", "pearson"}
    assert found["ccc"].estimate > 0
    assert found["rmse"].estimate < 0
    assert all(2 / 256 <= difference.test.p < 0.5 for difference in found.values())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda run: run.rows(np.zeros(0, int)), "no utterance that both tested"),
        (lambda run: replace(run, labels=("class0", "x", "y")), "no two classes in common"),
        (lambda run: replace(run, speakers=np.roll(run.speakers, 1)), "different speakers"),
    ],
)
def test_what_cannot_be_compared_says_why(change, why):
    first, second = two_runs()
    assert why in compare_pair(first, change(second))


def test_unknown_speakers_and_other_dimensions_say_why():
    first, second = two_runs()
    nobody = np.full_like(first.speakers, "")
    unknown = replace(first, speakers=nobody), replace(second, speakers=nobody)
    assert compare_pair(*unknown) == "speakers are not known"
    one = replace(first, target="dimensions")
    assert compare_pair(one, replace(one, labels=("a", "b", "c"))) == "other dimensions"
