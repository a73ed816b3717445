"""Verdicts over speakers: planted differences are found, and nothing is decided by few speakers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heads.analysis.leaderboard import leaderboard
from heads.analysis.ranking import ALIKE, BEST, FEW, UNKNOWN, WORSE, rank, speaker_dependency
from heads.analysis.significance import compare_pair, holm
from tests.heads.analysis.runs import as_contender, family, without_speakers


def ranked(contenders, metric="ua"):
    table = rank(leaderboard([own.results for own in contenders], metric), contenders, metric)
    return table.set_index("run")


def test_a_planted_difference_is_found_and_none_is_not():
    ahead, one, other = family(0.3, clips=20)
    table = ranked([as_contender("a", ahead), as_contender("b", one), as_contender("c", other)])
    assert table["verdict"].to_dict() == {"a": BEST, "b": WORSE, "c": WORSE}
    one, other = family(0.0, runs=2, clips=20)
    assert set(ranked([as_contender("a", one), as_contender("b", other)])["verdict"]) == {
        BEST,
        ALIKE,
    }


def test_numbers_are_those_of_pairs_corrected_over_the_board():
    runs = dict(zip("abc", family(0.1), strict=True))
    table = ranked([as_contender(name, own) for name, own in runs.items()])
    best = table.index[table["verdict"] == BEST][0]
    rest = [name for name in table.index if name != best]
    pairs = [compare_pair(runs[name], runs[best]) for name in rest]
    corrected = holm([pair.differences["ua"].test.p for pair in pairs])
    for name, pair, p_holm in zip(rest, pairs, corrected, strict=True):
        row = table.loc[name]
        assert row["compared_with"] == best
        assert row["difference"] == pytest.approx(pair.differences["ua"].estimate)
        assert (row["difference_ci95_low"], row["difference_ci95_high"]) == pytest.approx(
            pair.differences["ua"].ci95
        )
        assert row["p_holm"] == pytest.approx(p_holm)
        assert row["p_macro_f1"] == pytest.approx(pair.differences["macro_f1"].test.p)


def test_four_speakers_cannot_decide_anything():
    """However far apart two runs are, 2 of the 16 patterns are as extreme."""
    ahead, behind = family(0.35, speakers=(2, 2), runs=2, clips=40)
    table = ranked([as_contender("a", ahead), as_contender("b", behind)])
    assert table.loc["b", "difference"] < -0.2
    assert table.loc["b", "p"] == table.loc["b", "smallest_p"] == 0.125
    assert table.loc["b", "verdict"] == FEW


@pytest.mark.parametrize(
    ("flaw", "told"),
    [
        ({"overlap": 3}, "speakers shared"),
        ({"protocol__contamination": {"speakers": ["x"]}}, "contaminated"),
    ],
)
def test_a_run_that_knows_its_test_speakers_is_never_the_best(flaw, told):
    ahead, behind = family(0.3, runs=2, clips=20)
    contenders = [as_contender("flawed", ahead, **flaw), as_contender("clean", behind)]
    table = ranked(contenders)
    assert table.index.tolist() == ["flawed", "clean"]
    assert table.loc["clean", "verdict"] == BEST
    assert table.loc["flawed", "verdict"].startswith("better, but")
    assert told in table.loc["flawed", "verdict"]
    alone = ranked(contenders[:1])
    assert alone.loc["flawed", "verdict"] == BEST


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda run: replace(run, tested=None, why="no predictions"), "no predictions"),
        (lambda run: replace(run, tested=without_speakers(run.tested)), "not known"),
    ],
)
def test_what_cannot_be_compared_keeps_its_numbers(change, why):
    one, other = (as_contender(n, own) for n, own in zip("ab", family(0.3, runs=2), strict=True))
    table = ranked([one, change(other)])
    assert table.loc["b", "verdict"] == UNKNOWN
    assert why in table.loc["b", "compared_on"]
    assert table.loc["b", "ua"] == other.results["metrics"]["ua"]["mean"]


def test_a_run_on_fewer_utterances_is_never_the_best():
    ahead, behind = family(0.3, runs=2, clips=20)
    easy = ahead.rows(ahead.predictions[0].argmax(axis=1) == ahead.targets.argmax(axis=1))
    table = ranked([as_contender("easy", easy), as_contender("whole", behind)])
    assert table.index.tolist() == ["easy", "whole"]
    assert table.loc["whole", "verdict"] == BEST
    assert table.loc["easy", "verdict"] == "better, but on fewer utterances"


@pytest.mark.parametrize("metric", ["weighted_f1", "micro_f1"])
def test_every_metric_of_tallies_is_tested(metric):
    ahead, behind = family(0.3, runs=2, clips=20)
    table = ranked([as_contender("a", ahead), as_contender("b", behind)], metric)
    assert table.loc["b", "verdict"] == WORSE


def test_metrics_without_a_test_say_so():
    one, other = family(0.3, runs=2)
    table = ranked([as_contender("a", one), as_contender("b", other)], "js")
    assert set(table["verdict"]) == {BEST, UNKNOWN}
    assert table["compared_on"].dropna().tolist() == ["there is no paired test of js"]


def test_few_speakers_of_one_run_are_judged_by_what_the_others_leave_them():
    """Corrected by Holm, the second p counts once, where the first is below the level."""
    best, clear, third = family(0.3, clips=40)
    few = third.rows(np.isin(third.speakers, third.speaker_names[:6]))
    table = ranked(
        [as_contender("best", best), as_contender("clear", clear), as_contender("few", few)]
    )
    assert table.loc["few", "smallest_p"] == 2.0**-5
    assert table.loc["few", "verdict"] == WORSE
    assert table.loc["few", "p_holm"] == 2.0**-5


def test_no_run_with_predictions_is_no_best():
    own = replace(as_contender("a", family(0.1)[0]), tested=None)
    assert ranked([own])["verdict"].tolist() == [UNKNOWN]


def test_divergences_are_worse_when_they_are_larger():
    ahead, behind = family(0.3, runs=2, clips=20)
    table = ranked([as_contender("a", ahead), as_contender("b", behind)], "kl")
    assert table.loc["a", "verdict"] == BEST
    assert table.loc["b", "difference"] > 0
    assert table.loc["b", "verdict"] == WORSE


def test_the_percentile_bootstrap_stands_beside_the_interval_and_is_narrower():
    table = ranked([as_contender("a", family(0.0, speakers=(4, 4))[0])]).loc["a"]
    width = table["ua_ci95_high"] - table["ua_ci95_low"]
    assert 0.5 * width < table["ua_bootstrap_high"] - table["ua_bootstrap_low"] < width


def test_what_shared_speakers_add_is_a_row_of_its_own():
    ahead, behind = family(0.2, runs=2, clips=20)
    runs = [
        as_contender("shared", ahead, protocol="random", overlap=10),
        as_contender("apart", behind, protocol="speaker"),
        as_contender("other head", behind, head="mha"),
        as_contender("other settings", behind, training__lr=0.2),
        as_contender("other loss", behind, training__loss="focal"),
        as_contender("other weights", behind, training__class_weights="balanced"),
        as_contender("views", behind, training__views={"noise=20": 5}),
    ]
    table = speaker_dependency(runs, "ua")
    assert table[["run", "compared_with"]].to_numpy().tolist() == [["shared", "apart"]]
    pair = compare_pair(ahead, behind).differences["ua"]
    row = table.iloc[0]
    assert row["difference"] == pytest.approx(pair.estimate)
    assert row["p_holm"] == row["p"] == pytest.approx(pair.test.p)
    assert (row["protocol"], row["speakers"]) == ("random - speaker", 10)


def test_seeds_may_differ_between_the_protocols():
    ahead, behind = family(0.2, runs=2)
    shared = as_contender("shared", ahead, protocol="random", overlap=10, training__seed=4)
    assert len(speaker_dependency([shared, as_contender("apart", behind)], "ua")) == 1


def test_without_shared_speakers_there_is_no_such_row():
    runs = [as_contender(name, own) for name, own in zip("abc", family(0.1), strict=True)]
    assert speaker_dependency(runs, "ua").empty
    nowhere = replace(runs[0], tested=runs[0].tested.rows(np.zeros(0, int)))
    shared = as_contender("shared", runs[1].tested, protocol="random", overlap=10)
    assert speaker_dependency([nowhere, shared], "ua").empty
