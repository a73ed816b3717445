"""A leaderboard as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from heads.analysis.ranking import FEW, UNKNOWN
from heads.analysis.significance import COMPARED, LEVEL, stands
from heads.dimensions import DIMENSIONS
from heads.report.tables import p_value, percent, render_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from heads.analysis.boards import Board

TITLES = {
    "ua": "UA",
    "wa": "WA",
    "top2": "top-2",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "weighted_f1": "weighted-F1",
    "kendall_tau": "tau",
    "kl": "KL",
    "ece": "ECE",
    "ece_scaled": "ECE, scaled",
    "js": "JS",
    "cosine": "cosine",
    "brier": "Brier",
    "ccc": "CCC",
    "rmse": "RMSE",
    "pearson": "Pearson",
}
_OTHERS = {
    "emotion": ("ua", "wa", "top2", "macro_f1", "kendall_tau"),
    "dimensions": ("ccc", *(f"ccc_{name}" for name in DIMENSIONS), "rmse"),
}
_IN_PER_CENT = ("ua", "wa", "top2", "macro_f1", "micro_f1", "weighted_f1")
_MARK = "*"
_DETAILS = ("corpus", "encoder", "labels", "protocol")


def title_of(board: Board) -> str:
    """What a leaderboard is of, where all its runs share it."""
    said = [name for name in _DETAILS if board.table[name].nunique() == 1]
    return "; ".join(f"{name} {board.table[name].iloc[0]}" for name in said)


def render_board(board: Board, table: pd.DataFrame, markdown: bool) -> str:
    """A leaderboard: who leads and who is as good, then other metrics, F1s, and what runs cost.

    Args:
        board: The leaderboard.
        table: Its table, in the order in which it is shown.
        markdown: Whether in Markdown.
    """
    parts = [
        _caption(board),
        _table(_places(board, table), markdown),
        _table(_metrics(board, table), markdown, _about_metrics(board, table)),
        _table(_emotions(table), markdown, "F1 of each emotion"),
        _table(_cost(table), markdown, "Runs: weights of one model, size of all folds' and seeds'"),
    ]
    return "\n\n".join(filter(None, parts))


def render_dependency(table: pd.DataFrame, metric: str, markdown: bool) -> str:
    """What shared speakers add: the same head with them less without them."""
    rows = []
    for _, row in table.iterrows():
        rows.append(
            {
                "head": row["head"],
                "encoder": row["encoder"],
                "corpus": row["corpus"],
                "protocols": row["protocol"],
                f"{name_of(metric)} added": _difference(row["difference"], metric),
                "95 % over speakers": _range(row, "difference", metric, signed=True),
                "p (Holm)": p_value(row["p_holm"]),
                "speakers": str(row["speakers"]),
                "compared on": row["compared_on"] or "all utterances",
            }
        )
    about = "Speaker dependency: what speakers add that training and test share"
    return _table(rows, markdown, about)


def name_of(metric: str) -> str:
    """What a column is called: `CCC valence`."""
    base, _, dimension = metric.partition("_")
    return TITLES[metric] if metric in TITLES else f"{TITLES[base]} {dimension}"


def _caption(board: Board) -> str:
    lines = [title_of(board)]
    scale = " (UA, WA, top-2 and F1s in per cent)" if board.target == "emotion" else ""
    lines.append(
        f"{name_of(board.metric)} is the mean over seeds, folds pooled{scale}; each run is tested "
        "against the best by swapping speakers, corrected by Holm"
    )
    few = board.table["verdict"].eq(FEW)
    if few.any():
        smallest = float(board.table.loc[few, "smallest_p"].max())
        told = f"{FEW}: with so few, p cannot be less than {smallest:.2g}"
        comparisons = int(board.table["p"].notna().sum())
        if smallest <= LEVEL:
            told += f", and {LEVEL:g} is shared out over {comparisons} comparisons; name fewer runs"
        lines.append(told)
    if board.shared:
        lines.append(board.shared)
    return "\n".join(filter(None, lines))


def _places(board: Board, table: pd.DataFrame) -> list[dict[str, str]]:
    """The board itself: the metric that is tested, and what it must be read with."""
    metric, name = board.metric, name_of(board.metric)
    varied = [detail for detail in _DETAILS if board.table[detail].nunique() > 1]
    rows = []
    for _, row in table.iterrows():
        head = f"{row['head']} ({row['settings']})" if row["settings"] else row["head"]
        verdict = row["verdict"]
        if verdict == UNKNOWN and isinstance(row["compared_on"], str):
            verdict = f"{UNKNOWN}: {row['compared_on']}"
        elif isinstance(row["compared_on"], str) and row["compared_on"]:
            verdict = f"{verdict} (on {row['compared_on']})"
        overlap = row["speaker_overlap"]
        rows.append(
            {
                "#": str(row["rank"]),
                "head": head,
                **{detail: row[detail] for detail in varied},
                name: value_of(row[metric], metric),
                "95 % over speakers": _range(row, metric, metric),
                "± seeds": value_of(row[f"{metric}_std_seeds"], metric),
                "± folds": value_of(row[f"{metric}_std_folds"], metric),
                "less the best": _less_the_best(row, metric),
                "p (Holm)": p_value(row["p_holm"]),
                "verdict": verdict,
                "speakers shared": "unknown" if pd.isna(overlap)
                else f"{int(overlap)} of {row['speakers']}",
                "notes": row["notes"],
            }
        )  # fmt: skip
    return rows


def _metrics(board: Board, table: pd.DataFrame) -> list[dict[str, str]]:
    """The other metrics, each with its interval."""
    shown = [
        name
        for name in _OTHERS[board.target]
        if name != board.metric and name in table and table[name].notna().any()
    ]
    rows = []
    for _, row in table.iterrows():
        cells = {"#": str(row["rank"]), "head": row["head"]}
        for name in shown:
            interval = _range(row, name, name)
            cell = value_of(row[name], name)
            cell += f" ({interval})" if interval != "-" else ""
            cells[name_of(name)] = cell + (_MARK if _exploratory(row, name) else "")
        cells |= {
            f"{name_of(board.metric)}, percentile bootstrap": _range(
                row, f"{board.metric}_bootstrap", board.metric
            )
        }
        rows.append(cells)
    return rows if shown else []


def _about_metrics(board: Board, table: pd.DataFrame) -> str:
    about = "Other metrics, with 95 % over speakers"
    tested = [name for name in COMPARED[board.target] if f"p_{name}" in table]
    if tested and any(_exploratory(row, name) for _, row in table.iterrows() for name in tested):
        about += (
            f"; {_MARK} differs from the best run's (p <= {LEVEL:g}), exploratory and not corrected"
        )
    return f"{about}; the percentile bootstrap, too narrow for few speakers, for comparison"


def _emotions(table: pd.DataFrame) -> list[dict[str, str]]:
    names = [str(name) for name in table]
    labels = [name for name in names if name.startswith("f1_") and table[name].notna().any()]
    return [
        {"#": str(row["rank"]), "head": row["head"]}
        | {label.removeprefix("f1_"): percent(row[label]) for label in labels}
        for _, row in table.iterrows()
        if labels
    ]


def _cost(table: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "#": str(row["rank"]),
            "weights": f"{row['parameters']:,}",
            "size": _size(row["size_bytes"]),
            "training": _duration(row["train_s"]),
            "run": row["run"],
        }
        for _, row in table.iterrows()
    ]


def _table(rows: Sequence[dict[str, str]], markdown: bool, about: str = "") -> str:
    """A table under a line about it; nothing without rows."""
    if not rows:
        return ""
    table = render_cells(list(rows[0]), [list(row.values()) for row in rows], markdown)
    blank = "\n\n" if markdown else "\n"
    return f"{about}{blank}{table}" if about else table


def _exploratory(row: pd.Series, metric: str) -> bool:
    p = row.get(f"p_{metric}")
    return p is not None and not pd.isna(p) and stands(p)


def _less_the_best(row: pd.Series, metric: str) -> str:
    if pd.isna(row["difference"]):
        return "-"
    told = _difference(row["difference"], metric)
    interval = _range(row, "difference", metric, signed=True)
    return told if interval == "-" else f"{told} ({interval})"


def value_of(value: float | None, metric: str) -> str:
    """A metric's value: in per cent, or with three decimals."""
    if metric in _IN_PER_CENT:
        return percent(value)
    return "-" if value is None or pd.isna(value) else f"{value:.3f}"


def _difference(value: float | None, metric: str) -> str:
    if metric in _IN_PER_CENT:
        return percent(value, signed=True)
    return "-" if value is None or pd.isna(value) else f"{value:+.3f}"


def _range(row: pd.Series, name: str, metric: str, signed: bool = False) -> str:
    suffix = "" if name.endswith("_bootstrap") else "_ci95"
    low, high = row.get(f"{name}{suffix}_low"), row.get(f"{name}{suffix}_high")
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return "-"
    told: Callable[[float, str], str] = _difference if signed else value_of
    return f"{told(low, metric)} to {told(high, metric)}"


def _size(size: float | None) -> str:
    if size is None or pd.isna(size):
        return "-"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"
