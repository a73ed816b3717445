"""Predicted against annotated values of emotional dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from heads.dimensional_metrics import dimensional_scores, dimensional_tally
from heads.plots.style import COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_MARKED = 500  # points that a vector picture draws one by one
_MARKS = 3000  # points that a panel shows clearly; with more of them each is fainter


def plot_predicted(predictions: pd.DataFrame, names: Sequence[str], title: str) -> Figure:
    """One panel for each dimension, one point for each utterance, seeds averaged.

    Args:
        predictions: Columns id, seed, true_<name> and pred_<name>.
        names: Of the dimensions.
        title: What is shown.
    """
    figure = Figure(figsize=(3.4 * len(names) + 0.4, 4.2), layout="constrained")
    if title:
        figure.suptitle(title, fontsize=10, wrap=True)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        truth, guess = f"true_{name}", f"pred_{name}"
        means = predictions.groupby("id")[[truth, guess]].mean().dropna()
        axes.set_xlabel("annotated")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_box_aspect(1)
        if means.empty:
            axes.set_title(f"{name}: no tested utterance is annotated", fontsize=9)
            continue
        ends = [means.to_numpy().min(), means.to_numpy().max()]
        axes.plot(ends, ends, color="0.6", linewidth=1)
        axes.scatter(
            means[truth],
            means[guess],
            s=8,
            color=COLOURS[0],
            alpha=float(np.clip(_MARKS / (10 * len(means)), 0.05, 0.6)),
            linewidths=0,
            rasterized=len(means) > _MARKED,  # of more of them an SVG would be megabytes
        )
        tally = dimensional_tally(means[[guess]].to_numpy(), means[[truth]].to_numpy())
        ccc = float(dimensional_scores(tally.sum(axis=0), [name])["ccc"])
        axes.set_title(f"{name}: CCC of the mean over seeds {ccc:.3f}", fontsize=9)
    panels[0].set_ylabel("predicted by models that did not see it")
    return figure
