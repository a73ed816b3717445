"""Bias of a run: what the data support, gaps between groups, and every group's scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heads.plots.gaps import metric_told, plot_gaps
from heads.plots.style import MINUS
from heads.report.sections.parts import (
    Badge,
    Cell,
    Column,
    Gone,
    Picture,
    Table,
    badges,
    number_cell,
    per_cent,
    percent_cell,
    picture,
    range_told,
)
from heads.report.tables import p_value

if TYPE_CHECKING:
    from heads.report.sections.naming import Named

_SCORES = ("ua", "wa", "macro_f1", "ece")
_DRAWN = 24  # gaps in one picture
_LISTED = 200  # gaps in the table


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasShown:
    """Bias for the page.

    Attributes:
        named: Whose.
        badges: What its numbers must be read with.
        summary: What the data support and what they do not; empty in records of earlier versions.
        remarks: What is not compared, and why.
        forests: A picture of gaps for each column.
        groups: Scores of the groups of each column.
        rates: Recalls and false-positive rates of each emotion, by group.
        gaps: All gaps in numbers.
        facts: Equalised odds, worst groups, spread over speakers, by name.
    """

    named: Named
    badges: Sequence[Badge]
    summary: str
    remarks: Sequence[str]
    forests: Sequence[Picture]
    groups: Sequence[Table]
    rates: Sequence[Table]
    gaps: Table | None
    facts: Mapping[str, str]


def bias_section(
    record: Mapping[str, Any] | None, reason: str, named: Named
) -> tuple[BiasShown | None, list[Gone]]:
    """A run's bias for the page.

    Args:
        record: `bias.json`; None where there is none.
        reason: Why there is none.
        named: What the run is called.
    """
    if record is None:
        return None, [Gone(what="bias", where=named.short, why=reason)]
    shown = BiasShown(
        named=named,
        badges=badges(record.get("notes", [])),
        summary=record.get("summary") or "",
        remarks=record.get("remarks") or [],
        forests=_forests(record["gaps"], named),
        groups=[_scores(by, own, named) for by, own in record["groups"].items()],
        rates=[table for by, own in record["groups"].items() for table in _rates(by, own, named)],
        gaps=_gap_table(record["gaps"], named),
        facts=_facts(record),
    )
    return shown, []


def _forests(gaps: Sequence[Mapping[str, Any]], named: Named) -> list[Picture]:
    """One picture for each column; of many exploratory gaps the largest."""
    pictures = []
    for number, by in enumerate(dict.fromkeys(gap["by"] for gap in gaps)):
        own = [gap for gap in gaps if gap["by"] == by and gap["gap"] is not None]
        asked, drawn = drawn_gaps(own)
        if not drawn:
            continue
        pictures.append(
            picture(
                plot_gaps(drawn, ""),
                f"{named.anchor}-gaps-{number}",
                f"Gaps by {by}, {named.short}",
                _gap_finding(by, asked or drawn),
                _legend(drawn, len(own) - len(drawn)),
            )
        )
    return pictures


def drawn_gaps(
    gaps: Sequence[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """The gaps of a column that were asked about, and with them the largest exploratory ones."""
    asked = [gap for gap in gaps if not gap.get("exploratory")][:_DRAWN]
    rest = [gap for gap in gaps if gap.get("exploratory")]
    largest = sorted(rest, key=lambda gap: -abs(gap["gap"]))[: max(_DRAWN - len(asked), 0)]
    return asked, asked + largest


def _legend(drawn: Sequence[Mapping[str, Any]], left: int) -> str:
    """How to read a picture of gaps."""
    told = []
    if any(gap.get("ci95") for gap in drawn):
        told.append("Orange where the interval leaves out zero.")
    if any(gap.get("smallest_detectable") is not None for gap in drawn):
        told.append("Grey ticks: the smallest gap that these data would show with 80 % power.")
    if left:
        told.append(f"{left} smaller gaps stand in the table only.")
    return " ".join(told)


def _gap_finding(by: str, gaps: Sequence[Mapping[str, Any]]) -> str:
    """What the first gap of a column says."""
    first = gaps[0]
    told = (
        f"By {by}: {metric_told(first['metric'])} of {first['a']} is "
        f"{per_cent(abs(first['gap']))} points {'above' if first['gap'] >= 0 else 'below'} that of "
        f"{first['b']}"
    )
    if not first.get("ci95"):
        return f"{told}; no interval can be given."
    low, high = first["ci95"]
    clear = "which leaves out zero" if low > 0 or high < 0 else "which holds zero"
    return f"{told} (95 % from {per_cent(low, True)} to {per_cent(high, True)}, {clear})."


def _scores(column: str, values: Mapping[str, Mapping[str, Any]], named: Named) -> Table:
    """Scores of a column's groups."""
    scores = [m for m in _SCORES if any(own.get(m) is not None for own in values.values())]
    rows = [
        [
            Cell(text=value, value=value, note=own.get("too_small") or ""),
            number_cell(own["n"], str(own["n"])),
            number_cell(own["speakers"], str(own["speakers"])),
            *(
                percent_cell(own.get(m), note=_around((own.get("ci95") or {}).get(m)))
                for m in scores
            ),
        ]
        for value, own in values.items()
    ]
    titles = ("clips", "speakers", *map(metric_told, scores))
    return Table(
        name=f"{named.anchor}-by-{_slug(column)}",
        caption=f"By {column}, per cent, with 95 % over speakers: {named.short}",
        columns=[Column(title=column), *(Column(title=t, number=True) for t in titles)],
        rows=rows,
    )


