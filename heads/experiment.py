"""Train heads on a cache and write their run folders, pictures included."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from heads.analysis.leaderboard import about_run
from heads.plots import to_png
from heads.plots.confusion import plot_confusion
from heads.plots.history import plot_history
from heads.plots.predicted import plot_predicted
from heads.results import NewRun, require_writable, target_of, write_run
from heads.tensorboard import require_tensorboard
from heads.train.run import train_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from heads.train.config import RunConfig


def run_heads(config: RunConfig, results_dir: Path, tensorboard: bool = False) -> Iterator[Path]:
    """Train each head and write its run; the folder is given out as soon as it is there.

    Args:
        config: What is trained on what, and how.
        results_dir: Folder of all runs.
        tensorboard: Whether each run gets its curves for TensorBoard, an extra.

    Raises:
        UsageError: Something was asked for that does not exist, or is not installed.
        SerError: The cache is damaged, a fold lacks a class, a loss diverged, or the disk refused.
    """
    if tensorboard:
        require_tensorboard()
    require_writable(results_dir)
    for run in train_runs(config):
        yield write_run(results_dir, replace(run, pictures=_pictures(run)), tensorboard)


def _pictures(run: NewRun) -> dict[str, bytes]:
    results = run.results
    title = about_run(results)
    names = results["corpus"]["labels"]
    if target_of(results) == "dimensions":
        pictures = {"predicted_values": to_png(plot_predicted(run.predictions, names, title))}
    else:
        matrix = np.array(results["confusion_matrix"])
        pictures = {"confusion_matrix": to_png(plot_confusion(matrix, names, title))}
    if len(run.history):  # some heads have no epochs
        pictures["training_history"] = to_png(plot_history(run.history, title))
    return pictures
