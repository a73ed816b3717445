"""The confusion matrix: what each emotion is taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

_DARK = 0.61  # cells with more than this share carry white text, which then stands out more


def plot_confusion(matrix: npt.NDArray[np.float64], labels: Sequence[str], title: str) -> Figure:
    """Shares of each true emotion (row), with the counts below them.

    Args:
        matrix: Counts, [C, C]: rows are the truth, columns the prediction.
        labels: Names of the classes.
        title: What is shown.
    """
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, where=totals > 0, out=np.zeros_like(matrix))
    size = 2.6 + 0.72 * len(labels)
    figure = Figure(figsize=(size, size))
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for row, column in np.ndindex(*matrix.shape):
        share, count = float(shares[row, column]), float(matrix[row, column])
        axes.text(
            column,
            row,
            f"{share:.0%}\n{count:.{0 if count.is_integer() else 1}f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if share > _DARK else "black",
            fontweight="bold" if row == column else "normal",
        )
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=45, ha="right")
    axes.set_yticks(ticks, labels)
    axes.set_xlabel("predicted: share of the true emotion, and clips (mean over seeds)")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=10, wrap=True)
    return figure
