"""`ser compare`: runs to leaderboards in text, and to critical-difference pictures."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from embedcache.atomic import write_whole
from embedcache.errors import SerError, UsageError, disk_errors, unknown_name
from heads.analysis.boards import Board, make_boards
from heads.analysis.leaderboard import LOWER_IS_BETTER, SHOWN
from heads.analysis.ranking import has_test, speaker_dependency
from heads.report.contenders import Chosen, choose_runs, contenders_of
from heads.report.leaderboard import name_of, render_board, render_dependency, title_of
from heads.report.tables import render_records, require_format

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from heads.analysis.ranking import Contender

SORTED_BY = ("parameters", "size_bytes", "train_s", "created", "head", "encoder", "run")
PICTURES = (".png", ".svg", ".pdf")
_MOST_IN_PICTURE = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What `ser compare` is asked for.

    Attributes:
        chosen: Which runs.
        metric: What is tested, and sorts; None for UA, and CCC of dimensions.
        sort: What sorts instead: another metric, or one of `SORTED_BY`.
        format: `table`, `md`, `csv` or `json`.
        picture: Where the critical-difference diagram goes; several boards get a number each.
        together: Whether runs that differ in labels, utterances or protocol are compared on what
            they share.
    """

    chosen: Chosen
    metric: str | None = None
    sort: str | None = None
    format: str = "table"
    picture: Path | None = None
    together: bool = False

    def __post_init__(self) -> None:
        require_format(self.format)
        metrics = [name for known in SHOWN.values() for name in known]
        if self.metric is not None and self.metric not in metrics:
            raise unknown_name("metric", self.metric, metrics)
        require_sort(self.sort)
        if self.picture is not None and self.picture.suffix not in PICTURES:
            raise UsageError(
                f"--picture {self.picture}: give a file that ends in {', '.join(PICTURES)}"
            )
        if self.picture is not None and self.metric is not None and not has_test(self.metric):
            raise UsageError(
                f"--picture: there is no paired test of {self.metric}; leave --metric out, or give "
                "one that has a test, such as ua, wa, macro_f1 or kl"
            )


def require_sort(name: str | None) -> None:
    """See that runs can be sorted by something.

    Raises:
        UsageError: They cannot.
    """
    known = [*(metric for own in SHOWN.values() for metric in own), *SORTED_BY]
    if name is not None and name not in known:
        raise unknown_name("--sort", name, known)


def compare(asked: Comparison) -> str:
    """The leaderboards of some runs, or of all in a folder.

    Raises:
        UsageError: There is no such run or metric, or no run at all.
        SerError: A run that is named is damaged, or the picture cannot be written.
    """
    runs = choose_runs(asked.chosen)
    able = [run for run in runs if asked.metric in (None, *SHOWN[run.target])]
    if not able:
        raise UsageError(f"--metric {asked.metric}: none of the {len(runs)} runs has it")
    contenders = contenders_of(able, strict=bool(asked.chosen.names))
    if not contenders:
        raise SerError(
            f"none of the {len(able)} runs can be believed: their numbers contradict their "
            "predictions; train the heads again"
        )
    boards = make_boards(contenders, asked.metric, asked.together)
    if asked.picture is not None:
        _write_pictures(boards, asked.picture)
    return render(boards, _dependencies(contenders, boards), asked.format, asked.sort)


def render(
    boards: Sequence[Board],
    dependencies: Sequence[tuple[pd.DataFrame, str]],
    form: str,
    sort: str | None = None,
) -> str:
    """Leaderboards as text.

    Args:
        boards: The leaderboards.
        dependencies: What shared speakers add, and in which metric.
        form: `table`, `md`, `csv` or `json`.
        sort: What sorts in place of each board's metric.
    """
    tables = [_sorted(board, sort) for board in boards]
    if form in ("csv", "json"):
        rows = [
            table.assign(kind="run", metric=board.metric, numbers_of=board.shared)
            for board, table in zip(boards, tables, strict=True)
        ]
        rows += [
            table.assign(kind="speaker dependency", metric=metric)
            for table, metric in dependencies
            if len(table)
        ]
        return render_records(pd.concat(rows, ignore_index=True), form)
    parts = [
        render_board(board, table, markdown=form == "md")
        for board, table in zip(boards, tables, strict=True)
    ]
    parts += [
        render_dependency(table, metric, markdown=form == "md")
        for table, metric in dependencies
        if len(table)
    ]
    return "\n\n".join(parts)


def _dependencies(
    contenders: Sequence[Contender], boards: Sequence[Board]
) -> list[tuple[pd.DataFrame, str]]:
    """What shared speakers add, for each metric that sorts a board."""
    by = {board.target: board.metric for board in boards}
    return [
        (
            speaker_dependency([own for own in contenders if own.target == target], metric),
            metric,
        )
        for target, metric in by.items()
    ]


def _sorted(board: Board, sort: str | None) -> pd.DataFrame:
    if sort is None or sort not in board.table:
        return board.table
    up = sort in LOWER_IS_BETTER or (sort in SORTED_BY and sort != "created")
    return board.table.sort_values(
        [sort, "rank"], ascending=[up, True], na_position="last", ignore_index=True
    )


def _write_pictures(boards: Sequence[Board], file: Path) -> None:
    """The critical-difference diagram of each board with two runs or more.

    Raises:
        UsageError: There is no such board.
        SerError: The file cannot be written.
    """
    drawn = [picture for board in boards if (picture := _picture(board, file.suffix)) is not None]
    if not drawn:
        raise UsageError(
            f"--picture {file}: no two of these runs stand on one leaderboard with known speakers; "
            "name the runs that are to be compared"
        )
    for number, picture in enumerate(drawn):
        path = file if len(drawn) == 1 else file.with_stem(f"{file.stem}-{number + 1}")
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, picture)
        _log.info("written: %s", path)


def _picture(board: Board, suffix: str) -> bytes | None:
    from heads.analysis.ranks import rank_over_speakers
    from heads.plots import to_bytes
    from heads.plots.ranks import plot_ranks

    shown = [own for own in board.contenders if own.tested is not None][:_MOST_IN_PICTURE]
    tested = [own.tested for own in shown if own.tested is not None]
    if len(tested) < 2:
        return None
    ranks = rank_over_speakers(tested, board.metric)
    if ranks is None:
        return None
    rows = board.table.set_index("run").loc[[str(own.results["run_id"]) for own in shown]]
    one_encoder = rows["encoder"].nunique() == 1
    names = [
        ", ".join(
            filter(None, (row["head"], "" if one_encoder else row["encoder"], row["settings"]))
        )
        for _, row in rows.iterrows()
    ]
    title = f"{title_of(board)}\n{name_of(board.metric)}; lines join runs that no test tells apart"
    return to_bytes(plot_ranks(ranks, names, title), suffix[1:])
