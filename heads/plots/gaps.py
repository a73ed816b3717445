"""The forest plot: gaps between groups, each with its interval, beside the line of no gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from heads.plots.style import COLOURS, INK, MINUS, place, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

TOLD = {"ua": "UA", "wa": "WA", "macro_f1": "macro-F1", "ece": "ECE"}
_ROW_IN, _MARGIN_IN = 0.4, 0.75
_LEAST = 0.05  # half of the axis at least, as a fraction


def plot_gaps(gaps: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Gaps a - b in points, those that were asked about first, exploratory ones below and open.

    Args:
        gaps: As in `bias.json`: metric, a, b, gap, ci95 or None, p_holm or None, exploratory,
            smallest_detectable or None. Gaps that are undefined are left out.
        title: What is shown; without one the picture has none.
    """
    known = [gap for gap in gaps if gap["gap"] is not None]
    asked = [gap for gap in known if not gap.get("exploratory")]
    open_ones = [gap for gap in known if gap.get("exploratory")]
    parts = [
        (told, own)
        for told, own in (("", asked), ("exploratory: p-values are not corrected", open_ones))
        if own
    ]
    rows = [max(len(own), 1) for _, own in parts] or [1]
    height = _MARGIN_IN * len(rows) + _ROW_IN * sum(rows)
    figure = Figure(figsize=(4.8, height))
    panels = figure.subplots(len(rows), 1, height_ratios=rows, sharex=True, squeeze=False)[:, 0]
    reach = _reach(known)
    for axes, (told, own) in zip(panels, parts, strict=False):
        _draw(axes, own, reach)
        axes.tick_params(labelbottom=axes is panels[-1], bottom=axes is panels[-1])
        if told:
            axes.set_title(told, fontsize=8.5, loc="left", style="italic")
    _label(panels[-1], reach)
    if title:
        figure.suptitle(title, fontsize=9, wrap=True, y=1.0, va="bottom")
    place(figure, left=0.12, bottom=0.5, right=0.12, top=0.12, between=0.12 if parts[1:] else 0)
    return figure


def metric_told(metric: str) -> str:
    """What a metric of `bias.json` is called.

    >>> metric_told("ua"), metric_told("recall:sad"), metric_told("fpr:sad")
    ('UA', 'recall of sad', 'false positives of sad')
    """
    kind, _, label = metric.partition(":")
    if not label:
        return TOLD.get(metric, metric)
    return f"{'false positives' if kind == 'fpr' else kind} of {label}"


def _draw(axes: Axes, gaps: Sequence[Mapping[str, Any]], reach: float) -> None:
    rows = np.arange(len(gaps))
    axes.vlines(np.zeros(len(gaps)), rows - 0.26, rows + 0.5, color=INK, linewidth=0.9)
    for colour, clear in ((COLOURS[0], False), (COLOURS[4], True)):
        own = [row for row, gap in enumerate(gaps) if _is_clear(gap) == clear]
        if not own:
            continue
        ends = [(row, *gaps[row]["ci95"]) for row in own if gaps[row].get("ci95")]
        places, low, high = np.array(ends, dtype=float).reshape(-1, 3).T
        low, high = np.clip(low, -reach, reach), np.clip(high, -reach, reach)
        axes.hlines(places, low, high, color=colour, linewidth=2)
        asked = not gaps[0].get("exploratory")
        axes.plot(
            [gaps[row]["gap"] for row in own],
            own,
            "o",
            markersize=6,
            color=colour,
            markerfacecolor=colour if asked else "white",
        )
    powers = [gap.get("smallest_detectable") for gap in gaps]
    known = [(power, row) for row, power in enumerate(powers) if power is not None]
    ticks = np.array([(x, row) for power, row in known for x in (-power, power) if power <= reach])
    axes.plot(*ticks.reshape(-1, 2).T, "|", color="0.5", markersize=9)
    for row, gap in enumerate(gaps):
        axes.text(-reach, row - 0.3, _told(gap), fontsize=8, va="bottom")
    axes.set_ylim(len(gaps) - 0.5, -0.95)
    axes.set_xlim(-reach, reach)
    axes.set_yticks([])
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _is_clear(gap: Mapping[str, Any]) -> bool:
    """Whether the interval leaves out zero."""
    ends = gap.get("ci95")
    return ends is not None and (ends[0] > 0 or ends[1] < 0)


def _told(gap: Mapping[str, Any]) -> str:
    """A gap in words, which stand above its mark."""
    who = f"{plain(gap['a'], 18)} {MINUS} {plain(gap['b'], 18)}"
    points = f"{100 * gap['gap']:+.1f}".replace("-", MINUS)
    return f"{plain(metric_told(gap['metric']), 34)}, {who}:  {points}"


def _reach(gaps: Sequence[Mapping[str, Any]]) -> float:
    """Half of the axis: what the widest interval needs, at most 100 points."""
    ends = [abs(x) for gap in gaps for x in (gap["gap"], *(gap.get("ci95") or ()))]
    return float(min(1.0, 1.05 * max([_LEAST, *ends])))


def _label(axes: Axes, reach: float) -> None:
    step = next(s for s in (0.02, 0.05, 0.1, 0.2, 0.25, 0.5) if reach / s <= 4 or s == 0.5)
    ticks = np.arange(-np.floor(reach / step), np.floor(reach / step) + 1) * step
    axes.set_xticks(ticks, [f"{100 * t:+.0f}".replace("-", MINUS) if t else "0" for t in ticks])
    axes.set_xlabel("gap in points, first group less second; bars: 95 % over speakers", fontsize=8)
