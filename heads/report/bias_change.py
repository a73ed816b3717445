"""`ser bias --compare`: what a second run changed for groups of speakers, and for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from embedcache.errors import UsageError
from heads.analysis.leaderboard import notes
from heads.analysis.mitigation import (
    corrected_changes,
    corrected_groups,
    gap_changes,
    group_changes,
    overall_change,
    two_runs,
)
from heads.analysis.rates import WHOLE
from heads.analysis.tested import common
from heads.group_columns import values_of
from heads.report.bias_change_summary import summarise_change
from heads.report.bias_inputs import known_columns, require_emotions, tested_with_speakers
from heads.report.bias_words import NAMES, interval, metric_name
from heads.report.tables import p_value, percent, render_cells, wrapped

if TYPE_CHECKING:
    from heads.analysis.gaps import GapConfig
    from heads.analysis.groups import Minimum
    from heads.analysis.tested import Tested
    from heads.results import Run


def bias_change(
    first: Run, second: Run, by: Sequence[str], minimum: Minimum, config: GapConfig
) -> tuple[dict[str, Any], str]:
    """What a second run changed: overall, in each group, and in the gaps between groups.

    Args:
        first: The run before, such as one without mitigation.
        second: The run after.
        by: Columns, as of `heads.report.bias.bias`.
        minimum: How large a group must be.
        config: How gaps are looked at.

    Returns:
        The record, and the same as text for people.

    Raises:
        UsageError: The runs have nothing in common that can be compared.
        SerError: A run is damaged.
    """
    if first.path.resolve() == second.path.resolve():
        raise UsageError(f"--compare {first.id} twice: give two different runs")
    for run in (first, second):
        require_emotions(run)
    whole, _ = tested_with_speakers(first)
    before, after = common(whole, tested_with_speakers(second)[0])
    _require_comparable(first, second, before, after)
    utterances = [second.utterances[name] for name in after.ids.tolist()]
    there = known_columns(utterances, by)
    groups, changes, remarks = {}, [], _lost(first, second, before, len(whole.ids))
    for column in by:
        values = values_of(utterances, column, there)
        both, records = two_runs(before, after, column, values, minimum)
        small = [f"{name} ({own['too_small']})" for name, own in records.items()
                 if own["too_small"]]  # fmt: skip
        if small:
            remarks.append(f"{column}: too small to be compared: {', '.join(small)}")
        if column != "speaker":
            groups[column] = group_changes(both, config)
            changes += gap_changes(both, config)
    record: dict[str, Any] = {
        "run_ids": [first.id, second.id],
        "notes": [notes(first.results), notes(second.results)],
        "remarks": remarks,
        "metric": config.metric,
        "minimum": {"speakers": minimum.speakers, "clips": minimum.clips},
        "n": len(after.ids),
        "overall": overall_change(before, after, config),
        "groups": corrected_groups(groups),
        "gaps": corrected_changes(changes, config.metric),
    }
    record["summary"] = summarise_change(record, (first.results, second.results))
    return record, _render(record)


def _require_comparable(first: Run, second: Run, before: Tested, after: Tested) -> None:
    told = f"{first.id} and {second.id}"
    if not len(before.ids):
        raise UsageError(f"{told} tested no utterance in common with the same true emotion")
    if len(before.labels) < 2:
        raise UsageError(f"{told} have fewer than two emotions in common")
    differing = int((before.speakers != after.speakers).sum())
    if differing:
        raise UsageError(
            f"{told} name different speakers for {differing} utterances: runs are compared within "
            "speakers; train both on the same corpus"
        )
    if len(set(before.speakers.tolist())) < 2:
        raise UsageError(f"{told} have one speaker in common: every interval is over speakers")


def _lost(first: Run, second: Run, before: Tested, count: int) -> list[str]:
    """What is left out because only one of the runs has it."""
    told = []
    others = second.results["corpus"]["tested"] - len(before.ids)
    ours = count - len(before.ids)
    if ours or others:
        told.append(
            f"left out, as both runs must have them with one true emotion: {ours} clips of "
            f"{first.id}, {others} of {second.id}"
        )
    lost = [label for label in (*first.labels, *second.labels) if label not in before.labels]
    if lost:
        told.append(f"left out, as only one run knows them: {', '.join(lost)}")
    return told


def _render(record: Mapping[str, Any]) -> str:
    first, second = record["run_ids"]
    head = wrapped(f"{first}{_noted(record['notes'][0])}")
    head += "\n" + wrapped(f"to {second}{_noted(record['notes'][1])}; per cent, over speakers")
    parts = [head, wrapped(record["summary"])]
    parts.append(_group_table("", {"all": record["overall"]}))
    for column, groups in record["groups"].items():
        parts.append(_group_table(column, groups))
        parts.append(_gap_table(record, column))
    parts.append(
        wrapped(
            f"Confirmatory: {metric_name(record['metric'])}; other metrics are exploratory. Gaps "
            "are signed: a change towards 0 closes one. p (Holm) is corrected within a metric, "
            "over all groups, and over all gaps."
        )
    )
    return "\n\n".join([*parts, *map(wrapped, record["remarks"])])


def _noted(own: Sequence[str]) -> str:
    return "".join(f", {note}" for note in own)


def _group_table(column: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    header = [column, "speakers", "metric", "before", "after", "change", "95 %", "p"]
    header += ["p (Holm)"] * bool(column)  # of all clips there is one change of a metric
    rows = [
        [name, str(own["speakers"]), NAMES[metric], percent(own[metric]["before"]),
         percent(own[metric]["after"]), percent(own[metric]["change"], signed=True),
         interval(own[metric]["ci95"]), p_value(own[metric]["p"]),
         *([p_value(own[metric]["p_holm"])] if column else [])]
        for name, own in groups.items()
        for metric in WHOLE
    ]  # fmt: skip
    return render_cells(header, rows, markdown=False)


def _gap_table(record: Mapping[str, Any], column: str) -> str:
    header = ["gap", "metric", "before", "after", "change", "95 %", "p", "p (Holm)"]
    rows = [
        [f"{gap['a']} - {gap['b']}", NAMES[gap["metric"]], percent(gap["before"], signed=True),
         percent(gap["after"], signed=True), percent(gap["change"], signed=True),
         interval(gap["ci95"]), p_value(gap["p"]), p_value(gap["p_holm"])]
        for gap in record["gaps"]
        if gap["by"] == column
    ]  # fmt: skip
    return render_cells(header, rows, markdown=False) if rows else "No two groups to compare."
