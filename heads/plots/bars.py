"""Bars of each emotion: precision, recall and F1 of a run, and F1 across runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from heads.plots.style import CELL, COLOURS, DASH, HATCHES, INK, TIMES, place, plain, quiet, room

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

SCORES = {"precision": "precision", "recall": "recall", "f1": "F1"}
_BARS = (COLOURS[5], COLOURS[0], COLOURS[6])
_HATCHES = (HATCHES[0], HATCHES[1], HATCHES[4])
_BAR = 0.26  # of the room of an emotion
_ROW_IN, _MARGIN_IN = 0.52, 0.9  # inches
_GROUND = "0.92"  # what a bar could reach
_WIDEST_IN = 9.0


def plot_per_class(per_class: Mapping[str, Mapping[str, float | None]], title: str) -> Figure:
    """Precision, recall and F1 of each emotion; a cross where one is undefined.

    Args:
        per_class: As in `results.json`: precision, recall, f1 and support by label.
        title: What is shown; without one the picture has none.
    """
    labels = list(per_class)
    figure = Figure(figsize=(4.8, _MARGIN_IN + _ROW_IN * len(labels)))
    axes = figure.add_subplot()
    rows = np.arange(len(labels))
    for number, (score, told) in enumerate(SCORES.items()):
        values = [per_class[label][score] for label in labels]
        places = rows + (number - 1) * _BAR
        axes.barh(
            places,
            [value or 0.0 for value in values],
            height=_BAR * 0.9,
            color=_BARS[number],
            hatch=_HATCHES[number],
            edgecolor="white",
            linewidth=0,
            label=told,
        )
        for height, value in zip(places, values, strict=True):
            text = f"{TIMES} undefined" if value is None else f"{100 * value:.0f}"
            axes.text((value or 0.0) + 0.012, height, text, va="center", fontsize=7)
    names = [f"{plain(label)}\n{_clips(per_class[label]['support'])}" for label in labels]
    axes.set_yticks(rows, names, fontsize=8.5)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, 1.08)
    _percent_axis(axes)
    quiet(axes)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="upper right", ncols=len(SCORES), frameon=False, fontsize=8)
    if title:
        figure.suptitle(title, fontsize=9, wrap=True, y=1.0, va="bottom")
    place(figure, left=room(names, 8.5), bottom=0.48, right=0.1, top=0.35)
    return figure


def plot_f1_across(
    scores: Sequence[Mapping[str, float | None]], runs: Sequence[str], title: str
) -> Figure:
    """F1 of each emotion (column) in each run (row), as bars beside their numbers.

    Args:
        scores: F1 by label of each run; a run that does not know an emotion leaves it out.
        runs: What each is called.
        title: What is shown; without one the picture has none.
    """
    labels = list(dict.fromkeys(label for own in scores for label in own))
    width = min(_WIDEST_IN, 2.2 + 0.75 * len(labels))
    figure = Figure(figsize=(width, 0.4 + 0.24 * len(runs)))
    panels = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
    rows = np.arange(len(runs))
    for label, axes in zip(labels, panels, strict=True):
        values = [own.get(label) for own in scores]
        known = [value for value in values if value is not None]
        best = max(known, default=None)
        axes.barh(rows, 1.0, height=0.82, color=_GROUND)
        axes.barh(rows, [value or 0.0 for value in values], height=0.82, color=CELL)
        for row, value in enumerate(values):
            axes.text(
                0.04,
                row,
                DASH if value is None else f"{100 * value:.0f}",
                va="center",
                fontsize=7.5,
                fontweight="bold" if value is not None and value == best else "normal",
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(len(runs) - 0.5, -0.5)
        axes.set_title(plain(label, 12), fontsize=8)
        axes.set_xticks([])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    names = [plain(name, 40) for name in runs]
    panels[0].set_yticks(rows, names, fontsize=8)
    if title:
        figure.suptitle(title, fontsize=9, wrap=True, y=1.0, va="bottom")
    place(figure, left=room(names, 8), bottom=0.08, right=0.05, top=0.3)
    return figure


def _percent_axis(axes: Axes) -> None:
    ticks = np.linspace(0, 1, 6)
    axes.set_xticks(ticks, [f"{100 * tick:.0f}" for tick in ticks], fontsize=8)
    axes.set_xlabel("per cent", fontsize=8)
    axes.grid(axis="x", color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_color(INK)


def _clips(support: float | None) -> str:
    return "" if support is None else f"{support:.0f} clips"
