"""Gaps: sizes are fairlearn's, intervals Welch's, planted ones are found and no others are."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from fairlearn import metrics as fairness
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from embedcache.errors import UsageError
from heads.analysis import permutation
from heads.analysis.gaps import MOST_GROUPS, GapConfig, corrected, group_gaps
from heads.analysis.groups import Minimum, group_by, group_records
from heads.analysis.power import smallest_detectable
from heads.analysis.rates import FAMILIES, WHOLE, clips_of, compared_rates, family_of
from heads.bootstrap import bootstrap_gaps
from tests.heads.analysis.answers import (
    LABELS,
    answers,
    halves,
    make_tested,
    share_of_deals_as_far,
)

varied = settings(deadline=None, max_examples=15)
QUICK = GapConfig(replicates=0)
COMPARED = [*WHOLE, *(f"{rate}:{label}" for rate in ("recall", "fpr") for label in LABELS)]


def gaps_of(truth, guess, names, values, column="group", config=QUICK, minimum=None):
    grouping = group_by(make_tested(truth, guess, names), column, list(values))
    return group_gaps(grouping, group_records(grouping, minimum or Minimum(clips=1)), config)


def of_metric(gaps, metric):
    return next(gap for gap in gaps if gap["metric"] == metric)


def sklearn_rates(truth, guess):
    found = {
        "ua": reference.balanced_accuracy_score(truth, guess),
        "wa": reference.accuracy_score(truth, guess),
        "macro_f1": reference.f1_score(truth, guess, average="macro"),
    }
    for c, label in enumerate(LABELS):
        found[f"recall:{label}"] = fairness.true_positive_rate(truth == c, guess == c)
        found[f"fpr:{label}"] = fairness.false_positive_rate(truth == c, guess == c)
    return found


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(permutation, "DRAWS", 199)


# Sizes


def test_differences_and_ratios_are_those_of_fairlearn():
    truth, guess, names = answers(8, 40, 0)
    values = halves(names)
    gaps = gaps_of(truth, guess, names, values)
    assert sorted(gap["metric"] for gap in gaps) == sorted(COMPARED)
    for gap in gaps:
        if gap["metric"] == "ece":
            continue
        frame = fairness.MetricFrame(
            metrics=lambda t, p, metric=gap["metric"]: sklearn_rates(t, p)[metric],
            y_true=truth, y_pred=guess, sensitive_features=values,
        )  # fmt: skip
        assert abs(gap["gap"]) == pytest.approx(frame.difference())
        assert min(gap["ratio"], 1 / gap["ratio"]) == pytest.approx(frame.ratio())
        assert gap["gap"] == pytest.approx(frame.by_group["a"] - frame.by_group["b"])
        assert gap["ratio"] == pytest.approx(frame.by_group["a"] / frame.by_group["b"])


def test_turning_the_groups_turns_the_gap():
    truth, guess, names = answers(8, 20, 5)
    values = halves(names)
    turned = [{"a": "z", "b": "b"}[value] for value in values]
    for x, y in zip(
        gaps_of(truth, guess, names, values), gaps_of(truth, guess, names, turned), strict=True
    ):
        assert y["gap"] == pytest.approx(-x["gap"])
        assert y["ci95"] == pytest.approx([-edge for edge in x["ci95"][::-1]])
        assert y["ratio_ci95"] == pytest.approx([1 / edge for edge in x["ratio_ci95"][::-1]])
        assert y["p"] == x["p"]


def test_how_many_equal_seeds_were_summed_does_not_matter():
    truth, guess, names = answers(8, 20, 6)
    values = halves(names)
    once = gaps_of(truth, guess, names, values)
    thrice = gaps_of(truth, np.stack([guess] * 3), names, values)
    for one, other in zip(once, thrice, strict=True):
        for key in ("gap", "ci95", "ratio", "ratio_ci95", "p", "error", "freedom"):
            assert one[key] == pytest.approx(other[key], abs=1e-9), key


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
    names = np.repeat([f"s{s:02}" for s in range(first + second)], clips)
    truth = np.zeros(len(names), int)
    guess = np.where(right.ravel(), 0, 1)
    found = of_metric(gaps_of(truth, guess, names, halves(names, first)), "wa")
    assert found["gap"] == pytest.approx(x.mean() - y.mean())
    assert found["ci95"] == pytest.approx(list(expected.confidence_interval()), abs=1e-9)


def jackknife(truth, guess, names, change):
    """Squared jackknife error over speakers of a changed rate, by scikit-learn."""
    speakers = sorted(set(names))
    left_out = [sklearn_rates(truth[names != s], guess[names != s]) for s in speakers]
    count = len(speakers)
    return {m: (count - 1) * np.var([change(own[m]) for own in left_out]) for m in left_out[0]}


def of_weights(truth, names, chosen, metric):
    """How many speakers who weigh alike a rate rests on: 1 / sum of squared shares."""
    rate, _, label = metric.partition(":")
    own = [truth == c for c in range(3)]
    if rate in ("recall", "fpr"):
        one = own[LABELS.index(label)]
        parts = [one if rate == "recall" else ~one]
    else:
        parts = own if rate in ("ua", "macro_f1") else [np.ones(len(truth), bool)]
    speakers = sorted(set(names[chosen]))
    shares = [[(part & chosen & (names == s)).sum() / (part & chosen).sum() for s in speakers]
              for part in parts]  # fmt: skip
    return 1 / (np.mean(shares, axis=0) ** 2).sum()


@pytest.mark.parametrize(("key", "change"), [("ci95", float), ("ratio_ci95", np.log)])
def test_each_interval_is_welchs_over_jackknife_errors(key, change):
    truth, guess, names = answers(9, 30, 1)
    values = np.array(halves(names))
    gaps = gaps_of(truth, guess, names, values)
    rows = {value: values == value for value in "ab"}
    u, v = (jackknife(truth[r], guess[r], names[r], change) for r in rows.values())
    x, y = (sklearn_rates(truth[r], guess[r]) for r in rows.values())
    for metric in x:
        n, m = (of_weights(truth, names, rows[value], metric) for value in "ab")
        freedom = (u[metric] + v[metric]) ** 2 / (
            u[metric] ** 2 / (n - 1) + v[metric] ** 2 / (m - 1)
        )
        half = stats.t.ppf(0.975, freedom) * np.sqrt(u[metric] + v[metric])
        center = change(x[metric]) - change(y[metric])
        wanted = np.array([center - half, center + half])
        wanted = np.exp(wanted) if change is np.log else np.clip(wanted, -1, 1)
        assert of_metric(gaps, metric)[key] == pytest.approx(list(wanted)), metric


def test_where_speakers_stand_in_both_groups_each_is_left_out_of_both_at_once():
    truth, guess, names = answers(6, 30, 2)
    values = np.where(np.arange(180) % 3 == 0, "a", "b")
    gaps = gaps_of(truth, guess, names, values)

    def gap_without(speaker, metric):
        kept = names != speaker
        x, y = (
            sklearn_rates(truth[kept & (values == value)], guess[kept & (values == value)])[metric]
            for value in "ab"
        )
        return x - y

    for gap in gaps:
        if gap["metric"] == "ece":
            continue
        left_out = [gap_without(f"s{s:02}", gap["metric"]) for s in range(6)]
        freedom = min(of_weights(truth, names, values == v, gap["metric"]) for v in "ab") - 1
        half = stats.t.ppf(0.975, freedom) * np.sqrt(
            5 / 6 * np.sum((left_out - np.mean(left_out)) ** 2)
        )
        center = gap_without("nobody", gap["metric"])
        assert gap["gap"] == pytest.approx(center)
        assert gap["ci95"] == pytest.approx([center - half, center + half])


def test_the_bootstrap_stands_beside_it():
    truth, guess, names = answers(10, 20, 3)
    grouping = group_by(make_tested(truth, guess, names), "group", halves(names))
    records = group_records(grouping, Minimum())
    gaps = group_gaps(grouping, records, GapConfig(replicates=300))
    wanted = bootstrap_gaps(
        grouping.group("a"), grouping.group("b"),
        lambda tallies: compared_rates(tallies, LABELS), 300,
    )  # fmt: skip
    for gap in gaps:
        boot = wanted[gap["metric"]]
        assert gap["ci95_bootstrap"] == {
            "percentile": list(boot.percentile), "studentised": list(boot.studentised)
        }  # fmt: skip
    assert of_metric(group_gaps(grouping, records, QUICK), "ua")["ci95_bootstrap"] is None
    assert clips_of(grouping.group("a"), 3).tolist() == [20] * 5


# Planted gaps


@pytest.mark.parametrize(("weaker", "sign"), [("male", 1), ("female", -1)])
def test_a_planted_gap_is_found_with_its_sign(weaker, sign):
    """Gap = a - b in alphabetical order: female - male."""
    rng = np.random.default_rng(0)
    names = np.repeat([f"s{s:02}" for s in range(16)], 60)
    genders = np.array(["female" if int(name[1:]) % 2 else "male" for name in names])
    right = rng.random(960) < np.where(genders == weaker, 0.5, 0.8)
    truth = rng.integers(0, 3, 960)
    guess = np.where(right, truth, (truth + 1) % 3)
    gaps = corrected(gaps_of(truth, guess, names, genders, "gender"), "ua")
    for metric in ("ua", "wa", "macro_f1", "recall:sad"):
        gap = of_metric(gaps, metric)
        assert (gap["by"], gap["a"], gap["b"]) == ("gender", "female", "male")
        assert sign * gap["gap"] > 0.2
        assert np.prod(np.sign(gap["ci95"])) > 0
        assert gap["p_holm"] < 0.01
        assert gap["smallest_detectable"] < 0.3
        assert (gap["ratio"] > 1) == (sign > 0)


def test_a_planted_gap_of_one_emotion_is_found_in_that_one_alone():
    rng = np.random.default_rng(1)
    names = np.repeat([f"s{s:02}" for s in range(20)], 90)
    truth = rng.integers(0, 3, len(names))
    worse = (np.array(halves(names)) == "b") & (truth == 2)
    right = rng.random(len(names)) < np.where(worse, 0.4, 0.8)
    guess = np.where(right, truth, (truth + 1) % 3)
    gaps = corrected(gaps_of(truth, guess, names, halves(names)), "ua")
    found = {gap["metric"] for gap in gaps if gap["p_holm"] <= 0.05}
    assert {metric for metric in found if family_of(metric) == "recall"} == {"recall:sad"}
    assert of_metric(gaps, "fpr:angry")["gap"] < 0  # sad of b is called angry
    assert of_metric(gaps, "fpr:angry")["p_holm"] <= 0.05


def test_no_gap_is_not_found(few_draws):
    """After correction, a family rejects in no more than its share of data sets without gaps."""
    repetitions, rejected = 150, dict.fromkeys(FAMILIES, 0)
    for seed in range(repetitions):
        truth, guess, names = answers(12, 40, seed)
        gaps = corrected(gaps_of(truth, guess, names, halves(names)), "ua")
        for family in FAMILIES:
            own = [gap for gap in gaps if family_of(gap["metric"]) == family]
            rejected[family] += any((gap["p_holm"] or 1) <= 0.05 for gap in own)
    assert max(rejected.values()) <= stats.binom.isf(1e-4, repetitions, 0.05)


def test_the_interval_covers_the_planted_gap(few_draws):
    rng = np.random.default_rng(0)
    repetitions, speakers, clips, truth = 300, 8, 30, np.array([0.7, 0.55])
    names = np.repeat([f"s{s:02}" for s in range(2 * speakers)], clips)
    covered = 0
    for _ in range(repetitions):
        skill = np.repeat(truth, speakers) + 0.08 * rng.standard_normal(2 * speakers)
        right = rng.random(len(names)) < np.repeat(skill, clips)
        none = np.zeros(len(names), int)
        gaps = gaps_of(none, np.where(right, 0, 1), names, halves(names))
        low, high = of_metric(gaps, "wa")["ci95"]
        covered += low <= truth[0] - truth[1] <= high
    low, high = stats.binom.interval(1 - 1e-4, repetitions, 0.95)
    assert low <= covered <= high


def test_clips_of_a_speaker_are_no_independent_witnesses():
    """One very bad speaker among four is no gap between groups, whatever a test over clips says."""
    names = np.repeat([f"s{s:02}" for s in range(8)], 120)
    right = np.random.default_rng(0).random(960) < np.where(names == "s06", 0.05, 0.75)
    values = halves(names)
    counts = [[(right & (np.array(values) == g)).sum(), 480] for g in "ab"]
    by_clip = stats.fisher_exact([[hits, total - hits] for hits, total in counts]).pvalue
    gap = of_metric(gaps_of(np.zeros(960, int), np.where(right, 0, 1), names, values), "wa")
    assert by_clip < 0.001
    assert gap["p"] > 0.1
    assert gap["ci95"][0] < 0 < gap["ci95"][1]


def test_p_is_the_larger_of_the_permutations_and_welchs():
    """Three speakers who differ by far more than seven others, and the other way round."""
    larger = set()
    for seed, spreads in enumerate([(0.3, 0.05), (0.05, 0.3)] * 3):
        rng = np.random.default_rng(seed)
        skill = 0.5 + np.repeat(spreads, (3, 7)) * rng.uniform(-1, 1, 10)
        names = np.repeat([f"s{s:02}" for s in range(10)], 40)
        right = rng.random((10, 40)) < skill[:, None]
        values = halves(names, 3)
        gaps = gaps_of(np.zeros(400, int), np.where(right.ravel(), 0, 1), names, values)
        means = right.mean(axis=1)
        welch = stats.ttest_ind(means[:3], means[3:], equal_var=False).pvalue
        share = share_of_deals_as_far(means, 3)
        assert of_metric(gaps, "wa")["p"] == pytest.approx(max(share, welch))
        larger.add(bool(welch > share))
    assert larger == {True, False}


# The smallest gap that would be found


def test_three_speakers_a_side_could_show_no_gap_however_large():
    """2 / 20 is the smallest p: a t-test would promise what the permutations cannot keep."""
    truth, guess, names = answers(6, 30, 0)
    gap = of_metric(corrected(gaps_of(truth, guess, names, halves(names)), "ua"), "ua")
    assert gap["error"] is not None
    assert (gap["too_few"], gap["smallest_detectable"]) == (True, None)
    assert gap["reason"] == "80 % power: no p of so few speakers is 0.05 or less"


def test_more_gaps_need_larger_ones():
    """4 + 4 speakers: p are multiples of 2 / 70, too coarse for two gaps; 5 + 5 are enough."""
    for speakers, level in ((8, 2 / 70), (10, 12 / 252)):
        truth, guess, names = answers(speakers, 30, 0)
        gaps = gaps_of(truth, guess, names, halves(names))
        one, two = (of_metric(corrected(gaps * times, "ua"), "wa") for times in (1, 2))
        error, freedom = np.array(one["error"]), np.array(one["freedom"])
        assert one["smallest_detectable"] == smallest_detectable(error, freedom, level)
        if speakers == 8:
            assert two["smallest_detectable"] is None
            assert two["reason"] == "80 % power: no p of so few speakers is 0.05 / 2 or less"
        else:
            wanted = smallest_detectable(error, freedom, 6 / 252)
            assert two["smallest_detectable"] == wanted > one["smallest_detectable"]


# Which groups are compared


def test_each_two_groups_are_compared():
    truth, guess, names = answers(9, 20, 8)
    values = [f"g{int(name[1:]) % 3}" for name in names]
    gaps = gaps_of(truth, guess, names, [*values[:-1], None])
    pairs = [("g0", "g1"), ("g0", "g2"), ("g1", "g2")]
    found = [(gap["a"], gap["b"]) for gap in gaps]
    assert found == list(chain(*[[pair] * len(COMPARED) for pair in pairs]))


def test_no_gap_with_a_group_below_the_minimum():
    truth, guess, names = answers(7, 20, 8)
    values = [{"s00": "alone"}.get(name, "few" if name < "s03" else "many") for name in names]
    minimum = Minimum(speakers=2, clips=10)
    gaps = gaps_of(truth, guess, names, values, minimum=minimum)
    assert {(gap["a"], gap["b"]) for gap in gaps} == {("few", "many")}
    assert gaps_of(truth, guess, names, values, minimum=Minimum(speakers=3)) == []
    assert gaps_of(truth, guess, names, ["x"] * 140) == []


def test_of_very_many_groups_no_two_are_compared():
    truth, guess, names = answers(2 * (MOST_GROUPS + 1), 5, 0)
    values = [f"g{int(name[1:]) // 2:02}" for name in names]
    assert gaps_of(truth, guess, names, values) == []


def test_emotions_that_only_one_group_has_are_a_caution():
    truth, guess, names = answers(6, 30, 0)
    values = np.array(halves(names))
    truth[(values == "b") & (truth == 2)] = 1
    gaps = gaps_of(truth, guess, names, values)
    assert of_metric(gaps, "ua")["caution"] == "UA over different emotions: b has no sad"
    assert all("caution" not in gap for gap in gaps if gap["metric"] != "ua")
    sad = of_metric(gaps, "recall:sad")
    assert (sad["gap"], sad["ci95"], sad["p"]) == (None, None, None)
    assert sad["reason"] == "one of the groups does not define it"


# Why parts are null


def test_speakers_who_do_not_differ_give_a_gap_and_p_without_interval():
    names = np.repeat([f"s{s:02}" for s in range(8)], 12)
    truth = np.tile([0, 1, 2], 32)
    guess = np.where(np.array(halves(names)) == "a", truth, np.roll(truth, 1))
    gap = of_metric(gaps_of(truth, guess, names, halves(names)), "ua")
    assert (gap["gap"], gap["ci95"], gap["ratio"], gap["error"]) == (1, *[None] * 3)
    assert gap["p"] == gap["smallest_p"] == 2 / 70
    assert gap["reason"].startswith("no interval: without some speaker it is undefined, speakers d")


def test_a_rate_of_zero_has_no_ratio():
    truth, guess, names = answers(8, 30, 0)
    guess[(guess == 1) & (np.array(halves(names)) == "b")] = 2
    gap = of_metric(gaps_of(truth, guess, names, halves(names)), "recall:happy")
    assert (gap["ratio"], gap["ratio_ci95"], gap["reason"]) == (None, None, "no ratio of 0")
    assert gap["ci95"] is not None


def test_four_wildly_different_speakers_a_side_could_show_no_gap():
    names = np.repeat([f"s{s:02}" for s in range(8)], 30)
    right = np.concatenate([np.arange(30) < n for n in (28, 1, 29, 2, 29, 2, 28, 1)])
    guess = np.where(right, 0, 1)
    gaps = corrected(gaps_of(np.zeros(240, int), guess, names, halves(names)), "ua")
    gap = of_metric(gaps, "wa")
    assert gap["smallest_detectable"] is None
    assert gap["reason"] == "no gap is so large that it would be found four times in five"


def test_crossed_groups_of_unequal_speakers_are_not_tested():
    truth, guess, names = answers(6, 30, 2)
    values = np.where(np.arange(180) % 3 == 0, "a", "b")
    values[names == "s05"] = "b"  # one speaker in one group only
    gaps = gaps_of(truth, guess, names, values)
    assert {gap["p"] for gap in gaps} == {None}
    told = "5 speakers stand in both groups, and not each has as many clips of every emotion in"
    assert {gap["reason"] for gap in gaps} == {f"{told} both: no test"}
    assert of_metric(gaps, "ua")["ci95"] is not None
    assert {gap["smallest_detectable"] for gap in corrected(gaps, "ua")} == {None}


def test_crossed_groups_of_equal_speakers_are_tested_within_them():
    rng = np.random.default_rng(0)
    names = np.repeat([f"s{s:02}" for s in range(10)], 60)
    truth = np.tile(np.repeat([0, 1, 2], 20), 10)
    rooms = np.where(np.arange(600) % 2 == 0, "booth", "hall")
    right = rng.random(600) < np.where(rooms == "hall", 0.55, 0.8)
    gaps = gaps_of(truth, np.where(right, truth, (truth + 1) % 3), names, rooms, "room")
    for metric in ("ua", "wa", "macro_f1"):
        assert of_metric(gaps, metric)["p"] < 0.01
        assert of_metric(gaps, metric)["gap"] > 0.1


# Single speakers


def test_the_best_and_the_worst_speaker_are_named_without_interval():
    truth, guess, names = answers(5, 30, 9)
    accuracy = {name: (truth == guess)[names == name].mean() for name in set(names)}
    gaps = gaps_of(truth, guess, names, names, "speaker")
    gap = of_metric(gaps, "wa")
    assert [gap["metric"] for gap in gaps] == [*WHOLE]
    assert gap["a"] == max(accuracy, key=accuracy.get)
    assert gap["b"] == min(accuracy, key=accuracy.get)
    assert gap["gap"] == pytest.approx(accuracy[gap["a"]] - accuracy[gap["b"]])
    assert gap["ratio"] == pytest.approx(accuracy[gap["a"]] / accuracy[gap["b"]])
    assert {gap[key] for key in ("ci95", "p", "smallest_p", "error", "freedom")} == {None}
    assert of_metric(corrected(gaps, "ua"), "wa")["smallest_detectable"] is None
    assert gap["reason"] == "highest and lowest speaker, chosen by looking"


@pytest.mark.parametrize("speakers", [1, 4])
def test_of_speakers_who_are_alike_none_is_best(speakers):
    names = np.repeat([f"s{s}" for s in range(speakers)], 12)
    truth = np.tile([0, 1, 2], 4 * speakers)
    assert gaps_of(truth, truth, names, names, "speaker") == []


# Correction


def gap_record(metric, p, smallest_p):
    return {"metric": metric, "p": p, "smallest_p": smallest_p, "error": 0.05, "freedom": 12.0}


def closed_testing(p_values):
    """Holm's procedure as the closed test of Bonferroni tests over all sets of hypotheses."""
    indices = range(len(p_values))
    sets = [s for size in indices for s in combinations(indices, size + 1)]
    return [
        max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in sets if i in s)
        for i in indices
    ]  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(COMPARED), st.none() | st.floats(0, 1)), max_size=9))
