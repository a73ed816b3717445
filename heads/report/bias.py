"""`ser bias`: one run to scores by group, gaps, a paragraph, and `bias.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heads.analysis.gaps import MOST_GROUPS, GapConfig, corrected, group_gaps
from heads.analysis.groups import (
    Minimum,
    equalised_odds,
    group_by,
    group_records,
    large_enough,
    score_record,
    speaker_spread,
    worst_groups,
)
from heads.analysis.leaderboard import notes
from heads.group_columns import values_of
from heads.report.bias_inputs import known_columns, require_emotions, tested_with_speakers
from heads.report.bias_summary import summarise
from heads.report.bias_tables import render_bias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heads.analysis.groups import Grouping
    from heads.results import Run


_MINIMUM = Minimum()
_GAPS = GapConfig()


def bias(
    run: Run, by: Sequence[str], minimum: Minimum = _MINIMUM, config: GapConfig = _GAPS
) -> tuple[dict[str, Any], str]:
    """Scores by group and the gaps between groups.

    Args:
        run: The run.
        by: Columns: gender, speaker, age, session, language, sentence, one of the corpus's own, or
            intersections of them, as gender+age.
        minimum: How large a group must be to be compared.
        config: How gaps are looked at.

    Returns:
        The record for `bias.json`, and the same as text for people.

    Raises:
        UsageError: A column does not exist or is empty, speakers are not known, or the run has
            learned dimensions.
        SerError: The run is damaged.
    """
    require_emotions(run)
    tested, utterances = tested_with_speakers(run)
    there = known_columns(utterances, by)
    groupings = [group_by(tested, column, values_of(utterances, column, there)) for column in by]
    everyone = group_by(tested, "speaker", tested.speakers.tolist())
    groups = {g.column: group_records(g, minimum) for g in groupings}
    gaps = [gap for g in groupings for gap in group_gaps(g, groups[g.column], config)]
    compared = {name: own for name, own in groups.items() if name != "speaker"}
    record: dict[str, Any] = {
        "run_id": run.id,
        "notes": notes(run.results),
        "remarks": [remark for g in groupings for remark in _remarks(g, groups[g.column])],
        "metric": config.metric,
        "minimum": {"speakers": minimum.speakers, "clips": minimum.clips},
        "overall": score_record(everyone.tallies, everyone.labels, everyone.seeds),
        "groups": groups,
        "gaps": corrected(gaps, config.metric),
        "equalised_odds": {name: equalised_odds(own, minimum) for name, own in compared.items()},
        "worst": {name: worst_groups(own) for name, own in compared.items()},
        "spread": speaker_spread(group_records(everyone, minimum)),
    }
    record["summary"] = summarise(record, run.results)
    return record, render_bias(record, run.labels)


def _remarks(grouping: Grouping, records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What of a column is not compared, and why."""
    column, told = grouping.column, []
    if grouping.missing:
        told.append(f"{column}: {grouping.missing} clips have no value and are in no group")
    small = [f"{name} ({own['too_small']})" for name, own in records.items() if own["too_small"]]
    if small:
        told.append(f"{column}: too small to be compared: {_listed(small)}")
    compared = large_enough(records)
    if column != "speaker":
        if len(compared) < 2:
            told.append(f"{column}: no two groups to compare")
        if len(compared) > MOST_GROUPS:
            told.append(
                f"{column}: {len(compared)} groups; gaps are looked at between {MOST_GROUPS} at "
                "most: raise --min-clips or --min-speakers, or make groups in a column of your own"
            )
        told += _lacking(column, grouping.labels, records, compared)
    return told


def _lacking(
    column: str,
    labels: Sequence[str],
    records: Mapping[str, Mapping[str, Any]],
    compared: Sequence[str],
) -> list[str]:
    """Groups that are compared and lack an emotion."""
    found = []
    for name in compared:
        none = [label for label in labels if records[name]["recall"][label] is None]
        if none:
            found.append(f"{name} ({', '.join(none)})")
    if not found:
        return []
    return [f"{column}: groups that lack emotions, whose UA is over the others: {_listed(found)}"]


def _listed(parts: Sequence[str], most: int = 12) -> str:
    rest = f" and {len(parts) - most} more" if len(parts) > most else ""
    return ", ".join(parts[:most]) + rest
