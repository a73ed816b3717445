"""The training history: loss and validation score over epochs, over all folds and seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from heads.plots.style import COLOURS, place, quiet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


_SCORES = {"val_ua": "unweighted accuracy", "val_ccc": "concordance (CCC)"}


def plot_history(history: pd.DataFrame, title: str, upright: bool = False) -> Figure:
    """Median and middle half over all models; one that has stopped keeps its last values.

    Args:
        history: Columns fold, seed, epoch, train_loss, val_loss, and val_ua or val_ccc; where
            models were chosen by their worst group, also val_worst_loss and val_worst_ua or so.
        title: What is shown; without one the picture has none.
        upright: One panel above the other, in place of beside it.
    """
    figure = (
        Figure(figsize=(4.8, 4.8)) if upright else Figure(figsize=(9, 3.6), layout="constrained")
    )
    if title:
        figure.suptitle(f"{title}\n{shown_models(history)}", fontsize=9)
    column, told = next((c, told) for c, told in _SCORES.items() if c in history)
    worst = f"val_worst_{column.removeprefix('val_')}"
    losses, scores = figure.subplots(2, 1, sharex=True) if upright else figure.subplots(1, 2)
    _band(losses, history, "train_loss", "training", "black", "--")
    _band(losses, history, "val_loss", "validation", COLOURS[0], "-")
    _band(scores, history, column, "validation", COLOURS[0], "-")
    if worst in history:
        _band(losses, history, "val_worst_loss", "worst group", COLOURS[4], ":")
        _band(scores, history, worst, "worst group", COLOURS[4], ":")
        scores.legend(frameon=False, fontsize=9)
    losses.set_ylabel("loss")
    losses.legend(frameon=False, fontsize=9)
    scores.set_ylabel(f"{told}\n(validation)" if upright else f"{told} (validation)")
    scores.set_ylim(min(0, scores.get_ylim()[0]), 1)  # concordance can be below 0
    for axes in (losses, scores):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.tick_params(labelsize=8)
        quiet(axes)
    for axes in (scores,) if upright else (losses, scores):
        axes.set_xlabel("epoch")
    if upright:
        place(figure, left=0.75, bottom=0.5, right=0.1, top=0.35 if title else 0.1, between=0.12)
    return figure


def shown_models(history: pd.DataFrame) -> str:
    """Whose losses and scores a picture of the history shows."""
    models = len(history[["fold", "seed"]].drop_duplicates())
    if models == 1:
        return "one model"
    return f"median and middle half of {models} models; one that has stopped keeps its last values"


def _band(
    axes: Axes, history: pd.DataFrame, column: str, label: str, color: str, style: str
) -> None:
    models = history.pivot(index="epoch", columns=["fold", "seed"], values=column).ffill()
    low, middle, high = np.quantile(models.to_numpy(), [0.25, 0.5, 0.75], axis=1)
    axes.plot(models.index, middle, style, color=color, label=label)
    axes.fill_between(models.index, low, high, color=color, alpha=0.2)