def test_holm_is_the_closed_bonferroni_test_of_each_family(drawn):
    gaps = [gap_record(metric, p, 1e-4) for metric, p in drawn]
    found = corrected(gaps, "ua")
    for family in FAMILIES:
        own = [gap for gap in found if family_of(gap["metric"]) == family]
        wanted = iter(closed_testing([gap["p"] for gap in own if gap["p"] is not None]))
        for gap in own:
            assert gap["exploratory"] == (family != "ua")
            assert gap["p_holm"] == (None if gap["p"] is None else pytest.approx(next(wanted)))


def test_too_few_speakers_to_decide():
    """Four against four: 2 / 70 is the smallest p, enough for one gap but not for two."""
    truth, guess, names = answers(8, 30, 11)
    one = corrected(gaps_of(truth, guess, names, halves(names)), "ua")
    gap = of_metric(one, "ua")
    assert gap["smallest_p"] == 2 / 70
    assert gap["p_holm"] > 0.05
    assert not gap["too_few"]
    again = [dict(g) for g in gaps_of(truth, guess, names, halves(names))]
    two = corrected([*gaps_of(truth, guess, names, halves(names)), *again], "ua")
    assert {g["too_few"] for g in two if g["metric"] == "ua"} == {True}


def test_a_gap_that_stands_is_decided():
    gaps = [gap_record("ua", p, 0.001) for p in (0.001, 0.02, 0.4)]
    found = corrected(gaps, "ua")
    assert [gap["p_holm"] for gap in found] == pytest.approx([0.003, 0.04, 0.4])
    assert [gap["too_few"] for gap in found] == [False, False, False]


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"metric": "uaa"}, "unknown metric 'uaa': did you mean 'ua'. There are: ece, macro_f1"),
        ({"replicates": 20}, "--replicates 20: an interval needs 100 or more; 0 leaves the boot"),
        ({"replicates": -1}, "--replicates -1: an interval needs 100 or more"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(config, text):
    with pytest.raises(UsageError, match=text):
        GapConfig(**config)
