"""Runs stand on one leaderboard where their numbers can be compared, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heads.analysis.boards import make_boards
from heads.analysis.tested import common
from tests.heads.analysis.runs import as_contender, family


def boards_of(contenders, **options):
    """The runs of each board."""
    boards = make_boards(contenders, options.pop("metric", None), **options)
    return sorted(sorted(board.table["run"]) for board in boards)


@pytest.fixture
def runs():
    one, other, third = family(0.1)
    return [
        as_contender("a", one),
        as_contender("b", other),
        as_contender("official", third, protocol="official"),
        as_contender("random", third, protocol="random", overlap=10),
        as_contender("elsewhere", third, corpus="else"),
        as_contender("nobody", third, overlap=None, protocol="nobody"),
        as_contender("merged", other, training__rename={"class1": "class0"}),
    ]


def test_corpora_labels_and_protocols_stand_apart(runs):
    assert boards_of(runs) == [
        ["a", "b"],
        ["elsewhere"],
        ["merged"],
        ["nobody"],
        ["official"],
        ["random"],
    ]


def test_together_only_corpora_and_shared_speakers_stand_apart(runs):
    assert boards_of(runs, together=True) == [
        ["a", "b", "merged", "official"],
        ["elsewhere"],
        ["nobody"],
        ["random"],
    ]


def test_together_numbers_are_of_what_all_share():
    one, other = family(0.1, runs=2)
    fewer = replace(
        other,
        labels=("class0", "class1"),
        targets=other.targets[:, :2],
        predictions=other.predictions[..., :2] / other.predictions[..., :2].sum(-1, keepdims=True),
    )
    known = fewer.targets.sum(axis=1) > 0
    fewer = fewer.rows(known)
    (board,) = make_boards([as_contender("a", one), as_contender("b", fewer)], None, together=True)
    table = board.table.set_index("run")
    a, b = common(one, fewer)
    for name, own in (("a", a), ("b", b)):
        expected = own.scores(own.by_speaker.sum(axis=1))["ua"].mean()
        assert table.loc[name, "ua"] == pytest.approx(expected)
    assert f"{len(a.ids)} of {known.sum()} or {len(one.ids)} utterances" in board.shared
    assert "and 2 of 2 or 3 emotions" in board.shared
    difference = table["difference"].dropna().iloc[0]
    assert abs(difference) == pytest.approx(abs(table.loc["a", "ua"] - table.loc["b", "ua"]))


def test_runs_that_share_nothing_keep_their_numbers():
    one, other = family(0.1, runs=2)
    moved = replace(other, ids=np.char.add(other.ids, "x"))
    known = [as_contender("a", one), as_contender("b", moved)]
    assert boards_of(known, together=True) == [["a"], ["b"]]
    third = as_contender("c", one.rows(np.arange(20)))
    boards = make_boards([*known, third], None, together=True)
    assert sorted(sorted(board.table["run"]) for board in boards) == [["a", "c"], ["b"]]
    assert [board.shared != "" for board in boards] == [True, False]


def test_one_class_in_common_is_nothing_to_compare():
    one, other = family(0.1, runs=2)
    elsewhere = replace(other, labels=("class0", "x", "y"))
    runs = [as_contender("a", one), as_contender("b", elsewhere)]
    assert boards_of(runs, together=True) == [["a"], ["b"]]


def test_numbers_of_another_ground_do_not_stand_beside_those_of_shared_ground():
    one, other, third = family(0.1)
    runs = [as_contender("a", one), as_contender("b", other.rows(np.arange(20)))]
    runs.append(replace(as_contender("c", third), tested=None, why="no predictions"))
    assert boards_of(runs, together=True) == [["a", "b"], ["c"]]


def test_the_contenders_stand_in_the_order_of_the_table(runs):
    (board, *_) = make_boards(runs[:2], "wa")
    assert [own.results["run_id"] for own in board.contenders] == board.table["run"].tolist()
    assert board.metric == "wa"
    assert board.table["wa"].is_monotonic_decreasing
