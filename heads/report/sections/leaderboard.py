"""The leaderboard: each run's number, its interval, its verdict, and what to read it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from heads.analysis import ranking
from heads.analysis.leaderboard import LOWER_IS_BETTER, SHOWN, notes
from heads.analysis.ranks import rank_over_speakers
from heads.plots.bars import plot_f1_across
from heads.plots.ranks import plot_ranks
from heads.plots.style import DASH, MINUS
from heads.report.leaderboard import name_of, value_of
from heads.report.sections.parts import (
    Cell,
    Column,
    Picture,
    Table,
    Whisker,
    badges,
    number_cell,
    picture,
)
from heads.report.tables import p_value

if TYPE_CHECKING:
    from heads.analysis.boards import Board
    from heads.report.sections.naming import Named

_OTHERS = {
    "emotion": ("ua", "wa", "top2", "macro_f1", "kendall_tau"),
    "dimensions": SHOWN["dimensions"],
}
_MOST_RANKED = 20
_DETAILS = ("encoder", "corpus", "labels", "protocol")
_MARKS = {
    ranking.BEST: "best",
    ranking.ALIKE: "alike",
    ranking.WORSE: "worse",
    ranking.FEW: "few",
    ranking.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardShown:
    """A leaderboard for the page.

    Attributes:
        title: What its runs share.
        remarks: What its numbers are, and on what they are taken.
        finding: Who leads, in a sentence.
        table: One row for each run.
        across: F1 of each emotion across its runs, where there are several.
        ranks: The critical-difference diagram, where there are several.
    """

    title: str
    remarks: Sequence[str]
    finding: str
    table: Table
    across: Picture | None
    ranks: Picture | None


def leaderboard_section(board: Board, named: Mapping[str, Named], number: int) -> BoardShown:
    """A leaderboard for the page.

    Args:
        board: The leaderboard.
        named: What its runs are called, by their ids.
        number: Of the board in the page.
    """
    table = board.table
    shared = [name for name in _DETAILS if table[name].nunique() == 1]
    varied = [name for name in _DETAILS if name not in shared]
    metrics = [
        name
        for name in dict.fromkeys((board.metric, *_OTHERS[board.target]))
        if name == board.metric or (name in table and table[name].notna().any())
    ]
    results = {str(own.results["run_id"]): own.results for own in board.contenders}
    scale = _scale(table, board.metric)
    columns = _columns(board, metrics, varied)
    rows = [
        _row(
            row,
            board.metric,
            metrics,
            varied,
            scale,
            named[row["run"]],
            results[row["run"]],
            alone=len(table) == 1,
        )
        for _, row in table.iterrows()
    ]
    title = ", ".join(str(table[name].iloc[0]) for name in ("corpus", "labels", "protocol")
                      if name in shared)  # fmt: skip
    return BoardShown(
        title=title or "all runs",
        remarks=_remarks(board, shared),
        finding=_finding(board, named),
        table=Table(
            name=f"board-{number}",
            caption=f"Leaderboard {number}: {title or 'all runs'}; {len(rows)} "
            f"run{'s' * (len(rows) != 1)}, by {name_of(board.metric)}",
            columns=columns,
            rows=rows,
            heading=1,
        ),
        across=_across(board, named, number),
        ranks=_ranks(board, named, number),
    )


def _ranks(board: Board, named: Mapping[str, Named], number: int) -> Picture | None:
    """Mean ranks over speakers; None where runs cannot be ranked."""
    shown = [own for own in board.contenders if own.tested is not None][:_MOST_RANKED]
    tested = [own.tested for own in shown if own.tested is not None]
    found = rank_over_speakers(tested, board.metric) if len(tested) > 1 else None
    if found is None:
        return None
    names = [named[str(own.results["run_id"])].short for own in shown]
    best = names[found.order[0]]
    return picture(
        plot_ranks(found, names, ""),
        f"board-{number}-ranks",
        "Critical-difference diagram",
        f"{best} has the best mean rank over {found.speakers} speakers, {found.mean[0]:.2f}.",
        "Lines join runs that no test over speakers tells apart, corrected over all pairs by Holm.",
        wide=True,
    )


def dependency_section(
    table: pd.DataFrame, metric: str, named: Mapping[str, Named]
) -> Table | None:
    """What shared speakers add to a run's number; None where no two runs can tell it.

    Args:
        table: Of `heads.analysis.ranking.speaker_dependency`.
        metric: Which number.
        named: What runs are called.
    """
    if not len(table):
        return None
    rows = []
    for _, row in table.iterrows():
        ends = row["difference_ci95_low"], row["difference_ci95_high"]
        told = DASH if pd.isna(ends[0]) else " to ".join(_signed(end, metric) for end in ends)
        pair = [named[row[name]] for name in ("run", "compared_with")]
        rows.append(
            [
                Cell(text=f"{pair[0].short} less {pair[1].short}", link=pair[0].anchor),
                number_cell(row["difference"], _signed(row["difference"], metric)),
                Cell(text=told),
                number_cell(row["p_holm"], p_value(row["p_holm"])),
                number_cell(row["speakers"], str(row["speakers"])),
            ]
        )
    titles = (f"{name_of(metric)} added", "95 % over speakers", "p (Holm)", "speakers")
    return Table(
        name=f"dependency-{metric}",
        caption=f"Speaker dependency: the {name_of(metric)} that shared speakers add to the "
        "same head",
        columns=[Column(title="runs"), *(Column(title=t, number=True) for t in titles)],
        rows=rows,
    )


def _columns(board: Board, metrics: Sequence[str], varied: Sequence[str]) -> list[Column]:
    name = name_of(board.metric)
    columns = [Column(title="#", number=True), Column(title="run"), Column(title="verdict")]
    columns += [Column(title=name, number=True), Column(title="95 % over speakers")]
    numbers = ["± seeds", "± folds", "less the best", "p (Holm)", *map(name_of, metrics[1:])]
    columns += [Column(title=title, number=True) for title in numbers]
    columns += [Column(title=title) for title in varied]
    costs = ("speakers shared", "weights", "size", "training")
    return columns + [Column(title=title, number=True) for title in costs]


def _row(
    row: pd.Series,
    metric: str,
    metrics: Sequence[str],
    varied: Sequence[str],
    scale: tuple[float, float],
    named: Named,
    results: Mapping[str, Any],
    alone: bool,
) -> list[Cell]:
    settings = row["settings"]
    overlap = row["speaker_overlap"]
    shared = Cell(text="unknown")
    if not pd.isna(overlap):
        shared = Cell(text=f"{int(overlap)} of {row['speakers']}", value=float(overlap))
    difference, ends = row["difference"], _ends(row, "difference")
    interval = " to ".join(_signed(end, metric) for end in ends) if ends else ""
    others = []
    for name in metrics[1:]:
        around = _ends(row, name)
        note = " to ".join(value_of(end, name) for end in around) if around else ""
        others.append(number_cell(row[name], value_of(row[name], name), note))
    return [
        Cell(text=str(row["rank"]), value=float(row["rank"])),
        Cell(
            text=named.short,
            value=named.short,
            link=named.anchor,
            note=settings,
            badges=badges(notes(results)),
        ),
        _verdict(row, alone),
        number_cell(row[metric], value_of(row[metric], metric)),
        _interval(row, metric, scale),
        number_cell(row[f"{metric}_std_seeds"], value_of(row[f"{metric}_std_seeds"], metric)),
        number_cell(row[f"{metric}_std_folds"], value_of(row[f"{metric}_std_folds"], metric)),
        number_cell(difference, _signed(difference, metric), interval),
        number_cell(row["p_holm"], p_value(row["p_holm"])),
        *others,
        *(Cell(text=str(row[name]), value=str(row[name])) for name in varied),
        shared,
        number_cell(row["parameters"], f"{row['parameters']:,.0f}"),
        number_cell(row["size_bytes"], size_told(row["size_bytes"])),
        number_cell(row["train_s"], time_told(row["train_s"])),
    ]


def _verdict(row: pd.Series, alone: bool) -> Cell:
    verdict, on = str(row["verdict"]), row["compared_on"]
    if alone:
        return Cell(text="the only one", value=1.0, mark="unknown")
    mark = next((mark for text, mark in _MARKS.items() if verdict == text), "but")
    note = on if isinstance(on, str) and on else ""
    return Cell(text=verdict, value=float(row["rank"]), note=note, mark=mark)


def _interval(row: pd.Series, metric: str, scale: tuple[float, float]) -> Cell:
    ends = _ends(row, metric)
    if ends is None or pd.isna(row[metric]):
        return Cell(text=DASH)
    low, middle, high = (
        100 * (x - scale[0]) / (scale[1] - scale[0]) for x in (ends[0], row[metric], ends[1])
    )
    return Cell(
        text=" to ".join(value_of(end, metric) for end in ends),
        value=float(ends[0]),
        whisker=Whisker(low=low, middle=middle, high=high),
    )


def _scale(table: pd.DataFrame, metric: str) -> tuple[float, float]:
    """What the drawings of intervals span: all of them, with a little room."""
    names = [metric, f"{metric}_ci95_low", f"{metric}_ci95_high"]
    values = table[names].to_numpy(dtype=float)
    if not (values == values).any():
        return 0.0, 1.0
    low, high = float(pd.Series(values.ravel()).min()), float(pd.Series(values.ravel()).max())
    room = 0.06 * (high - low) or 0.01
    return low - room, high + room


def _remarks(board: Board, shared: Sequence[str]) -> list[str]:
    name = name_of(board.metric)
    better = "lower is better" if board.metric in LOWER_IS_BETTER else "higher is better"
    told = [
        f"{name} is the mean over seeds, all folds pooled; {better}.",
        "Each run is tested against the best one by swapping whole speakers between the two; "
        "p-values are corrected by Holm.",
    ]
    if "encoder" in shared:
        told.append(f"All on frames of {board.table['encoder'].iloc[0]}.")
    if board.shared:
        told.append(f"The {board.shared}.")
    return told


def _finding(board: Board, named: Mapping[str, Named]) -> str:
    """Who leads, and how many cannot be told from it."""
    table, metric = board.table, board.metric
    best = table[table["verdict"] == ranking.BEST]
    if best.empty:
        return "No run can be called the best: none has predictions that can be compared."
    row = best.iloc[0]
    told = f"{named[row['run']].short} reaches {name_of(metric)} {value_of(row[metric], metric)}"
    ends = _ends(row, metric)
    if ends:
        told += f" (95 % over speakers {value_of(ends[0], metric)} to {value_of(ends[1], metric)})"
    if len(table) == 1:
        return f"{told}."
    alike = int(table["verdict"].isin((ranking.ALIKE, ranking.FEW)).sum())
    worse = int((table["verdict"] == ranking.WORSE).sum())
    if len(table) == 2:
        how = "is worse" if worse else "cannot be told from it" if alike else "is not compared"
        return f"{told}; the other one {how}."
    told += f"; of the {len(table) - 1} others {worse} {'is' if worse == 1 else 'are'} worse"
    return f"{told}, {alike} cannot be told from it." if alike else f"{told}."


def _across(board: Board, named: Mapping[str, Named], number: int) -> Picture | None:
    runs = [own.results for own in board.contenders]
    if board.target != "emotion" or len(runs) < 2:
        return None
    scores = [{label: own["f1"] for label, own in r["per_class"].items()} for r in runs]
    names = [named[str(r["run_id"])].short for r in runs]
    best = {
        label: max((own[label] for own in scores if own.get(label) is not None), default=None)
        for label in scores[0]
    }
    known = {label: value for label, value in best.items() if value is not None}
    finding = "F1 of each emotion across runs."
    if known:
        easiest, hardest = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
        finding = (
            f"Over these runs {easiest} is recognised best (F1 up to {100 * known[easiest]:.0f}) "
            f"and {hardest} worst (at most {100 * known[hardest]:.0f})."
        )
    return picture(
        plot_f1_across(scores, names, ""),
        f"across-{number}",
        "F1 of each emotion across runs",
        finding,
        "F1 in per cent, runs from best to worst; the highest of each emotion is bold.",
        wide=True,
    )


def _ends(row: pd.Series, name: str) -> tuple[float, float] | None:
    low, high = row.get(f"{name}_ci95_low"), row.get(f"{name}_ci95_high")
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return None
    return float(low), float(high)


def _signed(value: float, metric: str) -> str:
    told = value_of(value, metric)
    return told.replace("-", MINUS) if value < 0 else f"+{told}"


def size_told(size: float | None) -> str:
    """Bytes for people."""
    if size is None or pd.isna(size):
        return DASH
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def time_told(seconds: float | None) -> str:
    """Seconds for people."""
    if seconds is None or pd.isna(seconds):
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"
