"""A bias report as text of a hundred columns; what is too long for it is left to `bias.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from heads.analysis.gaps import TOO_FEW
from heads.analysis.rates import WHOLE
from heads.report.bias_summary import kind
from heads.report.bias_words import NAMES, interval, metric_name
from heads.report.tables import WIDTH, p_value, percent, render_cells, wrapped

_MOST_ROWS = 30  # of single speakers; else the lowest and the highest are shown
_ENDS = 5
_MOST_PAIRS = 6  # whose gaps are shown in all metrics; else in the primary one


def render_bias(record: Mapping[str, Any], labels: Sequence[str]) -> str:
    """The text of a record.

    Args:
        record: Of `bias.json`.
        labels: Names of the classes.
    """
    remarks = "".join(f", {note}" for note in record["notes"])
    parts = [wrapped(f"{record['run_id']}{remarks}; per cent, intervals over speakers")]
    parts.append(wrapped(record["summary"]))
    reasons: list[str] = []
    for column, groups in record["groups"].items():
        parts.append(_groups(column, groups))
        if column != "speaker":
            parts += _per_emotion(column, groups, labels)
        parts += _gaps(record, column, reasons)
    parts.append(_legend(record, reasons))
    parts += [wrapped(text) for text in (*_odds(record), *_worst(record), *record["remarks"])]
    parts.append(
        wrapped(
            "bias.json also holds intervals of all scores, F1 per emotion, intervals of ratios, "
            "gaps of recalls and false-positive rates, bootstrap intervals and every speaker."
        )
    )
    return "\n\n".join(parts)


def _groups(column: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    names = [NAMES[metric] for metric in WHOLE]
    if column == "speaker":
        shown = _ends(groups)
        header = [column, "clips", *names]
        rows = [
            [name, str(groups[name]["n"]), *(percent(groups[name][m]) for m in WHOLE)]
            for name in shown
        ]
        more = f"\n(the {_ENDS} lowest and highest by UA of {len(groups)})"
        return render_cells(header, rows, markdown=False) + more * (len(shown) < len(groups))
    header = [column, "clips", "speakers", names[0], "95 %", *names[1:]]
    rows = [
        [name, str(own["n"]), str(own["speakers"]), percent(own["ua"]),
         interval(own["ci95"]["ua"], signed=False), *(percent(own[m]) for m in WHOLE[1:])]
        for name, own in groups.items()
    ]  # fmt: skip
    return render_cells(header, rows, markdown=False)


def _ends(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """All speakers, or those with the lowest and highest UA."""
    if len(groups) <= _MOST_ROWS:
        return list(groups)
    known = [name for name in groups if groups[name]["ua"] is not None]
    order = sorted(known, key=lambda name: groups[name]["ua"])
    return [*order[:_ENDS], *order[-_ENDS:]]


def _per_emotion(
    column: str, groups: Mapping[str, Mapping[str, Any]], labels: Sequence[str]
) -> Iterator[str]:
    """Recall and false-positive rate of each emotion: as many emotions side by side as fit."""
    first = max(len(name) for name in (*groups, column))
    room = WIDTH - first - len("  recall")
    for chosen in _fitting(labels, room):
        rows = [
            [name, told, *(percent(groups[name][rate][label]) for label in chosen)]
            for rate, told in (("recall", "recall"), ("fpr", "FPR"))
            for name in groups
        ]
        yield render_cells([column, "rate", *chosen], rows, markdown=False)


def _fitting(labels: Sequence[str], room: int) -> list[list[str]]:
    """Labels in parts whose columns are no wider than there is room."""
    parts: list[list[str]] = [[]]
    used = 0
    for label in labels:
        width = max(len(label), 5) + 2
        if parts[-1] and used + width > room:
            parts.append([])
            used = 0
        parts[-1].append(label)
        used += width
    return parts


def _gaps(record: Mapping[str, Any], column: str, reasons: list[str]) -> Iterator[str]:
    """The gaps of a column; what is remarked on them is added to the reasons, and numbered."""
    gaps = [gap for gap in record["gaps"] if gap["by"] == column and gap["metric"] in WHOLE]
    if not gaps:
        yield "No two groups to compare."
        return
    pairs = len({(gap["a"], gap["b"]) for gap in gaps})
    many = column != "speaker" and pairs > _MOST_PAIRS
    if many:
        gaps = [gap for gap in gaps if gap["metric"] == record["metric"]]
    header = ["gap", "metric", "points", "95 %", "ratio", "p", "p (Holm)", "80 % power", ""]
    rows = [
        [f"{gap['a']} - {gap['b']}", NAMES[gap["metric"]], percent(gap["gap"], signed=True),
         interval(gap["ci95"]), "-" if gap["ratio"] is None else f"{gap['ratio']:.2f}",
         p_value(gap["p"]), p_value(gap["p_holm"]), percent(gap["smallest_detectable"]),
         _remark(gap, reasons)]
        for gap in gaps
    ]  # fmt: skip
    yield _fitted(header, rows)
    if many:
        yield wrapped(f"Gaps of these {pairs} pairs in other metrics are in bias.json.")


def _fitted(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of gaps; long names of groups cost it columns that `bias.json` has."""
    kept = list(range(len(header)))
    for spare in ("ratio", "80 % power", "p", None):
        cells = [[row[i] for i in kept] for row in (header, *rows)]
        text = render_cells(cells[0], cells[1:], markdown=False)
        if max(map(len, text.split("\n"))) <= WIDTH:
            break
        kept = [i for i in kept if header[i] != spare]
    return text


def _remark(gap: Mapping[str, Any], reasons: list[str]) -> str:
    """The numbers of the remarks on a gap."""
    few = TOO_FEW if kind(gap) == "too few" else None
    numbers = []
    for text in (few, gap.get("reason"), gap.get("caution")):
        if text:
            if text not in reasons:
                reasons.append(text)
            numbers.append(f"({reasons.index(text) + 1})")
    return " ".join(numbers)


def _legend(record: Mapping[str, Any], reasons: Sequence[str]) -> str:
    """How the tables of gaps are read."""
    told = [
        f"Confirmatory: {metric_name(record['metric'])}; other metrics are exploratory. p (Holm) "
        "is corrected within a metric. 80 % power: the smallest gap that four of five such data "
        "sets would show, corrected for the number of gaps."
    ]
    told += [f"({number}) {reason}." for number, reason in enumerate(reasons, 1)]
    return wrapped(" ".join(told))


def _odds(record: Mapping[str, Any]) -> Iterator[str]:
    told = []
    for column, own in record["equalised_odds"].items():
        if own["difference"] is not None and own["rate"] is None:
            told.append(f"{column} {percent(own['difference'])} ({own['reason']})")
        elif own["difference"] is not None:
            rate = metric_name(f"{own['rate']}:{own['emotion']}")
            told.append(f"{column} {percent(own['difference'])} ({rate}, {own['a']} - {own['b']})")
    if told:
        yield "Equalised-odds difference, the largest of all and so far from 0 by chance too: " + (
            "; ".join(told) + "."
        )


def _worst(record: Mapping[str, Any]) -> Iterator[str]:
    told = []
    for column, metrics in record["worst"].items():
        own = [f"{NAMES[m]} {w['value']} ({percent(w['score'])})" for m, w in metrics.items() if w]
        if own:
            told.append(f"{column}: {', '.join(own)}")
    if told:
        yield f"Worst group by {'; by '.join(told)}."
