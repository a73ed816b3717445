"""The leaderboard as the page shows it: what `ser compare` says, and drawn intervals."""

from __future__ import annotations

import pytest

from heads.analysis.boards import make_boards
from heads.analysis.leaderboard import notes
from heads.report.contenders import contenders_of
from heads.report.leaderboard import value_of
from heads.report.sections.leaderboard import leaderboard_section, size_told, time_told
from heads.report.sections.naming import name_runs


@pytest.fixture(scope="module")
def shown(report_runs):
    boards = make_boards(contenders_of(report_runs), None)
    named = {n.id: n for n in name_runs([run.results for run in report_runs])}
    return [(own, leaderboard_section(own, named, n)) for n, own in enumerate(boards)]


def cells(table, row):
    return dict(zip([column.title for column in table.columns], row, strict=True))


def test_each_row_holds_the_run_s_numbers_and_remarks(shown):
    for board, section in shown:
        for own, row in zip(board.contenders, section.table.rows, strict=True):
            found, metric = cells(section.table, row), own.results["metrics"]["ua"]
            assert found["UA"].value == metric["mean"]
            assert found["UA"].text == value_of(metric["mean"], "ua")
            assert found["95 % over speakers"].text == " to ".join(
                value_of(end, "ua") for end in metric["ci95"]
            )
            assert {b.text for b in found["run"].badges} == set(notes(own.results))


def test_intervals_are_drawn_in_order_and_on_the_scale(shown):
    for _, section in shown:
        for row in section.table.rows:
            whisker = cells(section.table, row)["95 % over speakers"].whisker
            assert 0 <= whisker.low <= whisker.middle <= whisker.high <= 100


def test_a_run_alone_is_not_called_the_best(shown):
    for board, section in shown:
        assert len(board.contenders) == 1
        (row,) = section.table.rows
        assert cells(section.table, row)["verdict"].text == "the only one"
        assert section.across is None


def test_two_runs_are_ranked_and_compared_per_emotion(report_runs):
    results = report_runs[0].results
    contenders = contenders_of(report_runs[:1])
    twin = type(contenders[0])(
        results={**results, "run_id": "twin"}, tested=contenders[0].tested, size_bytes=None
    )
    (board,) = make_boards([*contenders, twin], None)
    named = {n.id: n for n in name_runs([own.results for own in board.contenders])}
    section = leaderboard_section(board, named, 1)
    verdicts = [cells(section.table, row)["verdict"] for row in section.table.rows]
    assert verdicts[0].mark == "best"
    assert verdicts[1].mark in ("alike", "few")
    assert section.finding.endswith("the other one cannot be told from it.")
    assert section.across is not None
    assert cells(section.table, section.table.rows[1])["size"].value is None


@pytest.mark.parametrize(
    ("told", "text"),
    [(size_told(2_345_678), "2.3 MB"), (size_told(5_000), "5 kB"), (time_told(3.21), "3.2 s"),
     (time_told(125.0), "2 min 05 s"), (time_told(None), "\N{EN DASH}")],
)  # fmt: skip
def test_sizes_and_times_are_for_people(told, text):
    assert told == text
