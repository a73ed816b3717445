"""The critical-difference diagram: mean ranks of runs, and lines over those that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from heads.analysis.ranks import groups_alike
from heads.plots.style import COLOURS, INK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heads.analysis.ranks import Ranks

_ROW = 0.26  # inches


def plot_ranks(ranks: Ranks, names: Sequence[str], title: str) -> Figure:
    """Runs on a line of mean ranks, best to the left, each with its name.

    Args:
        ranks: What is shown.
        names: Of the runs, as they were given to `rank_over_speakers`.
        title: What is shown; without one the picture has none.
    """
    lines = groups_alike(ranks)
    count = len(ranks.order)
    rows = (count + 1) // 2
    figure = Figure(figsize=(9, 2.0 + _ROW * (rows + len(lines))), layout="constrained")
    axes = figure.add_subplot()
    depth = 0.8 + 0.45 * len(lines)
    for n, stretch in enumerate(lines):
        low, high = ranks.mean[stretch[0]], ranks.mean[stretch[-1]]
        axes.plot(
            [low - 0.04, high + 0.04], [-0.45 * (n + 1)] * 2, color=INK, linewidth=4,
            solid_capstyle="round",
        )  # fmt: skip
    low, high = 1.0, float(max(count, 2))
    for place, mean in enumerate(ranks.mean):
        left = place < rows
        level = -(depth + (place if left else count - 1 - place))
        edge = low - 0.02 * (high - low) if left else high + 0.02 * (high - low)
        axes.plot([mean, mean, edge], [0, level, level], color="0.45", linewidth=0.8)
        axes.plot([mean], [0], "o", color=COLOURS[0], markersize=5, zorder=3, clip_on=False)
        label = (
            f"{names[ranks.order[place]]}  {mean:.2f}"
            if left
            else (f"{mean:.2f}  {names[ranks.order[place]]}")
        )
        axes.text(
            edge, level, f" {label} ", ha="right" if left else "left", va="center", fontsize=9
        )
    axes.set_ylim(-(depth + rows), 0.4)
    axes.set_xlim(low, high)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(f"mean rank over {ranks.speakers} speakers; 1 is the best", fontsize=9)
    axes.set_xticks(range(1, int(high) + 1))
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    axes.set_yticks([])
    if title:
        figure.suptitle(title, fontsize=10, wrap=True)
    return figure
