"""What a second run changed: paired within speakers, and found where it was planted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from heads.analysis import exchange, permutation
from heads.analysis.gaps import GapConfig
from heads.analysis.groups import Minimum
from heads.analysis.mitigation import (
    corrected_changes,
    corrected_groups,
    gap_changes,
    group_changes,
    overall_change,
    two_runs,
)
from heads.analysis.significance import sign_flip
from tests.heads.analysis.answers import answers, halves, make_tested, share_of_deals_as_far

QUICK = GapConfig(replicates=0)
SPEAKERS, CLIPS = 16, 60
NAMES = np.repeat([f"s{s:02}" for s in range(SPEAKERS)], CLIPS)
SIDES = np.array(halves(NAMES))


def run_of(rng, truth, skill):
    """A run that is right with a probability for each clip."""
    right = rng.random(len(truth)) < skill
    return make_tested(truth, np.where(right, truth, (truth + 1) % 3), NAMES)


def two_planted(seed, before, after, spread=0.06):
    """Two runs whose accuracies in groups a and b are given; speakers differ alike in both."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, len(NAMES))
    own = np.repeat(rng.normal(0, spread, SPEAKERS), CLIPS)
    skills = [np.where(SIDES == "a", *accuracies) + own for accuracies in (before, after)]
    return [run_of(rng, truth, skill) for skill in skills]


def changes_of(first, second, values=SIDES, config=QUICK):
    both, _ = two_runs(first, second, "side", list(values), Minimum())
    return both, group_changes(both, config), gap_changes(both, config)


def of_metric(gaps, metric):
    return next(gap for gap in gaps if gap["metric"] == metric)


def speaker_accuracies(run):
    right = run.predictions.mean(axis=0).argmax(axis=1) == run.targets.argmax(axis=1)
    return right.reshape(SPEAKERS, CLIPS).mean(axis=1)


def test_with_equal_clips_a_change_is_a_paired_t_test_over_speakers():
    first, second = two_planted(0, (0.7, 0.5), (0.75, 0.6))
    change = speaker_accuracies(second) - speaker_accuracies(first)
    _, groups, gaps = changes_of(first, second)
    for name, rows in (("a", slice(0, 8)), ("b", slice(8, 16))):
        wanted = stats.ttest_1samp(change[rows], 0)
        own = groups[name]["wa"]
        assert own["change"] == pytest.approx(change[rows].mean())
        assert own["ci95"] == pytest.approx(list(wanted.confidence_interval()))
        assert own["p"] == sign_flip(change[rows]).p
    wanted = stats.ttest_ind(change[:8], change[8:], equal_var=False)
    gap = of_metric(gaps, "wa")
    assert gap["change"] == pytest.approx(change[:8].mean() - change[8:].mean())
    assert gap["change"] == pytest.approx(gap["after"] - gap["before"])
    assert gap["ci95"] == pytest.approx(list(wanted.confidence_interval()))


def test_pairing_makes_intervals_shorter_than_two_runs_by_themselves():
    """Speakers differ alike in both runs."""
    first, second = two_planted(1, (0.6, 0.6), (0.6, 0.6), spread=0.18)
    change = overall_change(first, second, QUICK)["wa"]["ci95"]
    apart = stats.ttest_ind(speaker_accuracies(second), speaker_accuracies(first))
    low, high = apart.confidence_interval()
    assert change[1] - change[0] < 0.8 * (high - low)


def test_the_same_predictions_changed_nothing():
    first, _ = two_planted(2, (0.7, 0.5), (0.7, 0.5))
    _, groups, gaps = changes_of(first, first)
    for own in (overall_change(first, first, QUICK), *groups.values()):
        for metric in ("ua", "wa", "macro_f1", "ece"):
            assert (own[metric]["change"], own[metric]["p"]) == (0, 1)
    assert {(gap["change"], gap["p"]) for gap in gaps} == {(0, 1)}


def test_turning_the_runs_turns_the_change():
    first, second = two_planted(3, (0.7, 0.5), (0.7, 0.65))
    forth, back = (changes_of(*runs)[2] for runs in ((first, second), (second, first)))
    for x, y in zip(forth, back, strict=True):
        assert y["change"] == pytest.approx(-x["change"])
        assert (y["before"], y["after"]) == pytest.approx((x["after"], x["before"]))
        assert y["p"] == pytest.approx(x["p"])


def test_numbers_of_seeds_may_differ():
    first, second = two_planted(4, (0.7, 0.5), (0.7, 0.65))
    thrice = make_tested(
        second.targets.argmax(axis=1), np.stack([second.predictions[0].argmax(axis=1)] * 3), NAMES
    )
    _, groups, gaps = changes_of(first, second)
    _, same_groups, same_gaps = changes_of(first, thrice)
    for x, y in zip([*gaps, groups["a"]["ua"]], [*same_gaps, same_groups["a"]["ua"]], strict=True):
        for key in ("before", "after", "change", "ci95", "p"):
            assert y[key] == pytest.approx(x[key], abs=1e-9), key


def test_a_gap_that_was_closed_is_found():
    first, second = two_planted(5, (0.8, 0.5), (0.8, 0.75))
    _, groups, gaps = changes_of(first, second)
    gap = of_metric(corrected_changes(gaps, "ua"), "ua")
    assert abs(gap["after"]) < abs(gap["before"])
    assert gap["p_holm"] < 0.01
    assert gap["ci95"][1] < 0
    assert not gap["exploratory"]
    assert groups["b"]["ua"]["p"] < 0.01 < groups["a"]["ua"]["p"]


