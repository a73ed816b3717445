"""`ser compare`: runs to a leaderboard in text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from embedcache.errors import UsageError, unknown_name
from heads.analysis.leaderboard import SHOWN, leaderboard
from heads.dimensions import DIMENSIONS
from heads.report.tables import percent, render_cells, render_records, require_format
from heads.results import find_run, list_runs, target_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TITLES = {
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
_DEFAULT = {"emotion": "ua", "dimensions": "ccc"}
_SHOWN = {
    "emotion": ("ua", "wa", "top2", "macro_f1", "kendall_tau"),
    "dimensions": ("ccc", *(f"ccc_{name}" for name in DIMENSIONS), "rmse"),
}
_IN_PER_CENT = ("ua", "wa", "top2", "macro_f1", "micro_f1", "weighted_f1")
_COMPARABLE = 3  # corpus, labels and protocol: all of them the same


def compare(
    names: Sequence[str], results_dir: Path, corpus: str | None, metric: str | None, form: str
) -> str:
    """The leaderboard of some runs, or of all in a folder: one for emotions, one for dimensions.

    Args:
        names: Folders or ids of runs; none is all in `results_dir`.
        results_dir: Folder of runs.
        corpus: Only runs on this corpus, or on just these, joined with commas or `+`.
        metric: What to sort by, of runs that have it; None for UA, and CCC of dimensions.
        form: `table`, `md`, `csv` or `json`.

    Raises:
        UsageError: There is no such run, metric or format, or no run at all.
    """
    require_format(form)
    runs = [find_run(n, results_dir) for n in names] if names else list_runs(results_dir)
    asked = corpus and set(corpus.replace(",", "+").split("+"))
    results = [r.results for r in runs if asked in (None, _corpora(r.results))]
    if not results:
        what = f" on {corpus}" if corpus else ""
        raise UsageError(f"there is no run{what} in {results_dir}; make one with `ser train-head`")
    boards = _boards(results, metric)
    if form in ("csv", "json"):
        return render_records(pd.concat([table for table, _ in boards], ignore_index=True), form)
    return "\n\n".join(render_leaderboard(*board, markdown=form == "md") for board in boards)


def _boards(
    results: Sequence[Mapping[str, Any]], metric: str | None
) -> list[tuple[pd.DataFrame, str]]:
    """The leaderboard of each target that runs have, and what it is sorted by."""
    everything = [name for known in SHOWN.values() for name in known]
    if metric is not None and metric not in everything:
        raise unknown_name("metric", metric, everything)
    boards = []
    for target, known in SHOWN.items():
        own = [result for result in results if target_of(result) == target]
        if own and metric in (None, *known):
            by = metric or _DEFAULT[target]
            boards.append((leaderboard(own, by), by))
    if not boards:
        raise UsageError(f"--metric {metric}: none of the {len(results)} runs has it")
    return boards


def render_leaderboard(table: pd.DataFrame, metric: str, markdown: bool = False) -> str:
    """A leaderboard for people: metrics in per cent, their spread over seeds, their interval.

    Where all runs share a corpus, labels or a protocol it is said once, above the table.
    """
    (shown,) = (own for target, own in _SHOWN.items() if metric in SHOWN[target])
    there = [name for name in shown if table[name].notna().any()]
    titles = {name: _title(name) for name in (metric, *there)}
    columns = ["head", "encoder", "corpus", "labels", "protocol"]
    said = [name for name in ("corpus", "labels", "protocol") if table[name].nunique() == 1]
    columns = [name for name in columns if name not in said]
    others = [name for name in titles if name != metric]
    header = [*columns, titles[metric], "± seeds", "95 % over speakers"]
    header += [titles[name] for name in others]
    header += ["speakers shared", "notes", "run"]
    rows = []
    for _, row in table.iterrows():
        cells = [str(row[name]) for name in columns]
        if row["settings"]:
            cells[columns.index("head")] += f" ({row['settings']})"
        cells += [_value(row[metric], metric), _value(row[f"{metric}_std_seeds"], metric)]
        cells += [_interval(row, metric), *(_value(row[name], name) for name in others)]
        overlap = row["speaker_overlap"]
        shared = "unknown" if pd.isna(overlap) else f"{int(overlap)} of {row['speakers']}"
        rows.append([*cells, shared, row["notes"], row["run"]])
    caption = [f"{name} {table[name].iloc[0]}" for name in said]
    scale = "metrics in per cent (tau, KL, ECE and the like as they are), "
    caption.append(f"{scale if 'ua' in titles else ''}mean over seeds, folds pooled")
    if len(said) < _COMPARABLE:
        caption.append("rows that differ in corpus, labels or protocol are not comparable")
    return f"{'; '.join(caption)}\n\n{render_cells(header, rows, markdown)}"


def _title(metric: str) -> str:
    """What a column is called: `CCC valence`."""
    base, _, dimension = metric.partition("_")
    return _TITLES[metric] if metric in _TITLES else f"{_TITLES[base]} {dimension}"


def _corpora(result: Mapping[str, Any]) -> set[str]:
    return set(result["corpus"]["name"].split("+"))


def _value(value: float | None, name: str) -> str:
    if name in _IN_PER_CENT:
        return percent(value)
    return "-" if value is None or pd.isna(value) else f"{value:.3f}"


def _interval(row: pd.Series, name: str) -> str:
    low, high = row[f"{name}_ci95_low"], row[f"{name}_ci95_high"]
    return "-" if pd.isna(low) else f"{_value(low, name)} to {_value(high, name)}"
