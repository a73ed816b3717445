"""Out-of-fold predictions to the numbers of a run.

Letters: S seeds, N utterances, C classes, F folds, G speakers, K values of a tally.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from heads.calibration import CalibrationCurve

Array = npt.NDArray[np.float64]

_LEAST = 1e-12  # of a probability whose logarithm is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfFold:
    """Each tested utterance's prediction by the model that did not see it, for every seed.

    Attributes:
        probabilities: [S, N, C].
        targets: [N, C].
        folds: [N], the fold in which it was tested.
        speakers: [N]; None where the corpus does not know.
        temperatures: [S, N], of the model that predicted, fitted on its validation part; 1 where
            there is none.
    """

    probabilities: Array
    targets: Array
    folds: npt.NDArray[np.int64]
    speakers: Sequence[str | None]
    temperatures: Array


def evaluate(predictions: OutOfFold, labels: Sequence[str], soft: bool) -> dict[str, Any]:
    """The parts of a run's results that follow from its predictions.

    `metrics`, `per_class`, `confusion_matrix`, `calibration` (over all seeds) and, with soft
    labels, `tau_spread` over utterances.

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
    metrics |= _soft_metrics(predictions, fold_count)
    metrics["ece_scaled"] = _scaled_calibration_error(predictions, classes, fold_count)
    if not soft:
        metrics["kendall_tau"] = _undefined("labels are hard: tau is against votes")
    confusion = confusion_matrix(tallies.sum(axis=1), classes)  # [S, C, C]
    return {
        "metrics": metrics,
        "per_class": _per_class(confusion, labels),
        "confusion_matrix": confusion.mean(axis=0).round(4).tolist(),
        "calibration": _calibration(pooled_calibration(tallies.sum(axis=(0, 1)), classes)),
        "tau_spread": asdict(tau_spread(_taus(predictions))) if soft else None,
    }


def _soft_metrics(predictions: OutOfFold, fold_count: int) -> dict[str, Any]:
    """How near predicted distributions are to the targets."""
    tallies = np.stack([soft_tally(p, predictions.targets) for p in predictions.probabilities])
    pooled = soft_scores(tallies.sum(axis=1))
    by_fold = np.stack([sum_by(t, predictions.folds, fold_count) for t in tallies])
    fold_scores = {name: v.mean(axis=0) for name, v in soft_scores(by_fold).items()}
    intervals = _over_speakers(
        tallies,
        predictions.speakers,
        SOFT_METRICS,
        lambda by_speaker: jackknife(by_speaker, soft_scores, SOFT_LIMITS),
    )
    return {n: _summary(pooled[n], fold_scores[n], intervals[n]) for n in SOFT_METRICS}


def _scaled_calibration_error(
    predictions: OutOfFold, classes: int, fold_count: int
) -> dict[str, Any]:
    """ECE of what temperature scaling makes of the predictions; it changes no prediction."""
    logits = np.log(np.maximum(predictions.probabilities, _LEAST))
    scaled = softmax(logits / predictions.temperatures[..., None], axis=-1)
    tallies = np.stack([tally(p, predictions.targets) for p in scaled])
    pooled = scores(tallies.sum(axis=1), classes)["ece"]
    by_fold = np.stack([sum_by(t, predictions.folds, fold_count) for t in tallies])
    interval = _intervals(tallies, predictions.speakers, classes)["ece"]
    return _summary(pooled, scores(by_fold, classes)["ece"].mean(axis=0), interval)


def _taus(predictions: OutOfFold) -> Array:
    return np.stack([kendall_tau(p, predictions.targets) for p in predictions.probabilities])


def _calibration(curve: CalibrationCurve) -> dict[str, list[float | None]]:
    columns = {name: getattr(curve, name).tolist() for name in ("count", "confidence", "accuracy")}
    known = {name: [None if x != x else x for x in values] for name, values in columns.items()}
    return {"edges": curve.edges.tolist(), **known}


def _intervals(
    tallies: Array, speakers: Sequence[str | None], classes: int
) -> dict[str, tuple[float, float] | str]:
    return _over_speakers(
        tallies, speakers, METRICS, lambda by_speaker: speaker_interval(by_speaker, classes)
    )


def _over_speakers(
    tallies: Array,
    speakers: Sequence[str | None],
    metrics: Sequence[str],
    interval: Callable[[Array], Mapping[str, tuple[float, float] | None]],
) -> dict[str, tuple[float, float] | str]:
    """Per metric the interval over speakers, or why there is none.

    Args:
        tallies: [S, N, K].
        speakers: [N].
        metrics: Names.
        interval: Of tallies by speaker, [S, G, K].
    """
    if any(speaker is None for speaker in speakers):
        return dict.fromkeys(metrics, "the corpus does not name its speakers")
    names, codes = np.unique(np.array(speakers, str), return_inverse=True)
    if len(names) < 2:
        return dict.fromkeys(metrics, "one speaker")
    by_speaker = np.stack([sum_by(t, codes, len(names)) for t in tallies])
    return {name: found or "undefined" for name, found in interval(by_speaker).items()}


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