def _rates(column: str, values: Mapping[str, Mapping[str, Any]], named: Named) -> list[Table]:
    """Recalls and false-positive rates of each emotion in a column's groups."""
    tables = []
    for rate, told in (("recall", "Recall"), ("fpr", "False-positive rate")):
        labels = list(dict.fromkeys(x for own in values.values() for x in own.get(rate) or {}))
        rows = [
            [
                Cell(text=value, value=value),
                *(percent_cell((own.get(rate) or {}).get(label)) for label in labels),
            ]
            for value, own in values.items()
        ]
        columns = [Column(title=column), *(Column(title=x, number=True) for x in labels)]
        name = f"{named.anchor}-by-{_slug(column)}-{rate}"
        caption = f"{told} of each emotion by {column}, per cent: {named.short}"
        if labels:
            tables.append(Table(name=name, caption=caption, columns=columns, rows=rows))
    return tables


def _gap_table(gaps: Sequence[Mapping[str, Any]], named: Named) -> Table | None:
    if not gaps:
        return None
    rows = [
        [
            Cell(
                text=f"{gap['a']} {MINUS} {gap['b']}",
                value=f"{gap['by']} {gap['a']} {gap['b']}",
                note=gap.get("reason") or "",
            ),
            Cell(text=str(gap["by"]), value=gap["by"]),
            Cell(text=metric_told(gap["metric"]), value=gap["metric"]),
            percent_cell(gap["gap"], signed=True),
            Cell(text=range_told(gap.get("ci95"), signed=True)),
            number_cell(gap.get("ratio"), _two(gap.get("ratio"))),
            number_cell(gap.get("p"), p_value(gap.get("p"))),
            number_cell(gap.get("p_holm"), p_value(gap.get("p_holm"))),
            percent_cell(gap.get("smallest_detectable")),
            Cell(text="exploratory" if gap.get("exploratory") else "asked"),
        ]
        for gap in gaps[:_LISTED]
    ]
    more = len(gaps) - len(rows)
    numbers = {"points", "ratio", "p", "p (Holm)", "80 % power from"}
    titles = ("groups", "by", "metric", "points", "95 % over speakers", "ratio", "p", "p (Holm)",
              "80 % power from", "kind")  # fmt: skip
    return Table(
        name=f"{named.anchor}-gaps",
        caption=f"Gaps in numbers: {named.short}"
        + (f"; {more} more stand in bias.json" if more else ""),
        columns=[Column(title=t, number=t in numbers) for t in titles],
        rows=rows,
    )


def _facts(record: Mapping[str, Any]) -> dict[str, str]:
    facts = {}
    overall = record.get("overall")
    if overall:
        facts["all clips"] = (
            f"UA {per_cent(overall.get('ua'))}, WA {per_cent(overall.get('wa'))}, macro-F1 "
            f"{per_cent(overall.get('macro_f1'))} on {overall.get('n')} clips of "
            f"{overall.get('speakers')} speakers"
        )
    for column, odds in (record.get("equalised_odds") or {}).items():
        if not odds or odds.get("difference") is None:
            continue
        if odds.get("rate") is None:
            facts[f"equalised odds by {column}"] = str(odds.get("reason", "none"))
            continue
        facts[f"equalised odds by {column}"] = (
            f"{per_cent(odds['difference'])} points apart at most: "
            f"{_rate(odds.get('rate'))} of {odds.get('emotion')}, {odds.get('a')} against "
            f"{odds.get('b')}"
        )
    for column, worst in (record.get("worst") or {}).items():
        told = ", ".join(
            f"{own['value']} in {metric_told(metric)} ({per_cent(own['score'])})"
            for metric, own in (worst or {}).items()
            if own and own.get("score") is not None
        )
        if told:
            facts[f"worst group by {column}"] = told
    facts |= _spread(record.get("spread"))
    minimum = record.get("minimum")
    if minimum:
        facts["smallest group compared"] = (
            f"{minimum.get('speakers')} speakers and {minimum.get('clips')} clips"
        )
    return facts


def _spread(spread: Mapping[str, Any] | None) -> dict[str, str]:
    if not spread or spread.get("mean") is None:
        return {}
    told = f"UA {per_cent(spread['mean'])} on average"
    if spread.get("std") is not None:
        told += f", standard deviation {per_cent(spread['std'])}"
    for end in ("lowest", "highest"):
        own = spread.get(end)
        if own:
            told += f", {end} {own['speaker']} ({per_cent(own['ua'])})"
    return {"spread over speakers": told}


def _rate(rate: object) -> str:
    return {"tpr": "recall", "recall": "recall", "fpr": "false positives"}.get(str(rate), str(rate))


def _around(ends: Sequence[float] | None) -> str:
    return range_told(ends) if ends else ""


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _slug(text: str) -> str:
    """A name for an id; what is no letter or digit is told by its number."""
    return "".join(c if c.isalnum() and c.isascii() else f"-{ord(c):x}" for c in text)
