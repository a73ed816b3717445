"""Accuracy against annotators' agreement: by how many agree, and by the entropy of their votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from heads.plots.style import COLOURS, INK, MARKS, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

_WRAPPED = {
    "all agree": "all\nagree",
    "two thirds or more": "2/3\nor more",
    "more than half": "more than\nhalf",
    "a plurality": "a\nplurality",
    "a tie": "a\ntie",
}


def plot_agreement(record: Mapping[str, Any], title: str) -> Figure:
    """Accuracy on clips by agreement, with 95 % intervals over speakers and numbers of clips.

    Args:
        record: `ambiguity.json` of a run whose clips have votes.
        title: What is shown.
    """
    levels = [row for row in record["agreement"] if row["n"]]
    bins = record["by_entropy"]
    widths = [max(2, len(levels)), max(2, len(bins))]
    figure = Figure(figsize=(max(6.4, 1.4 + 0.95 * sum(widths)), 4.2), layout="constrained")
    figure.suptitle(title, fontsize=10, color=INK, wrap=True)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=widths)
    overall = record["held_out"][0]["wa"]
    for axes, rows, series in ((left, levels, 0), (right, bins, 1)):
        _draw(axes, rows, overall, series)
    _name(left, [f"{_WRAPPED[row['told']]}\n{_clips(row)}" for row in levels])
    _name(right, [f"{_span(row['low'], row['high'])}\n{_clips(row)}" for row in bins])
    left.set_xlabel("how many annotators agree")
    right.set_xlabel("entropy of the votes, bits")
    left.set_ylabel("accuracy")
    left.set_ylim(-0.04, 1.06)  # whole marks at both ends
    left.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    left.yaxis.set_major_formatter(PercentFormatter(1.0))
    if overall is not None:
        right.annotate(
            f"all clips\n{overall:.0%}",
            (1.0, overall),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    return figure


def _draw(
    axes: Axes, rows: Sequence[Mapping[str, Any]], overall: float | None, series: int
) -> None:
    """A mark with its interval and its value for each row, and a line for all clips."""
    if overall is not None:
        axes.axhline(overall, color=INK, linewidth=0.8, linestyle=":", zorder=0)
    for place, row in enumerate(rows):
        value = row["wa"]
        if value is None:
            axes.text(place, 0.02, "not\nscored", ha="center", fontsize=8, color=INK)
            continue
        if row["wa_ci95"] is not None:
            axes.plot([place] * 2, row["wa_ci95"], "_-", color=INK, linewidth=1.2, markersize=12)
        axes.plot(place, value, MARKS[series], color=COLOURS[series], markersize=6, mec=INK)
        above = value >= (overall or 0.0) or value < 0.05  # away from the line and the axis
        axes.annotate(
            f"{value:.0%}",
            (place, value),
            xytext=(10, 3 if above else -3),
            textcoords="offset points",
            va="bottom" if above else "top",
            fontsize=8,
            color=INK,
        )


def _name(axes: Axes, names: Sequence[str]) -> None:
    axes.set_xticks(range(len(names)), names, fontsize=8, color=INK)
    axes.set_xlim(-0.5, max(len(names), 2) - 0.3)
    quiet(axes)


def _clips(row: Mapping[str, Any]) -> str:
    return f"{row['n']} clip{'s' if row['n'] != 1 else ''}"


def _span(low: float, high: float) -> str:
    first, last = f"{low:.2f}", f"{high:.2f}"
    return f"{first}\n" if first == last else f"{first}\nto {last}"
