"""Groups: their scores are fairlearn's, small ones are left out, equal ones have no worst."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn import metrics as fairness
from sklearn import metrics as reference

from embedcache.errors import UsageError
from heads.analysis.groups import (
    Minimum,
    equalised_odds,
    group_by,
    group_records,
    large_enough,
    score_record,
    speaker_spread,
    worst_groups,
)
from heads.analysis.rates import rates
from heads.metrics import speaker_interval, tally_by
from tests.heads.analysis.answers import LABELS, answers, halves, make_tested

ANY = Minimum(clips=1)


def thirds(names):
    return [f"g{int(name[1:]) % 3}" for name in names]


def records_of(truth, guess, names, values, minimum=ANY, column="group"):
    return group_records(group_by(make_tested(truth, guess, names), column, values), minimum)


def test_scores_of_groups_are_those_of_fairlearn():
    truth, guess, names = answers(9, 30, 0)
    values = thirds(names)
    frame = fairness.MetricFrame(
        metrics={
            "ua": reference.balanced_accuracy_score,
            "wa": reference.accuracy_score,
            "macro_f1": lambda t, p: reference.f1_score(t, p, average="macro"),
            "n": fairness.count,
        },
        y_true=truth, y_pred=guess, sensitive_features=values,
    )  # fmt: skip
    found = records_of(truth, guess, names, values)
    assert list(found) == ["g0", "g1", "g2"]
    for name in ("ua", "wa", "macro_f1", "n"):
        for value, record in found.items():
            assert record[name] == pytest.approx(frame.by_group[name][value]), name
    assert worst_groups(found)["ua"] == {
        "value": frame.by_group["ua"].idxmin(),
        "score": pytest.approx(frame.group_min()["ua"]),
    }


def test_rates_against_the_rest_are_those_of_fairlearn():
    truth, guess, names = answers(9, 30, 1)
    values = thirds(names)
    found = records_of(truth, guess, names, values)
    for c, label in enumerate(LABELS):
        frame = fairness.MetricFrame(
            metrics={
                "recall": fairness.true_positive_rate,
                "fpr": fairness.false_positive_rate,
                "f1": reference.f1_score,
            },
            y_true=truth == c, y_pred=guess == c, sensitive_features=values,
        )  # fmt: skip
        for rate in ("recall", "fpr", "f1"):
            for value, record in found.items():
                assert record[rate][label] == pytest.approx(frame.by_group[rate][value])


@pytest.mark.parametrize("seed", range(5))
def test_equalised_odds_are_fairlearns_largest_over_emotions(seed):
    truth, guess, names = answers(9, 20, seed)
    values = thirds(names)
    wanted = {
        label: fairness.equalized_odds_difference(truth == c, guess == c, sensitive_features=values)
        for c, label in enumerate(LABELS)
    }
    records = records_of(truth, guess, names, values)
    found = equalised_odds(records, ANY)
    assert found["difference"] == pytest.approx(max(wanted.values()))
    assert found["emotion"] == max(wanted, key=wanted.get)
    a, b = (records[found[side]][found["rate"]][found["emotion"]] for side in ("a", "b"))
    assert a - b == found["difference"]


def test_intervals_are_those_of_the_metrics():
    truth, guess, names = answers(6, 30, 2)
    confidence = np.random.default_rng(0).uniform(0.4, 1, len(truth))
    names = np.repeat([f"s{s}" for s in range(6)], (80, 20, 20, 20, 20, 20))  # clips count
    tested = make_tested(truth, guess, names, confidence)
    grouping = group_by(tested, "all", ["all"] * len(truth))
    found = score_record(grouping.group("all"), LABELS, 1)
    codes = tested.speaker_codes
    wanted = speaker_interval(tally_by(tested.predictions[0], tested.targets, codes, 6), 3)
    for name, edges in found["ci95"].items():
        assert edges == pytest.approx(list(wanted[name])), name


def test_clips_are_counted_once_however_many_seeds_there_are():
    truth, guess, names = answers(4, 10, 3)
    once = records_of(truth, guess, names, halves(names))
    twice = records_of(truth, np.stack([guess, guess]), names, halves(names))
    assert once.keys() == twice.keys()
    for name in once:
        assert twice[name]["n"] == once[name]["n"] == 20
        assert twice[name]["ua"] == pytest.approx(once[name]["ua"])
        assert twice[name]["ci95"]["ua"] == pytest.approx(once[name]["ci95"]["ua"])


def test_who_has_no_value_is_in_no_group():
    truth, guess, names = answers(4, 10, 0)
    values = [None if name == "s03" else "all" for name in names]
    grouping = group_by(make_tested(truth, guess, names), "group", values)
    record = group_records(grouping, ANY)["all"]
    assert (record["n"], record["speakers"], grouping.missing) == (30, 3, 10)


def test_a_speaker_whose_votes_are_all_tied_is_no_speaker():
    truth, guess, names = answers(4, 10, 0)
    truth[names == "s00"] = -1
    found = records_of(truth, guess, names, halves(names))
    assert (found["a"]["n"], found["a"]["speakers"]) == (10, 1)
    truth[names == "s01"] = -1
    found = records_of(truth, guess, names, halves(names))
    assert (found["a"]["n"], found["a"]["speakers"], found["a"]["ua"]) == (0, 0, None)


def test_two_groups_share_rows_only_where_speakers_do():
    truth, guess, names = answers(4, 10, 0)
    tested = make_tested(truth, guess, names)
    apart, _, crossed = group_by(tested, "group", halves(names)).pair("a", "b")
    assert (len(apart), crossed) == (2, 0)
    values = np.where(np.arange(40) % 2 == 0, "x", "y")
    values[names == "s03"] = "y"
    x, y, crossed = group_by(tested, "room", values.tolist()).pair("x", "y")
    assert (len(x), len(y), crossed) == (4, 4, 3)
    assert not x[3].any()
    assert rates((x + y).sum(axis=0), LABELS)["wa"] == pytest.approx((truth == guess).mean())


# Minimum sizes


def test_groups_below_a_minimum_say_how_large_they_are():
    truth, guess, names = answers(6, 10, 0)
    values = ["a" if n == "s00" else "b" if n < "s03" else "c" for n in names]
    values[-1] = "d"
    found = records_of(truth, guess, names, values, Minimum(speakers=3, clips=15))
    assert found["a"]["too_small"] == "1 speaker, fewer than 3; 10 clips, fewer than 15"
    assert found["b"]["too_small"] == "2 speakers, fewer than 3"
    assert found["c"]["too_small"] is None
    assert found["d"]["too_small"] == "1 speaker, fewer than 3; 1 clip, fewer than 15"
    assert large_enough(found) == ["c"]
    nothing = dict.fromkeys(("difference", "emotion", "rate", "a", "b"))
    assert equalised_odds(found, ANY) == nothing | {"reason": "fewer than two groups to compare"}
    assert set(worst_groups(found).values()) == {None}


def test_of_single_speakers_only_clips_count():
    truth, guess, names = answers(3, 10, 0)
    found = records_of(truth, guess, names, names.tolist(), Minimum(), "speaker")
    assert {record["too_small"] for record in found.values()} == {None}


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ({"speakers": 1}, "--min-speakers 1: every interval is over speakers; give 2 or more"),
        ({"clips": 0}, "--min-clips 0: give 1 or more"),
    ],
)
def test_a_minimum_that_is_none_is_refused(sizes, text):
    with pytest.raises(UsageError, match=text):
        Minimum(**sizes)


# What has no worst


def test_of_equal_groups_none_is_worst():
    found = records_of([0, 1] * 8, [0, 1] * 8, np.repeat(["s", "t"], 8), ["x"] * 8 + ["y"] * 8)
    assert set(worst_groups(found).values()) == {None}


def test_the_worst_calibrated_group_has_the_largest_error():
    truth, guess, names = answers(4, 40, 0)
    confidence = np.where(np.array(halves(names)) == "a", 0.95, (guess == truth) * 0.5 + 0.4)
    grouping = group_by(make_tested(truth, guess, names, confidence), "group", halves(names))
    found = group_records(grouping, ANY)
    assert found["a"]["ece"] > found["b"]["ece"]
    assert worst_groups(found)["ece"]["value"] == "a"


def test_without_a_rate_in_two_groups_there_are_no_odds():
    found = records_of([-1] * 4, [0] * 4, ["s", "s", "t", "t"], ["x", "x", "y", "y"])
    for record in found.values():
        record["too_small"] = None
    nothing = dict.fromkeys(("difference", "emotion", "rate", "a", "b"))
    reason = {"reason": "no emotion has a rate over 1 clip in two groups"}
    assert equalised_odds(found, ANY) == nothing | reason


def test_a_recall_of_one_clip_decides_no_odds():
    """The one sad clip of a woman is missed; of 10 clips and more, women and men are alike."""
    truth = np.array([0, 1] * 20 + [2] + ([0, 1] * 20 + [2] * 20))
    guess = truth.copy()
    guess[[0, 40, 41]] = 1, 0, 1  # an angry clip of each sex, and the sad one
    names = np.repeat(["w1", "w2", "m1", "m2"], (20, 21, 30, 30))
    records = records_of(truth, guess, names, [name[0] for name in names], Minimum())
    assert [records[name]["support"]["sad"] for name in "mw"] == [20, 1]
    assert equalised_odds(records, ANY)["emotion"] == "sad"
    found = equalised_odds(records, Minimum())
    assert (found["emotion"], found["rate"]) != ("sad", "recall")
    assert found["difference"] < 0.1
    assert equalised_odds(records, Minimum(clips=61))["difference"] is None


def test_groups_that_are_alike_differ_by_nothing_between_nobody():
    found = records_of([0, 1] * 8, [0, 1] * 8, np.repeat([*"stuv"], 4), ["x"] * 8 + ["y"] * 8)
    assert equalised_odds(found, ANY) == {
        "difference": 0.0, "emotion": None, "rate": None, "a": None, "b": None,
        "reason": "all groups have the same rates",
    }  # fmt: skip


# Spread over speakers


def test_the_spread_is_over_speakers_with_enough_clips():
    truth, guess, names = answers(8, 30, 4)
    guess[names == "s02"] = truth[names == "s02"]
    kept = np.flatnonzero((names != "s07") | (np.arange(240) % 10 == 0))  # three clips of s07
    truth, guess, names = truth[kept], guess[kept], names[kept]
    found = speaker_spread(records_of(truth, guess, names, names.tolist(), Minimum(), "speaker"))
    each = {
        name: reference.balanced_accuracy_score(truth[names == name], guess[names == name])
        for name in sorted(set(names) - {"s07"})
    }
    values = list(each.values())
    assert (found["n"], found["left_out"]) == (7, 1)
    assert found["mean"] == pytest.approx(np.mean(values))
    assert found["std"] == pytest.approx(np.std(values, ddof=1))
    assert found["quartiles"] == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]))
    assert found["highest"] == {"speaker": "s02", "ua": 1.0}
    assert found["lowest"]["speaker"] == min(each, key=each.get)
    assert found["speakers"].keys() == each.keys()
    assert found["speakers"]["s02"] == {"n": 30, "ua": 1.0, "wa": 1.0}


@pytest.mark.parametrize("speakers", [1, 3])
def test_where_nobody_differs_none_is_lowest_or_highest(speakers):
    names = np.repeat([f"s{s}" for s in range(speakers)], 12)
    truth = np.tile([0, 1, 2], 4 * speakers)
    found = speaker_spread(records_of(truth, truth, names, names.tolist(), Minimum(), "speaker"))
    assert found["lowest"] is found["highest"] is None
    assert found["reason"] == "no two speakers with enough clips differ"
    assert found["std"] == (0 if speakers > 1 else None)


def test_without_anybody_the_spread_is_empty():
    found = speaker_spread(records_of([0, 1], [0, 1], ["s", "t"], ["s", "t"], Minimum(), "speaker"))
    assert (found["n"], found["left_out"], found["mean"], found["quartiles"]) == (0, 2, None, None)
