"""The confusion matrix: what each emotion is taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from heads.plots.style import CELL, place, plain, room

if TYPE_CHECKING:
    from collections.abc import Sequence

_CELL_IN, _EDGE_IN = 0.44, 0.08  # inches of a cell, and beside the last one
_TOLD = "predicted: share of the true\nemotion, and clips (mean over seeds)"
_WIDE = 7  # classes from which that has room in one line


def plot_confusion(matrix: npt.NDArray[np.float64], labels: Sequence[str], title: str) -> Figure:
    """Shares of each true emotion (row), with the counts below them.

    Args:
        matrix: Counts, [C, C]: rows are the truth, columns the prediction.
        labels: Names of the classes.
        title: What is shown.
    """
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, where=totals > 0, out=np.zeros_like(matrix))
    names = [plain(label) for label in labels]
    told = _TOLD if len(labels) < _WIDE else _TOLD.replace("\n", " ")
    side = _CELL_IN * len(labels)
    left = max(room(names, 9) + 0.25, room([told], 9) - side)
    bottom = 0.72 * room(names, 9) + (0.45 if len(labels) >= _WIDE else 0.75)
    figure = Figure(figsize=(left + side + _EDGE_IN, bottom + side + _EDGE_IN))
    axes = figure.add_subplot()
    full = np.broadcast_to(to_rgb(CELL), (*shares.shape, 3))
    centers = np.arange(len(labels))
    axes.pcolormesh(centers, centers, np.dstack([full, shares]), edgecolors="0.8", linewidth=0.5)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    for row, column in np.ndindex(*matrix.shape):
        share, count = float(shares[row, column]), float(matrix[row, column])
        axes.text(
            column,
            row,
            f"{share:.0%}\n{count:.{0 if count.is_integer() else 1}f}",
            ha="center",
            va="center",
            fontsize=7.5,
            fontweight="bold" if row == column else "normal",
        )
    axes.set_xticks(centers, names, rotation=45, ha="right", rotation_mode="anchor", fontsize=9)
    axes.set_yticks(centers, names, fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(told, fontsize=9, loc="right")
    axes.set_ylabel("true", fontsize=9)
    if title:
        axes.set_title(title, fontsize=9, wrap=True)
    place(figure, left=left, bottom=bottom, right=_EDGE_IN, top=_EDGE_IN)
    return figure
