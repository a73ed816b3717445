"""The training history: loss and validation score over epochs, over all folds and seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


_SCORES = {"val_ua": "unweighted accuracy", "val_ccc": "concordance (CCC)"}


def plot_history(history: pd.DataFrame, title: str) -> Figure:
    """Median and middle half over all models; one that has stopped keeps its last values.

    Args:
        history: Columns fold, seed, epoch, train_loss, val_loss, and val_ua or val_ccc; where
            models were chosen by their worst group, also val_worst_loss and val_worst_ua or so.
        title: What is shown.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    models = len(history[["fold", "seed"]].drop_duplicates())
    shown = "one model"
    if models > 1:
        shown = (
            f"median and middle half of {models} models; one that has stopped keeps its last values"
        )
    figure.suptitle(f"{title}\n{shown}", fontsize=9)
    column, told = next((c, told) for c, told in _SCORES.items() if c in history)
    worst = f"val_worst_{column.removeprefix('val_')}"
    losses, scores = figure.subplots(1, 2)
    _band(losses, history, "train_loss", "training", "black", "--")
    _band(losses, history, "val_loss", "validation", "tab:blue", "-")
    _band(scores, history, column, "validation", "tab:blue", "-")
    if worst in history:
        _band(losses, history, "val_worst_loss", "worst group", "tab:orange", ":")
        _band(scores, history, worst, "worst group", "tab:orange", ":")
        scores.legend(frameon=False)
    losses.set_ylabel("loss")
    losses.legend(frameon=False)
    scores.set_ylabel(f"{told} (validation)")
    scores.set_ylim(min(0, scores.get_ylim()[0]), 1)  # concordance can be below 0
    for axes in (losses, scores):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _band(
    axes: Axes, history: pd.DataFrame, column: str, label: str, color: str, style: str
) -> None:
    models = history.pivot(index="epoch", columns=["fold", "seed"], values=column).ffill()
    low, middle, high = np.quantile(models.to_numpy(), [0.25, 0.5, 0.75], axis=1)
    axes.plot(models.index, middle, style, color=color, label=label)
    axes.fill_between(models.index, low, high, color=color, alpha=0.2)
