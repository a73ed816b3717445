"""Out-of-fold predictions to the numbers of a run.

Letters: S seeds, N utterances, C classes, F folds, G speakers, K values of a tally.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from heads.intervals import jackknife
from heads.metrics import (
    METRICS,
    confusion_matrix,
    f1_scores,
    pooled_calibration,
    precisions,
    recalls,
    scores,
    speaker_interval,
    sum_by,
    tally,
)
from heads.soft_metrics import (
    SOFT_LIMITS,
    SOFT_METRICS,
    kendall_tau,
    soft_scores,
    soft_tally,
    tau_spread,
)
from heads.temperature import log_probabilities
from heads.train.out_of_fold import OutOfFold, over_speakers, summary, undefined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heads.calibration import CalibrationCurve

Array = npt.NDArray[np.float64]


def evaluate(tested: OutOfFold, labels: Sequence[str], soft: bool) -> dict[str, Any]:
    """The parts of a run's results that follow from its predictions.

    `metrics`, `per_class`, `confusion_matrix`, `calibration` (over all seeds) and, with soft
    labels, `tau_spread` over utterances.

    For each seed the predictions of all folds are pooled and a metric is taken once: `mean` and
    `std_seeds` are over seeds. `fold_mean` and `std_folds` are over folds, seeds averaged first.
    `ci95` is over speakers.
    """
    classes = len(labels)
    tallies = np.stack([tally(p, tested.targets) for p in tested.predictions])
    pooled = scores(tallies.sum(axis=1), classes)  # [S]
    fold_count = int(tested.folds.max()) + 1
    by_fold = np.stack([sum_by(t, tested.folds, fold_count) for t in tallies])  # [S, F, K]
    fold_scores = {name: v.mean(axis=0) for name, v in scores(by_fold, classes).items()}  # [F]
    intervals = _intervals(tallies, tested.speakers, classes)
    metrics = {name: summary(pooled[name], fold_scores[name], intervals[name]) for name in METRICS}
    metrics |= _soft_metrics(tested, fold_count)
    metrics["ece_scaled"] = _scaled_calibration_error(tested, classes, fold_count)
    if not soft:
        metrics["kendall_tau"] = undefined("labels are hard: tau is against votes")
    confusion = confusion_matrix(tallies.sum(axis=1), classes)  # [S, C, C]
    return {
        "metrics": metrics,
        "per_class": _per_class(confusion, labels),
        "confusion_matrix": confusion.mean(axis=0).round(4).tolist(),
        "calibration": _calibration(pooled_calibration(tallies.sum(axis=(0, 1)), classes)),
        "tau_spread": asdict(tau_spread(_taus(tested))) if soft else None,
    }


def _soft_metrics(tested: OutOfFold, fold_count: int) -> dict[str, Any]:
    """How near predicted distributions are to the targets."""
    tallies = np.stack([soft_tally(p, tested.targets) for p in tested.predictions])
    pooled = soft_scores(tallies.sum(axis=1))
    by_fold = np.stack([sum_by(t, tested.folds, fold_count) for t in tallies])
    fold_scores = {name: v.mean(axis=0) for name, v in soft_scores(by_fold).items()}
    intervals = over_speakers(
        tallies,
        tested.speakers,
        SOFT_METRICS,
        lambda by_speaker: jackknife(by_speaker, soft_scores, SOFT_LIMITS, by_speaker[..., -1]),
    )
    return {n: summary(pooled[n], fold_scores[n], intervals[n]) for n in SOFT_METRICS}


def _scaled_calibration_error(tested: OutOfFold, classes: int, fold_count: int) -> dict[str, Any]:
    """ECE of what temperature scaling makes of the predictions; it changes no prediction."""
    logits = log_probabilities(tested.predictions)
    scaled = softmax(logits / tested.temperatures[..., None], axis=-1)
    tallies = np.stack([tally(p, tested.targets) for p in scaled])
    pooled = scores(tallies.sum(axis=1), classes)["ece"]
    by_fold = np.stack([sum_by(t, tested.folds, fold_count) for t in tallies])
    interval = _intervals(tallies, tested.speakers, classes)["ece"]
    return summary(pooled, scores(by_fold, classes)["ece"].mean(axis=0), interval)


def _taus(tested: OutOfFold) -> Array:
    return np.stack([kendall_tau(p, tested.targets) for p in tested.predictions])


def _calibration(curve: CalibrationCurve) -> dict[str, list[float | None]]:
    columns = {name: getattr(curve, name).tolist() for name in ("count", "confidence", "accuracy")}
    known = {name: [None if x != x else x for x in values] for name, values in columns.items()}
    return {"edges": curve.edges.tolist(), **known}


def _intervals(
    tallies: Array, speakers: Sequence[str | None], classes: int
) -> dict[str, tuple[float, float] | str]:
    return over_speakers(
        tallies, speakers, METRICS, lambda by_speaker: speaker_interval(by_speaker, classes)
    )


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
