"""Out-of-fold predictions of emotional dimensions to the numbers of a run.

Letters: S seeds, N utterances, E emotional dimensions, F folds, G speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from heads.dimensional_metrics import (
    dimensional_intervals,
    dimensional_scores,
    dimensional_tally,
)
from heads.metrics import sum_by
from heads.train.out_of_fold import OutOfFold, over_speakers, summary

_LACKING = "too few annotations of a dimension, or values that do not vary"


def evaluate_dimensions(tested: OutOfFold, names: Sequence[str]) -> dict[str, Any]:
    """The parts of a run's results that follow from its predictions: `metrics`.

    CCC, RMSE and Pearson's correlation of each dimension, `ccc_<name>` and so on, and their means
    over dimensions. For each seed the predictions of all folds are pooled and a metric is taken
    once; see `heads.train.evaluate`.
    """
    targets = tested.targets
    tallies = np.stack([dimensional_tally(p, targets) for p in tested.predictions])
    pooled = dimensional_scores(tallies.sum(axis=1), names)  # [S]
    fold_count = int(tested.folds.max()) + 1
    by_fold = np.stack([sum_by(t, tested.folds, fold_count) for t in tallies])  # [S, F, 7 E]
    of_folds = {n: v.mean(axis=0) for n, v in dimensional_scores(by_fold, names).items()}  # [F]
    intervals = over_speakers(
        tallies,
        tested.speakers,
        tuple(pooled),
        lambda by_speaker: dimensional_intervals(by_speaker, names),
    )
    return {
        "metrics": {
            name: summary(values, of_folds[name], intervals[name], _LACKING)
            for name, values in pooled.items()
        }
    }
