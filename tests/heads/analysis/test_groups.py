"""Bias: gaps and intervals agree with references, p-values hold, planted gaps are found."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

import heads.analysis.groups as groups_module
from heads.analysis.groups import (
    GAP_METRICS,
    PERMUTATIONS,
    GroupTable,
    group_gaps,
    group_scores,
    holm,
)
from heads.metrics import tally

LABELS = ("angry", "happy", "sad")
varied = settings(deadline=None, max_examples=15)


def make_table(truth, guess, speakers):
    tallies = tally(np.eye(3)[guess], np.eye(3)[truth])
    return GroupTable(tallies=tallies, speakers=list(speakers), labels=LABELS)


def random_table(speakers, clips, seed, right=0.6):
    """Truth, prediction and speaker of clips; speakers are right to different shares."""
    rng = np.random.default_rng(seed)
    names = np.repeat([f"s{s:02}" for s in range(speakers)], clips)
    skill = np.repeat(rng.uniform(right - 0.15, right + 0.15, speakers), clips)
    truth = rng.integers(0, 3, len(names))
    wrong = (truth + rng.integers(1, 3, len(names))) % 3
    return truth, np.where(rng.random(len(names)) < skill, truth, wrong), names


def halves(names):
    """Group of each clip: the first half of the speakers is a."""
    half = len(set(names)) // 2
    return ["a" if int(name[1:]) < half else "b" for name in names]


def sklearn_scores(truth, guess):
    return {
        "ua": reference.recall_score(truth, guess, labels=np.unique(truth), average="macro"),
        "wa": reference.accuracy_score(truth, guess),
        "macro_f1": reference.f1_score(truth, guess, average="macro"),
    }


def of_metric(gaps, metric):
    return next(gap for gap in gaps if gap["metric"] == metric)


@pytest.fixture
def few_permutations(monkeypatch):
    monkeypatch.setattr(groups_module, "PERMUTATIONS", 199)


# Scores


def test_scores_of_groups_are_those_of_scikit_learn():
    truth, guess, names = random_table(6, 20, 0)
    values = np.array(halves(names))
    found = group_scores(make_table(truth, guess, names), values.tolist())
    assert list(found) == ["a", "b"]
    for value, group in found.items():
        rows = values == value
        for name, expected in sklearn_scores(truth[rows], guess[rows]).items():
            assert group[name] == pytest.approx(expected), name
        recall = reference.recall_score(truth[rows], guess[rows], average=None)
        assert list(group["recall"].values()) == pytest.approx(list(recall))
        assert (group["n"], group["speakers"]) == (60, 3)


def test_scores_leave_out_who_has_no_value():
    truth, guess, names = random_table(4, 10, 0)
    values = [None if name == "s03" else "all" for name in names]
    found = group_scores(make_table(truth, guess, names), values)
    assert (found["all"]["n"], found["all"]["speakers"]) == (30, 3)


def test_what_a_group_does_not_define_is_none():
    found = group_scores(make_table([0, 0], [0, 1], ["s", "s"]), ["x", "x"])
    assert found["x"]["recall"] == {"angry": 0.5, "happy": None, "sad": None}
    assert found["x"]["ua"] == 0.5


# Intervals


@varied
@given(st.integers(2, 8), st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_with_equal_clips_the_interval_is_welchs_on_speakers_means(first, second, seed):
    rng = np.random.default_rng(seed)
    clips = 40
    skill = np.concatenate([rng.uniform(0.4, 0.6, first), rng.uniform(0.45, 0.55, second)])
    right = rng.random((first + second, clips)) < skill[:, None]
    means = right.mean(axis=1)
    x, y = means[:first], means[first:]
    assume(x.std() > 0 and y.std() > 0)
    expected = stats.ttest_ind(x, y, equal_var=False)
    assume(max(np.abs(expected.confidence_interval())) < 1)  # else it is cut
    names = np.repeat([f"s{s}" for s in range(first + second)], clips)
    values = np.repeat(["a"] * first + ["b"] * second, clips).tolist()
    truth = np.zeros(len(names), int)
    table = make_table(truth, np.where(right.ravel(), 0, 1), names)
    found = of_metric(group_gaps(table, "group", values), "wa")
    assert found["gap"] == pytest.approx(x.mean() - y.mean())
    assert found["ci95"] == pytest.approx(list(expected.confidence_interval()), abs=1e-9)


def jackknife_errors(truth, guess, names):
    """Squared jackknife errors over speakers, by scikit-learn."""
    speakers = sorted(set(names))
    left_out = [sklearn_scores(truth[names != s], guess[names != s]) for s in speakers]
    count = len(speakers)
    return {
        metric: (count - 1) / count * np.var([found[metric] for found in left_out]) * count
        for metric in GAP_METRICS
    }


def test_the_interval_of_each_metric_is_welchs_over_jackknife_errors():
    truth, guess, names = random_table(9, 30, 1)
    values = np.array(halves(names))
    gaps = group_gaps(make_table(truth, guess, names), "group", values.tolist())
    rows = {value: values == value for value in "ab"}
    u, v = (jackknife_errors(truth[r], guess[r], names[r]) for r in rows.values())
    x, y = (sklearn_scores(truth[r], guess[r]) for r in rows.values())
    for metric in GAP_METRICS:
        gap = of_metric(gaps, metric)
        freedom = (u[metric] + v[metric]) ** 2 / (u[metric] ** 2 / 3 + v[metric] ** 2 / 4)
        half = stats.t.ppf(0.975, freedom) * np.sqrt(u[metric] + v[metric])
        assert gap["gap"] == pytest.approx(x[metric] - y[metric])
        center = x[metric] - y[metric]
        assert gap["ci95"] == pytest.approx([center - half, center + half])


def test_where_speakers_stand_in_both_groups_each_is_left_out_of_both_at_once():
    truth, guess, names = random_table(6, 30, 2)
    values = np.where(np.arange(180) % 3 == 0, "a", "b")
    values[names == "s05"] = "b"  # one speaker in one group only
    gaps = group_gaps(make_table(truth, guess, names), "sentence", values.tolist())

    def gap_without(speaker, metric):
        kept = names != speaker
        x, y = (
            sklearn_scores(truth[kept & (values == value)], guess[kept & (values == value)])
            for value in "ab"
        )
        return x[metric] - y[metric]

    for gap in gaps:
        left_out = [gap_without(f"s{s:02}", gap["metric"]) for s in range(6)]
        half = stats.t.ppf(0.975, 5) * np.sqrt(5 / 6 * np.sum((left_out - np.mean(left_out)) ** 2))
        center = gap_without("nobody", gap["metric"])
        assert gap["gap"] == pytest.approx(center)
        assert gap["ci95"] == pytest.approx([center - half, center + half])
        assert gap["p"] is None
        assert gap["reason"] == "5 speakers stand in both groups: no permutation"


def test_the_interval_covers_the_planted_gap(few_permutations):
    rng = np.random.default_rng(0)
    repetitions, speakers, clips, truth = 300, 8, 30, np.array([0.7, 0.55])
    names = np.repeat([f"s{s}" for s in range(2 * speakers)], clips)
    values = np.repeat(["a", "b"], speakers * clips).tolist()
    covered = 0
    for _ in range(repetitions):
        skill = np.repeat(truth, speakers) + 0.08 * rng.standard_normal(2 * speakers)
        right = rng.random(len(names)) < np.repeat(skill, clips)
        table = make_table(np.zeros(len(names), int), np.where(right, 0, 1), names)
        low, high = of_metric(group_gaps(table, "group", values), "wa")["ci95"]
        covered += low <= truth[0] - truth[1] <= high
    low, high = stats.binom.interval(1 - 1e-4, repetitions, 0.95)
    assert low <= covered <= high


# Permutations


def test_p_is_that_of_all_permutations():
    """Seven speakers, three of them in a: 35 ways to choose who is in a."""
    truth, guess, names = random_table(7, 12, 4)
    rows = {name: names == name for name in sorted(set(names))}

    def gaps_of(chosen):
        first = np.any([rows[name] for name in chosen], axis=0)
        x, y = (sklearn_scores(truth[r], guess[r]) for r in (first, ~first))
        return [x[metric] - y[metric] for metric in GAP_METRICS]

    everyone = np.array([gaps_of(chosen) for chosen in combinations(rows, 3)])
    observed = np.array(gaps_of(["s00", "s01", "s02"]))
    exact = (np.abs(everyone) >= np.abs(observed) - 1e-12).mean(axis=0)
    gaps = group_gaps(make_table(truth, guess, names), "group", halves(names))
    for gap, expected in zip(gaps, exact, strict=True):
        low, high = stats.binom.interval(1 - 1e-6, PERMUTATIONS, expected)
        assert low / PERMUTATIONS <= gap["p"] <= (high + 1) / PERMUTATIONS


def test_p_is_uniform_where_there_is_no_gap(few_permutations):
    """Speakers differ and groups do not: p falls below any level as often as that level."""
    repetitions, p_values = 400, []
    for seed in range(repetitions):
        truth, guess, names = random_table(12, 60, seed)  # many clips, few equal gaps
        gaps = group_gaps(make_table(truth, guess, names), "group", halves(names), seed)
        p_values.append([gap["p"] for gap in gaps])
    for level in (0.05, 0.2, 0.5, 0.8):
        below = (np.array(p_values) <= level).sum(axis=0)
        low, high = stats.binom.interval(1 - 1e-4, repetitions, level)
        assert ((low <= below) & (below <= high)).all()


def test_p_holds_where_the_smaller_group_varies_more(few_permutations):
    """Janssen (1997), doi 10.1016/S0167-7152(97)00043-6: a permuted t-value would hold."""
    rng = np.random.default_rng(0)
    repetitions, sizes, clips = 200, (8, 24), 100
    names = np.repeat([f"s{s:02}" for s in range(32)], clips)
    values = np.repeat(["a", "b"], [clips * size for size in sizes]).tolist()
    spread = np.repeat([0.15, 0.03], sizes)
    below = 0
    for seed in range(repetitions):
        skill = np.clip(0.6 + spread * rng.standard_normal(32), 0, 1)
        right = rng.random(len(names)) < np.repeat(skill, clips)
        table = make_table(np.zeros(len(names), int), np.where(right, 0, 1), names)
        below += of_metric(group_gaps(table, "group", values, seed), "wa")["p"] <= 0.05
    assert below <= stats.binom.isf(1e-4, repetitions, 0.05)


def test_clips_of_a_speaker_are_no_independent_witnesses(few_permutations):
    """One very bad speaker among four is no gap between groups, whatever a test over clips says."""
    names = np.repeat([f"s{s:02}" for s in range(8)], 120)
    right = np.random.default_rng(0).random(960) < np.where(names == "s06", 0.05, 0.75)
    values = halves(names)
    table = make_table(np.zeros(960, int), np.where(right, 0, 1), names)
    counts = [[(right & (np.array(values) == g)).sum(), 480] for g in "ab"]
    by_clip = stats.fisher_exact([[hits, total - hits] for hits, total in counts]).pvalue
    gap = of_metric(group_gaps(table, "group", values), "wa")
    assert by_clip < 0.001
    assert gap["p"] > 0.1
    assert gap["ci95"][0] < 0 < gap["ci95"][1]


@pytest.mark.parametrize(("weaker", "sign"), [("male", 1), ("female", -1)])
def test_a_planted_gap_is_found_with_its_sign(weaker, sign):
    """Gap = a - b in alphabetical order: female - male."""
    rng = np.random.default_rng(0)
    names = np.repeat([f"s{s:02}" for s in range(16)], 40)
    genders = ["female" if int(name[1:]) % 2 else "male" for name in names]
    right = rng.random(640) < np.where(np.array(genders) == weaker, 0.5, 0.8)
    truth = rng.integers(0, 3, 640)
    table = make_table(truth, np.where(right, truth, (truth + 1) % 3), names)
    for gap in group_gaps(table, "gender", genders):
        assert (gap["by"], gap["a"], gap["b"]) == ("gender", "female", "male")
        assert sign * gap["gap"] > 0.2
        assert np.prod(np.sign(gap["ci95"])) > 0
        assert gap["p"] < 0.01


def test_turning_the_groups_turns_the_gap():
    truth, guess, names = random_table(8, 20, 5)
    table, values = make_table(truth, guess, names), halves(names)
    turned = [{"a": "z", "b": "b"}[value] for value in values]
    for x, y in zip(
        group_gaps(table, "g", values), group_gaps(table, "g", turned), strict=True
    ):  # fmt: skip
        assert y["gap"] == pytest.approx(-x["gap"])
        assert y["ci95"] == pytest.approx([-edge for edge in x["ci95"][::-1]])


def test_how_many_seeds_were_summed_does_not_matter():
    truth, guess, names = random_table(8, 20, 6)
    once = make_table(truth, guess, names)
    thrice = GroupTable(tallies=3 * once.tallies, speakers=once.speakers, labels=LABELS)
    values = halves(names)
    x, y = (group_gaps(table, "g", values) for table in (once, thrice))
    for one, other in zip(x, y, strict=True):
        assert one == {**other, "gap": pytest.approx(other["gap"]),
                       "ci95": pytest.approx(other["ci95"])}  # fmt: skip


def test_a_seed_repeats_the_permutations():
    truth, guess, names = random_table(8, 10, 7)
    table, values = make_table(truth, guess, names), halves(names)
    assert group_gaps(table, "g", values, 1) == group_gaps(table, "g", values, 1)
    assert group_gaps(table, "g", values, 1) != group_gaps(table, "g", values, 2)


def test_each_two_groups_are_compared():
    truth, guess, names = random_table(9, 5, 8)
    values = [f"g{int(name[1:]) % 3}" for name in names]
    gaps = group_gaps(make_table(truth, guess, names), "g", [*values[:-1], None])
    pairs = [("g0", "g1"), ("g0", "g2"), ("g1", "g2")]
    assert [(gap["a"], gap["b"]) for gap in gaps] == list(chain(*[[pair] * 3 for pair in pairs]))
    assert [gap["metric"] for gap in gaps] == [*GAP_METRICS] * 3


def test_one_group_has_no_gap():
    truth, guess, names = random_table(3, 5, 0)
    assert group_gaps(make_table(truth, guess, names), "g", ["x"] * 15) == []


def test_a_group_of_one_speaker_has_a_gap_without_interval_and_p():
    truth, guess, names = random_table(4, 20, 0)
    values = ["a" if name == "s00" else "b" for name in names]
    for gap in group_gaps(make_table(truth, guess, names), "g", values):
        assert gap["gap"] is not None
        assert (gap["ci95"], gap["p"]) == (None, None)
        assert gap["reason"] == "a group has fewer than 2 speakers"


def test_a_gap_that_is_undefined_is_none():
    """Group b has tied votes only."""
    tallies = tally(np.eye(3)[[0, 1, 0, 1]], np.array([*np.eye(3)[[0, 1]], *[[0.5, 0.5, 0]] * 2]))
    table = GroupTable(tallies=tallies, speakers=["s0", "s1", "s2", "s3"], labels=LABELS)
    for gap in group_gaps(table, "g", list("aabb")):
        assert (gap["gap"], gap["ci95"], gap["p"]) == (None, None, None)


# Single speakers


def test_the_best_and_the_worst_speaker_are_named_without_interval():
    truth, guess, names = random_table(5, 30, 9)
    accuracy = {name: (truth == guess)[names == name].mean() for name in set(names)}
    gaps = group_gaps(make_table(truth, guess, names), "speaker", names.tolist())
    gap = of_metric(gaps, "wa")
    assert len(gaps) == 3
    assert gap["a"] == max(accuracy, key=accuracy.get)
    assert gap["b"] == min(accuracy, key=accuracy.get)
    assert gap["gap"] == pytest.approx(accuracy[gap["a"]] - accuracy[gap["b"]])
    assert (gap["ci95"], gap["p"]) == (None, None)
    assert gap["reason"] == "best and worst speaker, chosen by looking"


def test_one_speaker_is_neither_best_nor_worst():
    assert group_gaps(make_table([0, 1], [0, 0], ["s", "s"]), "speaker", ["s", "s"]) == []


def test_speakers_whose_votes_are_all_tied_have_no_extremes():
    tallies = tally(np.eye(3)[[0, 1]], np.array([[0.5, 0.5, 0]] * 2))
    table = GroupTable(tallies=tallies, speakers=["s", "t"], labels=LABELS)
    assert group_gaps(table, "speaker", ["s", "t"]) == []


# Holm


def closed_testing(p_values):
    """Holm's procedure as the closed test of Bonferroni tests over all sets of hypotheses."""
    indices = range(len(p_values))
    sets = [s for size in indices for s in combinations(indices, size + 1)]
    return [
        max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in sets if i in s)
        for i in indices
    ]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(st.none() | st.floats(0, 1), max_size=7))
def test_holm_is_the_closed_bonferroni_test(p_values):
    found = holm([{"p": p, "by": "x"} for p in p_values])
    corrected = iter(closed_testing([p for p in p_values if p is not None]))
    for gap, p in zip(found, p_values, strict=True):
        assert (gap["p"], gap["by"]) == (p, "x")
        assert gap["p_holm"] == (None if p is None else pytest.approx(next(corrected)))
