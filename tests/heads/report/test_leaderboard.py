"""Leaderboards as text: every number in its unit, and nothing that is not known made up."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from heads.analysis.boards import make_boards
from heads.analysis.ranking import speaker_dependency
from heads.analysis.significance import COMPARED
from heads.metrics import METRICS
from heads.report.leaderboard import (
    TITLES,
    name_of,
    p_value,
    render_board,
    render_dependency,
    title_of,
    value_of,
)
from tests.heads.analysis.runs import as_contender, family, without_speakers


def board_of(runs):
    (board,) = make_boards(runs, None)
    return board


def shown(board, markdown=True):
    return render_board(board, board.table, markdown)


@pytest.fixture
def runs():
    return [as_contender(n, own) for n, own in zip("abc", family(0.15), strict=True)]


def test_every_metric_has_a_title():
    assert set(TITLES) >= {*METRICS, *(name for own in COMPARED.values() for name in own)}
    assert name_of("ccc_valence") == "CCC valence"
    assert len(set(TITLES.values())) == len(TITLES)


@pytest.mark.parametrize("value", [None, float("nan")])
def test_what_is_not_known_is_a_dash(value):
    assert {value_of(value, name) for name in ("ua", "kl", "ccc")} == {"-"}
    assert p_value(value) == "-"


def test_shares_are_in_per_cent_and_the_rest_is_as_it_is():
    assert value_of(0.6125, "ua") in ("61.2", "61.3")
    assert value_of(0.6125, "kendall_tau") == value_of(0.6125, "kl") == "0.613"


def test_a_small_p_is_never_zero():
    for exponent in range(1, 12):
        assert float(p_value(10.0**-exponent).removeprefix("< ")) > 0


def test_cells_are_the_same_in_both_formats(runs):
    board = board_of(runs)
    table, markdown = (re.findall(r"[^|\s:-]+", shown(board, m)) for m in (False, True))
    assert table == markdown


def test_the_title_says_what_all_runs_share_and_the_rows_the_rest(runs):
    assert "protocol speaker" in title_of(board_of(runs))
    board = board_of(runs)
    board.table["encoder"] = ["one", "two", "two"]
    assert "encoder" not in title_of(board)
    assert "| encoder |" in re.sub(r" +", " ", shown(board))
    assert "| corpus |" not in re.sub(r" +", " ", shown(board))


def test_without_speakers_there_is_no_p_and_it_says_why():
    pair = zip("ab", family(0.1, runs=2), strict=True)
    text = shown(board_of([as_contender(n, without_speakers(own)) for n, own in pair]))
    assert "not compared: speakers are not known" in text
    assert "nan" not in text.lower()
    assert "none" not in text.lower()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 00 s"), (3599.6, "60 min 00 s")],
)
def test_durations_never_show_sixty_seconds(runs, seconds, told):
    runs[0].results["timing"]["train_s"] = seconds
    assert f" {told} " in shown(board_of(runs))


@pytest.mark.parametrize(("size", "told"), [(99_000, "99 kB"), (2_340_000, "2.3 MB"), (None, "-")])
def test_sizes_are_in_a_fitting_unit(runs, size, told):
    board = board_of(runs)
    board.table["size_bytes"] = pd.Series([size] * 3, dtype=object)
    assert shown(board).count(f" {told} ") >= 3


def test_what_shared_speakers_add_has_its_sign():
    shared, apart = family(0.2, runs=2)
    runs = [as_contender("s", shared, protocol="random", overlap=10), as_contender("a", apart)]
    table = speaker_dependency(runs, "ua")
    text = render_dependency(table, "ua", markdown=True)
    assert "UA added" in text
    assert f"{100 * table['difference'].iloc[0]:+.1f}" in text
    assert "random - speaker" in text
    assert render_dependency(table.iloc[:0], "ua", markdown=True) == ""
