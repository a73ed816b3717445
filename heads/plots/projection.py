"""Utterances on a plane, by emotion, gender, speaker."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from heads.plots.style import COLOURS, MARKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

_NAMED = 40  # groups, no two of which have the same colour and mark
_FULL = 400  # points that a panel shows at full size


def plot_projection(
    x: Sequence[float],
    y: Sequence[float],
    columns: Mapping[str, Sequence[str | None]],
    title: str,
) -> Figure:
    """One panel for each column; groups differ in colour and in mark.

    Args:
        x: [N], 0 to 1.
        y: [N], likewise.
        columns: What points are told apart by, [N] values each; None is drawn in grey.
        title: What is shown.
    """
    figure = Figure(figsize=(4.2 * len(columns) + 0.2, 5.8), layout="constrained")
    figure.suptitle(title, fontsize=10, wrap=True)
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    points = np.array([x, y], np.float64)
    for axes, (name, values) in zip(panels, columns.items(), strict=True):
        told = _panel(axes, points, values)
        axes.set_title(f"by {name}{told}", fontsize=9)
        axes.set_box_aspect(1)
        axes.set_anchor("N")
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def _panel(axes: Axes, points: npt.NDArray[np.float64], values: Sequence[str | None]) -> str:
    """Draw the points of a panel; what its title must add."""
    counts = Counter(value for value in values if value is not None)
    shown = sorted(name for name, _ in counts.most_common(_NAMED))
    place = {name: number for number, name in enumerate(shown)}
    group_of = np.array([place.get(value or "", -1) for value in values])
    size = float(np.clip(20 * np.sqrt(_FULL / max(len(values), 1)), 5, 20))
    rest = points[:, group_of < 0]
    if rest.size:
        axes.scatter(rest[0], rest[1], s=size / 2, color="0.7", marker=".", linewidths=0,
                     label="others" if len(shown) < len(counts) else "not known")  # fmt: skip
    names = _short(shown)
    for number, name in enumerate(names):
        axes.scatter(
            points[0, group_of == number],
            points[1, group_of == number],
            s=size,
            color=COLOURS[number % len(COLOURS)],
            marker=MARKS[number % len(MARKS)],
            linewidths=0,
            alpha=0.8,
            label=name,
        )
    if values:
        _legend(axes, names)
    if len(shown) == len(counts):
        return ""
    return f", the {len(shown)} of {len(counts)} with the most clips"


def _legend(axes: Axes, names: Sequence[str]) -> None:
    """Below the panel, in as many columns as names leave room for."""
    longest = max(map(len, names), default=0)
    columns = 2 if longest > 14 else 3 if longest > 8 or len(names) <= 9 else 5
    legend = axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), frameon=False, fontsize=8,
                         ncols=columns, handletextpad=0.2, columnspacing=1.2)  # fmt: skip
    for handle in legend.legend_handles:
        handle.set_sizes([22.0])  # type: ignore[union-attr]


def _short(names: Sequence[str]) -> list[str]:
    """Speakers' names without their corpus, where they differ without it too."""
    short = [name.rpartition("/")[2] for name in names]
    return short if len(set(short)) == len(short) else list(names)
