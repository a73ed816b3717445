"""A paragraph on what a second run changed: whether a gap was closed, and at whose cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from heads.analysis.leaderboard import LOWER_IS_BETTER
from heads.analysis.significance import stands
from heads.report.bias_words import (
    cautions,
    interval,
    metric_name,
    p_told,
    points,
)
from heads.report.tables import percent

_TOLD_GAPS = 4


def summarise_change(record: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> str:
    """The paragraph: what changed for all, and each gap of the primary metric.

    Args:
        record: Of `ser bias --compare`, without the paragraph.
        results: `results.json` of both runs.
    """
    told = [_overall(record)]
    gaps = [gap for gap in record["gaps"] if not gap["exploratory"]]
    told += [_gap(record, gap) for gap in gaps[:_TOLD_GAPS]]
    if len(gaps) > _TOLD_GAPS:
        rest = gaps[_TOLD_GAPS:]
        shown = sum(stands(gap["p_holm"]) for gap in rest)
        told.append(f"Of {len(rest)} more gaps {shown} changed as shown by p (see the table).")
    if not gaps:
        told.append("No two groups are large enough to be compared.")
    told += _standardised(results)
    told += dict.fromkeys(text for own in results for text in cautions(own))
    return " ".join(told)


def _overall(record: Mapping[str, Any]) -> str:
    metric, overall = record["metric"], record["overall"]
    own, name = overall[metric], metric_name(record["metric"])
    who = f"Over {record['n']} clips of {overall['speakers']} speakers that both tested, {name}"
    if own["change"] is None:
        return f"{who} is not defined in both."
    sure = _sure(own["ci95"], own["p"], corrected=False)
    went = f"went from {percent(own['before'])} to {percent(own['after'])} %"
    told = f"{who} {went} ({percent(own['change'], signed=True)}{sure})"
    if not stands(own["p"]):
        told += ", which shows no change of it"
    better = "; less is better" if metric in LOWER_IS_BETTER else ""
    return f"{told}{better}."


def _gap(record: Mapping[str, Any], gap: Mapping[str, Any]) -> str:
    pair = f"The gap {gap['a']} - {gap['b']}"
    if gap["change"] is None:
        return f"{pair} is not defined in both runs."
    before, after = gap["before"], gap["after"]
    went = f"went from {percent(before, signed=True)} to {percent(after, signed=True)} points"
    told = f"{pair} {went} (change {percent(gap['change'], signed=True)}"
    told += f"{_sure(gap['ci95'], gap['p_holm'], corrected=True)})"
    if not stands(gap["p_holm"]):
        if gap["too_few"]:
            return f"{told}: too few speakers to decide whether that is more than chance."
        smaller = abs(after) < abs(before) and _lost_overall(record)
        also = " It came out smaller while all speakers together got worse." if smaller else ""
        return f"{told}: a change of the gap is not shown, nor that there is none.{also}"
    if before * after < 0:
        found = f"it turned round, and is {_size(before, after)} than before"
    else:
        found = f"it is {_size(before, after)}"
    return f"{told}: {found}.{_how(record, gap)}"


def _size(before: float, after: float) -> str:
    return "smaller" if abs(after) < abs(before) else "larger"


def _lost_overall(record: Mapping[str, Any]) -> bool:
    """Whether the primary metric got worse over all."""
    change = record["overall"][record["metric"]]["change"] or 0.0
    return bool(change > 0 if record["metric"] in LOWER_IS_BETTER else change < 0)


def _how(record: Mapping[str, Any], gap: Mapping[str, Any]) -> str:
    """Whether the weaker group gained or the stronger one lost."""
    metric, groups = record["metric"], record["groups"][gap["by"]]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    stronger, weaker = (gap["a"], gap["b"]) if sign * gap["before"] > 0 else (gap["b"], gap["a"])
    gains = {name: sign * groups[name][metric]["change"] for name in (stronger, weaker)}
    told = " and ".join(f"{name} {percent(gain, signed=True)}" for name, gain in gains.items())
    if abs(gap["after"]) >= abs(gap["before"]):
        return f" (Gains: {told}.)"
    if gains[weaker] <= 0:
        return (
            f" It shrank because {stronger} lost more than {weaker}, not because {weaker} gained "
            f"({told}): everybody got worse, and nobody was helped."
        )
    if gains[stronger] < 0:
        told = f" {weaker} gained {points(gains[weaker])}, and {stronger} lost "
        return f"{told}{points(gains[stronger])}."
    return f" Both gained ({told}): {weaker} more."


def _standardised(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Runs of which one is an easier task."""
    own = [result["training"].get("standardise") == "speaker" for result in results]
    if own[0] == own[1]:
        return []
    return [
        f"The {'second' if own[1] else 'first'} run looks at each test speaker's other clips "
        "(speakers' own statistics), which is an easier task: what it gains cannot be had where "
        "a speaker is heard for the first time."
    ]


def _sure(edges: Sequence[float] | None, p: float | None, corrected: bool) -> str:
    told = [f"95 % over speakers {interval(edges)}"] if edges else []
    told += [p_told(p, corrected)] if p is not None else []
    return "".join(f", {part}" for part in told)
