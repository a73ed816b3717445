"""`ser bias`: one run to scores by group, gaps, and `bias.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from embedcache.errors import UsageError
from heads.analysis.groups import GroupTable, group_gaps, group_scores, holm
from heads.analysis.leaderboard import notes
from heads.metrics import sum_by, tally
from heads.report.tables import percent, render_cells

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from embedcache.utterance import Utterance
    from heads.results import Run

_FIELDS = ("gender", "speaker", "age", "session", "language", "sentence")
_AGE_BAND = 10
_FEW_SPEAKERS = 6


def bias(run: Run, by: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Scores by group and the gaps between groups.

    Args:
        run: The run.
        by: Columns: gender, speaker, age, session, language, sentence, or one of the corpus's own.

    Returns:
        The record for `bias.json`, and the same as tables for people.

    Raises:
        UsageError: A column does not exist or is empty, or speakers are not known.
    """
    if run.target != "emotion":
        raise UsageError(
            f"{run.id} has learned {', '.join(run.labels)}: recall and accuracy of groups are of "
            "runs on emotions"
        )
    everyone = run.utterances.values()
    if not by:
        raise UsageError(f"--by is empty; there are: {', '.join(columns(everyone))}")
    table, ids = _table(run)
    groups, gaps = {}, []
    for column in by:
        values = [_value(run.utterances[name], column) for name in ids]
        if not any(values):
            raise UsageError(
                f"--by {column}: this run's utterances have no such column; there are: "
                f"{', '.join(columns(everyone))}"
            )
        groups[column] = group_scores(table, values)
        gaps += group_gaps(table, column, values)
    record = {
        "run_id": run.id,
        "notes": notes(run.results),
        "groups": groups,
        "gaps": holm(gaps),
    }
    return record, _render(record, run)


def _table(run: Run) -> tuple[GroupTable, list[str]]:
    """What each utterance counts for, summed over seeds, and the utterances' ids."""
    predictions = run.predictions
    truth = predictions[[f"true_{label}" for label in run.labels]].to_numpy(float)
    guess = predictions[[f"pred_{label}" for label in run.labels]].to_numpy(float)
    ids, codes = np.unique(predictions["id"].to_numpy(str), return_inverse=True)
    tallies = sum_by(tally(guess, truth), codes, len(ids))
    lacking = [name for name in ids.tolist() if name not in run.utterances]
    if lacking:
        raise UsageError(
            f"{run.path} has predictions for {len(lacking)} utterances that its utterances.jsonl "
            f"does not list, first '{lacking[0]}'; train the head again"
        )
    speakers = [run.utterances[name].speaker for name in ids.tolist()]
    if any(speaker is None for speaker in speakers):
        raise UsageError(
            f"{run.id}: {speakers.count(None)} of {len(speakers)} utterances name no speaker, and "
            "every interval is over speakers; add a speaker column in a manifest"
        )
    known = [speaker or "" for speaker in speakers]
    return GroupTable(tallies=tallies, speakers=known, labels=run.labels), ids.tolist()


def _value(utterance: Utterance, column: str) -> str | None:
    """The group of an utterance; ages in bands of ten years."""
    if column == "age":
        if utterance.age is None:
            return None
        low = int(utterance.age) // _AGE_BAND * _AGE_BAND
        return f"{low}-{low + _AGE_BAND - 1}"
    value = getattr(utterance, column) if column in _FIELDS else utterance.extra.get(column)
    return str(value) if value else None


def columns(utterances: Collection[Utterance]) -> list[str]:
    """Columns that groups can be made by: those in which some utterance has a value."""
    own = sorted({name for utterance in utterances for name in utterance.extra})
    return [c for c in (*_FIELDS, *own) if any(_value(u, c) for u in utterances)]


def _render(record: Mapping[str, Any], run: Run) -> str:
    remarks = "".join(f", {note}" for note in notes(run.results))
    parts = [f"{run.id}{remarks}; metrics in per cent"]
    for column, groups in record["groups"].items():
        header = [column, "clips", "speakers", "UA", "WA", "macro-F1"]
        header += [f"recall {label}" for label in run.labels]
        rows = [
            [value, str(g["n"]), str(g["speakers"]), percent(g["ua"]), percent(g["wa"]),
             percent(g["macro_f1"]), *map(percent, g["recall"].values())]
            for value, g in groups.items()
        ]  # fmt: skip
        parts.append(render_cells(header, rows, markdown=False))
    parts.append(_render_gaps(record))
    return "\n\n".join(parts)


def _render_gaps(record: Mapping[str, Any]) -> str:
    header = ["gap", "metric", "points", "95 % over speakers", "p", "p (Holm)", "remark"]
    rows = []
    for gap in record["gaps"]:
        interval = "-"
        if gap["ci95"]:
            interval = " to ".join(percent(edge, signed=True) for edge in gap["ci95"])
        sizes = [record["groups"][gap["by"]][gap[side]]["speakers"] for side in ("a", "b")]
        remark = gap.get("reason", "")
        if not remark and min(sizes) < _FEW_SPEAKERS:
            remark = f"only {min(sizes)} speakers in a group"
        rows.append(
            [f"{gap['a']} - {gap['b']}", gap["metric"], percent(gap["gap"], signed=True), interval,
             _p(gap["p"]), _p(gap["p_holm"]), remark]
        )  # fmt: skip
    if not rows:
        return "No two groups to compare."
    return render_cells(header, rows, markdown=False)


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value >= 0.001 else "< 0.001"
