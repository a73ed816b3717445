"""Out-of-fold predictions to the numbers of a run.

Letters: S seeds, N utterances, C classes, F folds, G speakers, K values of a tally.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heads.metrics import (
    METRICS,
    confusion_matrix,
    f1_scores,
    precisions,
    recalls,
    scores,
    speaker_interval,
    sum_by,
    tally,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfFold:
    """Each tested utterance's prediction by the model that did not see it, for every seed.

    Attributes:
        probabilities: [S, N, C].
        targets: [N, C].
        folds: [N], the fold in which it was tested.
        speakers: [N]; None where the corpus does not know.
    """

    probabilities: Array
    targets: Array
    folds: npt.NDArray[np.int64]
    speakers: Sequence[str | None]


def evaluate(predictions: OutOfFold, labels: Sequence[str], soft: bool) -> dict[str, Any]:
    """The parts `metrics`, `per_class` and `confusion_matrix` of a run's results.

    For each seed the predictions of all folds are pooled and a metric is taken once: `mean` and
    `std_seeds` are over seeds. `fold_mean` and `std_folds` are over folds, seeds averaged first.
    `ci95` is over speakers.
    """
    classes = len(labels)
    tallies = np.stack([tally(p, predictions.targets) for p in predictions.probabilities])
    pooled = scores(tallies.sum(axis=1), classes)  # [S]
    fold_count = int(predictions.folds.max()) + 1
    by_fold = np.stack([sum_by(t, predictions.folds, fold_count) for t in tallies])  # [S, F, K]
    fold_scores = {name: v.mean(axis=0) for name, v in scores(by_fold, classes).items()}  # [F]
    intervals = _intervals(tallies, predictions.speakers, classes)
    metrics = {name: _summary(pooled[name], fold_scores[name], intervals[name]) for name in METRICS}
    if not soft:
        metrics["kendall_tau"] = _undefined("labels are hard: tau is against votes")
    confusion = confusion_matrix(tallies.sum(axis=1), classes)  # [S, C, C]
    return {
        "metrics": metrics,
        "per_class": _per_class(confusion, labels),
        "confusion_matrix": confusion.mean(axis=0).round(4).tolist(),
    }


def _intervals(
    tallies: Array, speakers: Sequence[str | None], classes: int
) -> dict[str, tuple[float, float] | str]:
    """Per metric the interval over speakers, or why there is none."""
    if any(speaker is None for speaker in speakers):
        return dict.fromkeys(METRICS, "the corpus does not name its speakers")
    names, codes = np.unique(np.array(speakers, str), return_inverse=True)
    if len(names) < 2:
        return dict.fromkeys(METRICS, "one speaker")
    by_speaker = np.stack([sum_by(t, codes, len(names)) for t in tallies])  # [S, G, K]
    intervals = speaker_interval(by_speaker, classes)
    return {name: found or "undefined" for name, found in intervals.items()}


def _summary(by_seed: Array, by_fold: Array, interval: tuple[float, float] | str) -> dict[str, Any]:
    if np.isnan(by_seed).any():
        return _undefined("no utterance defines it")
    known = by_fold[~np.isnan(by_fold)]
    summary: dict[str, Any] = {
        "mean": float(by_seed.mean()),
        "std_seeds": _deviation(by_seed),
        "fold_mean": float(known.mean()) if known.size else None,
        "std_folds": _deviation(known),
        "ci95": None if isinstance(interval, str) else list(interval),
    }
    reasons = {}
    if len(by_seed) < 2:
        reasons["std_seeds"] = "one seed"
    if known.size < 2:
        reasons["std_folds"] = "fewer than two folds define it"
    if isinstance(interval, str):
        reasons["ci95"] = interval
    return summary | ({"reasons": reasons} if reasons else {})


def _undefined(reason: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("mean", "std_seeds", "fold_mean", "std_folds", "ci95"))
    return {**nothing, "reason": reason}


def _deviation(values: Array) -> float | None:
    return float(values.std(ddof=1)) if values.size > 1 else None


def _per_class(confusion: Array, labels: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Each class's scores, averaged over seeds; null where a class never occurs or is predicted."""
    columns = {
        "precision": precisions(confusion),
        "recall": recalls(confusion),
        "f1": f1_scores(confusion),
    }
    support = confusion.sum(axis=2).mean(axis=0)
    return {
        label: {
            **{name: _mean_or_none(values[:, c]) for name, values in columns.items()},
            "support": float(support[c]),
        }
        for c, label in enumerate(labels)
    }


def _mean_or_none(values: Array) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
