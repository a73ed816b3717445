"""Speakers as dots: how well each one is recognised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from heads.plots.style import COLOURS, MARKS, place, plain, quiet, room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

_NAMED = 60  # speakers at most whose names stand beside their dots
_ROW_IN = 0.17


def plot_speakers(
    names: Sequence[str],
    ua: Sequence[float],
    groups: Sequence[str | None],
    title: str,
    mean: float | None = None,
) -> Figure:
    """UA of each speaker, highest first, with a mark and a colour for each group.

    Args:
        names: Of the speakers.
        ua: Of each, 0 to 1.
        groups: Each one's gender, such as female; None where it is not known.
        title: What is shown; without one the picture has none.
        mean: Of the whole run, drawn as a line.
    """
    order = np.argsort(-np.asarray(ua, dtype=float), kind="stable")
    named = len(names) <= _NAMED
    shown = [plain(names[i], 22) for i in order]
    height = 0.9 + _ROW_IN * max(len(names), 8) if named else 4.2
    figure = Figure(figsize=(4.8, height))
    axes = figure.add_subplot()
    rows = np.arange(len(names))
    sorted_ua = np.asarray(ua, dtype=float)[order]
    axes.hlines(rows, 0, sorted_ua, color="0.85", linewidth=0.8)
    if mean is not None:
        axes.vlines(mean, -0.5, len(names) - 0.4, color="0.4", linewidth=1, linestyle="--")
        axes.text(mean, -0.6, f"all {100 * mean:.1f}", fontsize=8, va="bottom", ha="center")
    _draw_groups(axes, rows, sorted_ua, [groups[i] for i in order])
    if named:
        axes.set_yticks(rows, shown, fontsize=7.5)
        axes.tick_params(axis="y", length=0)
    else:
        axes.set_ylabel(f"{len(names)} speakers, highest first", fontsize=9)
    ticks = np.linspace(0, 1, 6)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(len(names) - 0.4, -1.0)
    axes.set_xticks(ticks, [f"{100 * tick:.0f}" for tick in ticks], fontsize=8)
    axes.set_xlabel("UA, per cent", fontsize=9)
    quiet(axes)
    if title:
        figure.suptitle(title, fontsize=9, wrap=True, y=1.0, va="bottom")
    place(figure, left=room(shown, 7.5) if named else 0.5, bottom=0.5, right=0.1, top=0.3)
    return figure


def _draw_groups(
    axes: Axes, rows: npt.NDArray[np.int64], ua: Array, groups: Sequence[str | None]
) -> None:
    known = sorted({group for group in groups if group})
    for number, group in enumerate([*known, None]):
        own = [i for i, found in enumerate(groups) if (found or None) == group]
        if not own:
            continue
        axes.scatter(
            [ua[i] for i in own],
            [rows[i] for i in own],
            s=26,
            marker=MARKS[number % len(MARKS)],
            color=COLOURS[(0, 4, 2, 3)[number % 4]],
            label=plain(group or "not known"),
            zorder=3,
        )
    if known:
        axes.figure.legend(loc="upper right", ncols=4, frameon=False, fontsize=8)
