"""The layer profile: how well each property can be read from each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from heads.plots.style import COLOURS, INK, MARKS, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

_ACROSS = 3  # panels in a row
_SHIFT = 0.12  # of a layer, so that two intervals stand side by side
_MOST_TICKS = 14
# Of each version: what it is called, its colour, mark and line.
_STYLES = {
    "raw": ("as they are", COLOURS[0], MARKS[0], "solid"),
    "normalised": ("normalised by speaker", COLOURS[4], MARKS[1], "dashed"),
}


def plot_layers(targets: Mapping[str, Mapping[str, Any]], title: str) -> Figure:
    """One panel for each target: UA over layers with 95 % intervals, chance, shuffled labels.

    Args:
        targets: As in `probes.json`.
        title: What is shown.
    """
    across = min(_ACROSS, max(len(targets), 1))
    down = max(-(-len(targets) // across), 1)
    figure = Figure(figsize=(3.4 * across + 0.4, 2.9 * down + 0.9), layout="constrained")
    figure.suptitle(title, fontsize=10, wrap=True)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (name, target) in zip(panels, targets.items(), strict=False):
        _panel(axes, name, target)
    for axes in panels[len(targets) :]:
        axes.set_axis_off()
    for axes in panels[::across]:
        axes.set_ylabel("unweighted accuracy")
    if targets:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False,
                      fontsize=8)  # fmt: skip
    return figure


def _panel(axes: Axes, name: str, target: Mapping[str, Any]) -> None:
    layers = [row["layer"] for row in target["raw"]]
    places = np.arange(len(layers))
    for side, (version, style) in zip((-1, 1), _STYLES.items(), strict=True):
        told, colour, mark, line = style
        scores = np.array([row["ua"] for row in target[version]])
        edges = np.array([row["ci95"] or [row["ua"], row["ua"]] for row in target[version]])
        at = places + side * _SHIFT
        axes.vlines(at, edges[:, 0], edges[:, 1], color=colour, linewidth=0.9)
        axes.plot(at, scores, color=colour, marker=mark, linestyle=line, markersize=4.5,
                  linewidth=1.2, label=told)  # fmt: skip
    shuffled = [row["shuffled"] for row in target["raw"]]
    axes.plot(places, shuffled, "x", color=INK, markersize=4, label="shuffled labels")
    axes.axhline(target["chance"], color=INK, linestyle=":", linewidth=1, label="chance")
    axes.set_title(f"{name}, {len(target['classes'])} classes", fontsize=9)
    _ticks(axes, layers)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("layer")
    quiet(axes)


def _ticks(axes: Axes, layers: Sequence[str]) -> None:
    """Every layer, or every other where they are many; the last is always named."""
    step = -(-len(layers) // _MOST_TICKS)
    shown = list(range(len(layers) - 1, -1, -step))[::-1]
    axes.set_xticks(shown, [layers[place] for place in shown], fontsize=8)
    axes.set_xlim(-0.6, len(layers) - 0.4)
