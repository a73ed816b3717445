"""The reliability diagram: how often confidence is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from heads.plots.style import COLOURS, place, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHARES = np.linspace(0, 1, 6)


def plot_calibration(curve: Mapping[str, Sequence[float | None]], title: str) -> Figure:
    """Accuracy against confidence, bin by bin, and below how many predictions each bin holds.

    The line from a dot to the diagonal is the bin's error; a dot's area grows with its count.

    Args:
        curve: As in `results.json`: edges [M + 1], count, confidence and accuracy [M].
        title: What is shown; without one the picture has none.
    """
    edges = np.array(curve["edges"], dtype=float)
    count = np.array(curve["count"], dtype=float)
    confidence = np.array(curve["confidence"], dtype=float)  # NaN in an empty bin
    accuracy = np.array(curve["accuracy"], dtype=float)
    full = count > 0
    figure = Figure(figsize=(4.8, 5.2))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="0.55", linewidth=1, linestyle="--")
    upper.text(0.03, 0.95, "says less than it knows", fontsize=8, va="top")
    upper.text(0.97, 0.05, "says more than it knows", fontsize=8, ha="right")
    upper.vlines(confidence[full], confidence[full], accuracy[full], color=COLOURS[4], linewidth=2)
    upper.scatter(
        confidence[full],
        accuracy[full],
        s=10 + 70 * count[full] / max(count.max(), 1.0),
        color=COLOURS[0],
        zorder=3,
    )
    upper.set_ylabel("right, per cent", fontsize=9)
    upper.set_ylim(0, 1.02)
    upper.set_yticks(_SHARES, [f"{100 * share:.0f}" for share in _SHARES], fontsize=8)
    lower.bar(edges[:-1], count, np.diff(edges), align="edge", color=COLOURS[5], edgecolor="white")
    lower.set_ylabel("predictions", fontsize=9)
    lower.tick_params(labelsize=8)
    lower.yaxis.get_major_locator().set_params(nbins=3, integer=True)
    lower.set_xlim(0, 1.02)
    lower.set_xticks(_SHARES, [f"{100 * share:.0f}" for share in _SHARES], fontsize=8)
    lower.set_xlabel("confidence in the predicted emotion, per cent", fontsize=9)
    for axes in (upper, lower):
        quiet(axes)
    if title:
        figure.suptitle(title, fontsize=9, wrap=True, y=1.0, va="bottom")
    place(figure, left=0.75, bottom=0.5, right=0.1, top=0.1, between=0.12)
    return figure
