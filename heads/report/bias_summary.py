"""A paragraph on a bias report: what the data support, and what they do not."""

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

SMALL_GAP = 0.05  # an interval within this, either way, is called narrow
_TOLD_GAPS = 4
_TOLD_FINDINGS = 3


def summarise(record: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """The paragraph: scores, each gap of the primary metric, exploratory findings, cautions.

    Args:
        record: Of `bias.json`, without the paragraph.
        results: `results.json` of the run.
    """
    told = [_overall(record)]
    primary = [gap for gap in record["gaps"] if not gap["exploratory"] and gap["by"] != "speaker"]
    told += _gaps(record, primary)
    told += _findings(record)
    told += _spread(record)
    if any(kind(gap) in ("wide", "too few", "untested") for gap in primary):
        told.append("That a gap is not shown is no sign that the groups are treated alike.")
    return " ".join([*told, *cautions(results)])


def kind(gap: Mapping[str, Any]) -> str:
    """What the data say of a gap.

    Returns:
        `shown` (p stands after correction), `narrow` (it does not, and the whole interval lies
        within 5 points of 0), `wide`, `too few` (no p of so few speakers could stand), `untested`
        (there is no valid test) or `undefined`.
    """
    if gap["gap"] is None:
        return "undefined"
    if gap["p_holm"] is None:
        return "untested"
    if stands(gap["p_holm"]):
        return "shown"
    if gap["too_few"]:
        return "too few"
    edges = gap["ci95"]
    return "narrow" if edges and max(map(abs, edges)) <= SMALL_GAP else "wide"


def _overall(record: Mapping[str, Any]) -> str:
    overall, metric = record["overall"], record["metric"]
    name = metric_name(metric)
    who = f"{overall['n']} clips of {overall['speakers']} speakers"
    if overall[metric] is None:
        return f"Over {who}, {name} is not defined."
    edges = interval(overall["ci95"][metric], signed=False)
    sure = "" if edges == "-" else f" (95 % over speakers {edges})"
    better = "; less is better" if metric in LOWER_IS_BETTER else ""
    return f"Over {who}, {name} is {percent(overall[metric])} %{sure}{better}."


def _gaps(record: Mapping[str, Any], gaps: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence or two on each gap; of many, on those that are shown, and the number of others."""
    if not gaps:
        columns = [column for column in record["groups"] if column != "speaker"]
        return ["No two groups are large enough to be compared."] if columns else []
    if len(gaps) <= _TOLD_GAPS:
        return [_gap(record, gap) for gap in gaps]
    shown = [gap for gap in gaps if kind(gap) == "shown"]
    shown.sort(key=lambda gap: -abs(gap["gap"]))
    told = [_gap(record, gap) for gap in shown[:_TOLD_GAPS]]
    name = metric_name(record["metric"])
    if len(shown) > _TOLD_GAPS:
        told.append(f"{len(shown) - _TOLD_GAPS} more gaps in {name} are shown (see the table).")
    others = [gap for gap in gaps if kind(gap) != "shown"]
    if others:
        told.append(_others(others, len(gaps), name))
    return told


def _others(gaps: Sequence[Mapping[str, Any]], of: int, name: str) -> str:
    """How many gaps are not shown, and how large they are at most."""
    few = sum(kind(gap) in ("too few", "untested", "undefined") for gap in gaps)
    undecided = f", {few} of them for want of speakers or of a valid test" if few else ""
    known = [gap for gap in gaps if gap["gap"] is not None]
    far = ""
    if known:
        largest = max(known, key=lambda gap: abs(gap["gap"]))
        far = f"; the largest is {largest['a']} - {largest['b']} "
        far += percent(largest["gap"], signed=True)
        if largest["ci95"]:
            far += f" (95 % over speakers {interval(largest['ci95'])})"
    which = f"None of the {of} gaps" if len(gaps) == of else f"Of {of} gaps"
    what = "is" if len(gaps) == of else f"{len(gaps)} are not"
    return f"{which} in {name} {what} shown{undecided}{far}."


def _gap(record: Mapping[str, Any], gap: Mapping[str, Any]) -> str:
    sizes = {gap[side]: record["groups"][gap["by"]][gap[side]]["speakers"] for side in ("a", "b")}
    if gap["gap"] is None:
        return f"No gap between {gap['a']} and {gap['b']} is defined: {gap['reason']}."
    told = [f"{_size(gap, sizes)}.", _verdict(gap, sum(sizes.values()))]
    smallest = gap["smallest_detectable"]
    if smallest is not None and kind(gap) in ("shown", "wide"):
        told.append(f"A gap of {points(smallest)} or more would have been seen with 80 % power.")
    if gap.get("caution"):
        told.append(f"Beware: {gap['caution']}.")
    return " ".join(told)


def _verdict(gap: Mapping[str, Any], speakers: int) -> str:
    """What follows from a gap's p and interval."""
    found, edges = kind(gap), gap["ci95"]
    if found == "shown":
        if edges and edges[0] <= 0 <= edges[1]:
            return "The data show a gap, but hardly its size: the interval reaches 0."
        return "The data show a gap."
    if found == "narrow":
        most = points(max(map(abs, edges)))
        return f"No gap is shown, and one of more than {most} does not fit the data."
    if found == "too few":
        return (
            f"{speakers} speakers are too few to decide: in whatever groups they were, no p could "
            "stand after correction."
        )
    if found == "untested":
        return f"It was not tested: {gap.get('reason', 'no test')}."
    return "No gap is shown, but the interval is too wide to say that there is none."


def _size(gap: Mapping[str, Any], speakers: Mapping[str, int]) -> str:
    """Direction, size, interval and p of a gap."""
    name, a, b = metric_name(gap["metric"]), gap["a"], gap["b"]
    told = {x: f"{x} ({n} speaker{'s' * (n != 1)})" for x, n in speakers.items()}
    facts = [f"{a} - {b} {percent(gap['gap'], signed=True)}"]
    facts.append(f"95 % over speakers {interval(gap['ci95'])}" if gap["ci95"] else "no interval")
    if gap["p_holm"] is not None:
        facts.append(p_told(gap["p_holm"], corrected=True))
    if round(1000 * gap["gap"]) == 0:
        return f"{name} is the same for {told[a]} and {told[b]}: {', '.join(facts)}"
    high, low = (a, b) if gap["gap"] > 0 else (b, a)
    size = f"{name} is {points(gap['gap'])} higher for {told[high]} than for {told[low]}"
    return f"{size}: {', '.join(facts)}"


def _findings(record: Mapping[str, Any]) -> list[str]:
    """What stands among the exploratory gaps."""
    gaps = [gap for gap in record["gaps"] if gap["exploratory"] and gap["p_holm"] is not None]
    if not gaps:
        return []
    found = [gap for gap in gaps if stands(gap["p_holm"])]
    if not found:
        return [f"None of {len(gaps)} exploratory gaps in other metrics stands after correction."]
    found.sort(key=lambda gap: (gap["p_holm"], -abs(gap["gap"])))
    told = [
        f"{metric_name(gap['metric'])} ({gap['a']} - {gap['b']} {percent(gap['gap'], True)}, "
        f"{p_told(gap['p_holm'], True)})"
        for gap in found[:_TOLD_FINDINGS]
    ]
    more = f", and {len(found) - len(told)} more" if len(found) > len(told) else ""
    return [
        f"Exploratory, to be confirmed on other speakers: {'; '.join(told)}{more} (of {len(gaps)} "
        "that were looked at)."
    ]


def _spread(record: Mapping[str, Any]) -> list[str]:
    spread = record["spread"]
    if not spread["lowest"]:
        return []
    low, high, (lower, _, upper) = spread["lowest"], spread["highest"], spread["quartiles"]
    return [
        f"UA of single speakers runs from {percent(low['ua'])} ({low['speaker']}) to "
        f"{percent(high['ua'])} % ({high['speaker']}), the middle half from {percent(lower)} to "
        f"{percent(upper)}; few clips of a speaker spread it too."
    ]