def test_where_everybody_gained_alike_no_gap_changed(monkeypatch):
    """Swapping runs would see the gain of all; permuting groups sees that it is the same."""
    monkeypatch.setattr(permutation, "DRAWS", 199)
    monkeypatch.setattr(exchange, "DRAWS", 199)
    repetitions, below, gained = 150, 0, 0
    for seed in range(repetitions):
        first, second = two_planted(seed, (0.6, 0.5), (0.75, 0.65))
        _, groups, gaps = changes_of(first, second)
        below += of_metric(gaps, "ua")["p"] <= 0.05
        gained += groups["a"]["ua"]["p"] <= 0.05
    assert below <= stats.binom.isf(1e-3, repetitions, 0.05)
    assert gained > 0.9 * repetitions


def test_the_change_of_a_gap_has_the_larger_p_of_the_permutations_and_welchs():
    """Runs change three speakers of one group by far more than those of the other."""
    larger = set()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        sides = np.array(halves(NAMES, 3))
        truth = rng.integers(0, 3, len(NAMES))
        change = np.repeat(rng.uniform(-1, 1, SPEAKERS), CLIPS)
        change *= np.where(sides == "a", *((0.3, 0.03) if seed % 2 else (0.03, 0.2)))
        first, second = run_of(rng, truth, 0.5), run_of(rng, truth, 0.5 + change)
        moved = speaker_accuracies(second) - speaker_accuracies(first)
        welch = stats.ttest_ind(moved[:3], moved[3:], equal_var=False).pvalue
        share = share_of_deals_as_far(moved, 3)
        p = of_metric(changes_of(first, second, sides)[2], "wa")["p"]
        assert p == pytest.approx(max(share, welch))
        larger.add(bool(welch > share))
    assert larger == {True, False}


def test_an_interval_of_a_change_reaches_beyond_one():
    """A gap of -1 may become one of +1: changes go from -2 to 2."""
    truth = np.random.default_rng(0).integers(0, 3, len(NAMES))
    worst = np.where(SIDES == "a", 0.03, 0.97)
    first, second = (run_of(np.random.default_rng(8), truth, own) for own in (worst, 1 - worst))
    gap = of_metric(changes_of(first, second)[2], "wa")
    assert 1 < gap["ci95"][0] < gap["change"] < gap["ci95"][1] < 2


def test_groups_that_the_same_speakers_stand_in():
    """In the hall the second run is better, in the booth it is not."""
    rng = np.random.default_rng(6)
    truth = np.tile(np.repeat([0, 1, 2], CLIPS // 3), SPEAKERS)
    rooms = np.where(np.arange(len(NAMES)) % 2 == 0, "booth", "hall")
    before = np.full(len(NAMES), 0.55)
    after = np.where(rooms == "hall", 0.8, 0.55)
    first, second = run_of(rng, truth, before), run_of(rng, truth, after)
    _, groups, gaps = changes_of(first, second, rooms)
    for metric in ("ua", "wa", "macro_f1"):
        gap = of_metric(gaps, metric)
        assert (gap["a"], gap["b"]) == ("booth", "hall")
        assert gap["change"] < -0.1
        assert gap["p"] < 0.01
        assert gap["ci95"][1] < 0
    assert groups["hall"]["speakers"] == SPEAKERS


def test_the_bootstrap_stands_beside_it():
    first, second = two_planted(7, (0.7, 0.5), (0.7, 0.65))
    _, groups, gaps = changes_of(first, second, config=GapConfig(replicates=200))
    for own in (of_metric(gaps, "ua"), groups["a"]["ua"]):
        low, high = own["ci95_bootstrap"]
        assert low < own["change"] < high


def test_single_speakers_and_one_group_have_no_changes():
    truth, guess, names = answers(4, 20, 0)
    run = make_tested(truth, guess, names)
    both, records = two_runs(run, run, "speaker", names.tolist(), Minimum())
    assert len(records) == 4
    assert (group_changes(both, QUICK), gap_changes(both, QUICK)) == ({}, [])
    both, _ = two_runs(run, run, "all", ["all"] * 80, Minimum())
    assert gap_changes(both, QUICK) == []


def test_each_metric_is_corrected_by_itself():
    changes = [
        {"metric": m, "p": p, "smallest_p": 0.03 if p > 0.03 else 0.001}
        for m, p_values in (("ua", (0.01, 0.04)), ("wa", (0.01, 0.04)), ("ece", (0.03, 0.4)))
        for p in p_values
    ]
    found = corrected_changes(changes, "wa")
    assert [x["too_few"] for x in found] == [False] * 5 + [True]
    found = found[:4]
    assert [x["p_holm"] for x in found] == pytest.approx([0.02, 0.04] * 2)
    assert [x["exploratory"] for x in found] == [True, True, False, False]


def test_groups_are_corrected_over_all_columns():
    p = {"gender": {"female": 0.01, "male": 0.2}, "room": {"hall": 0.02, "booth": None}}
    groups = {
        column: {
            name: {"speakers": 4, **{m: {"p": own} for m in ("ua", "wa", "macro_f1", "ece")}}
            for name, own in values.items()
        }
        for column, values in p.items()
    }
    found = corrected_groups(groups)
    holm = {"female": 0.03, "hall": 0.04, "male": 0.2, "booth": None}
    for values in found.values():
        for name, own in values.items():
            for metric in ("ua", "ece"):
                wanted = None if holm[name] is None else pytest.approx(holm[name])
                assert own[metric]["p_holm"] == wanted
    assert "p_holm" not in groups["gender"]["female"]["ua"]
