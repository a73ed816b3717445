"""Metrics from tallies: counts that add up over utterances, so that any subset is one sum away.

A tally is one row of numbers. Tallies of groups (speakers, folds) add up to the tally of all of
them; without one speaker is all minus that speaker. So pooled metrics, intervals over speakers and
permutations over groups are the same few array operations.

Letters: N utterances, C classes, G groups; `...` any leading axes.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from heads.calibration import BINS, CalibrationCurve, curve_of_sums, equal_width_bin
from heads.intervals import jackknife
from heads.labels import majority
from heads.soft_metrics import kendall_tau, kl_divergence

Array = npt.NDArray[np.float64]

METRICS = ("ua", "wa", "top2", "macro_f1", "micro_f1", "weighted_f1", "kendall_tau", "kl", "ece")
UPPER_LIMIT = {"kl": np.inf}
LOWER_LIMIT = {"kendall_tau": -1.0}


class _Parts:
    """Where the parts of a tally lie: confusion, then five sums, then three values per bin."""

    def __init__(self, classes: int) -> None:
        self.confusion = slice(0, classes**2)
        self.sums = slice(classes**2, classes**2 + 5)
        self.bins = slice(classes**2 + 5, classes**2 + 5 + 3 * BINS)


def tally(probabilities: Array, targets: Array) -> Array:
    """Count what each utterance adds to every metric.

    Hard metrics look at utterances whose target has one largest class; tau at those whose target
    is not constant.

    Args:
        probabilities: Predicted distributions.
        targets: Annotated distributions; one-hot rows for hard labels.

    Shape:
        probabilities, targets: [N, C]. Output: [N, K] with K = C * C + 5 + 3 * 15: confusion (row
        truth, column prediction), top-2 hits, tau's sum and count, KL's sum and count, and per
        confidence bin the count, the hits and the summed confidence.
    """
    count, classes = targets.shape
    truth, guess = majority(targets), probabilities.argmax(axis=1)
    clear = truth >= 0
    rows = np.arange(count)
    confusion = np.zeros((count, classes, classes))
    confusion[rows[clear], truth[clear], guess[clear]] = 1
    best_two = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    top2 = clear & (best_two == truth[:, None]).any(axis=1)
    tau = kendall_tau(probabilities, targets)
    defined = ~np.isnan(tau)
    confidence = probabilities.max(axis=1)
    bins = np.zeros((count, BINS, 3))
    number = equal_width_bin(confidence, BINS)
    bins[rows, number] = np.stack([clear, clear & (guess == truth), clear * confidence], axis=1)
    return np.concatenate(
        [
            confusion.reshape(count, -1),
            top2[:, None],
            np.where(defined, tau, 0.0)[:, None],
            defined[:, None],
            kl_divergence(targets, probabilities)[:, None],
            np.ones((count, 1)),
            bins.reshape(count, -1),
        ],
        axis=1,
    )


def tally_by(
    probabilities: Array, targets: Array, groups: npt.NDArray[np.int64], count: int
) -> Array:
    """Summed tallies of groups of utterances: what `sum_by` makes of `tally`, without the rows.

    Shape:
        probabilities, targets: [N, C], groups: [N] in 0..G-1. Output: [G, K].
    """
    classes = targets.shape[1]
    truth, guess = majority(targets), probabilities.argmax(axis=1)
    clear = truth >= 0
    confidence = np.take_along_axis(probabilities, guess[:, None], axis=1)[:, 0]
    others = probabilities > np.take_along_axis(probabilities, truth[:, None], axis=1)
    # Of equal probabilities the earlier class stands first.
    equal = probabilities == np.take_along_axis(probabilities, truth[:, None], axis=1)
    ahead = others.sum(axis=1) + (equal & (np.arange(classes) < truth[:, None])).sum(axis=1)
    tau = kendall_tau(probabilities, targets)
    defined = ~np.isnan(tau)

    def summed(values: Array | npt.NDArray[np.bool_]) -> Array:
        return np.bincount(groups, values, count)[:, None].astype(np.float64)

    def counted(cells: npt.NDArray[np.int64], number: int, weights: Array | None = None) -> Array:
        chosen = None if weights is None else weights[clear]
        flat = np.bincount((groups * number + cells)[clear], chosen, count * number)
        return flat.reshape(count, number).astype(np.float64)

    number = equal_width_bin(confidence, BINS)
    bins = [
        counted(number, BINS),
        counted(number, BINS, (guess == truth).astype(np.float64)),
        counted(number, BINS, confidence),
    ]
    return np.concatenate(
        [
            counted(truth * classes + guess, classes**2),
            summed(clear & (ahead < 2)),
            summed(np.where(defined, tau, 0.0)),
            summed(defined),
            summed(kl_divergence(targets, probabilities)),
            summed(np.ones(len(targets))),
            np.stack(bins, axis=2).reshape(count, -1),
        ],
        axis=1,
    )


def sum_by(tallies: Array, groups: npt.NDArray[np.int64], count: int) -> Array:
    """Add up tallies by group: [N, K] and [N] in 0..G-1 give [G, K]."""
    summed = np.zeros((count, tallies.shape[1]))
    np.add.at(summed, groups, tallies)
    return summed


def confusion_matrix(tallies: Array, classes: int) -> Array:
    """Counts of truth (row) and prediction (column): [..., K] gives [..., C, C]."""
    return tallies[..., _Parts(classes).confusion].reshape(*tallies.shape[:-1], classes, classes)


def tally_sums(tallies: Array, classes: int) -> dict[str, Array]:
    """The sums that a tally holds beside counts of classes: [..., K] gives [...] each.

    `top2` hits; `tau` and `tau_count`, `kl` and `kl_count`: a sum over utterances, and how many
    define it.
    """
    columns = np.moveaxis(tallies[..., _Parts(classes).sums], -1, 0)
    return dict(zip(("top2", "tau", "tau_count", "kl", "kl_count"), columns, strict=True))


def scores(tallies: Array, classes: int) -> dict[str, Array]:
    """Every metric of summed tallies; NaN where it is undefined.

    UA is the mean recall of the classes that occur (balanced accuracy), WA plain accuracy, macro-F1
    the mean over classes that occur or are predicted. ECE has 15 equal-width bins of the top-1
    confidence (Guo et al. 2017, arXiv 1706.04599).

    Args:
        tallies: Sums of rows from `tally`.
        classes: C.

    Shape:
        tallies: [..., K]. Output: [...] each.
    """
    sums = tally_sums(tallies, classes)
    count, hits, confidence = np.moveaxis(_bins(tallies, classes), -1, 0)
    found = confusion_scores(confusion_matrix(tallies, classes))
    with np.errstate(divide="ignore", invalid="ignore"):
        found["top2"] = sums["top2"] / count.sum(axis=-1)
        found["kendall_tau"] = sums["tau"] / sums["tau_count"]
        found["kl"] = sums["kl"] / sums["kl_count"]
        found["ece"] = np.abs(hits - confidence).sum(axis=-1) / count.sum(axis=-1)
    return found


def pooled_calibration(tallies: Array, classes: int) -> CalibrationCurve:
    """The calibration curve of summed tallies: the bins that `ece` is taken over.

    Shape:
        tallies: [..., K].
    """
    return curve_of_sums(_bins(tallies, classes), np.linspace(0.0, 1.0, BINS + 1))


def confusion_scores(confusion: Array) -> dict[str, Array]:
    """The metrics that a confusion matrix decides: ua, wa and the F1s; NaN where undefined.

    Shape:
        confusion: [..., C, C]. Output: [...] each.
    """
    support = confusion.sum(axis=-1)
    total = support.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        f1 = f1_scores(confusion)
        wa = _hits(confusion).sum(axis=-1) / total
        weighted = (np.nan_to_num(f1) * support).sum(axis=-1) / total
        return {
            "ua": _mean(recalls(confusion)),
            "wa": wa,
            "macro_f1": _mean(f1),
            "micro_f1": wa,  # every utterance has one label and one prediction
            "weighted_f1": weighted,
        }


def recalls(confusion: Array) -> Array:
    """Recall per class, NaN where it does not occur: [..., C, C] gives [..., C]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        recall: Array = _hits(confusion) / confusion.sum(axis=-1)
    return recall


def precisions(confusion: Array) -> Array:
    """Precision per class, NaN where it is never predicted: [..., C, C] gives [..., C]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        precision: Array = _hits(confusion) / confusion.sum(axis=-2)
    return precision


def f1_scores(confusion: Array) -> Array:
    """F1 per class, NaN where it neither occurs nor is predicted: [..., C, C] gives [..., C]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        f1: Array = 2 * _hits(confusion) / (confusion.sum(axis=-1) + confusion.sum(axis=-2))
    return f1


def speaker_interval(by_speaker: Array, classes: int) -> dict[str, tuple[float, float] | None]:
    """95 % intervals over speakers of every metric; see `heads.intervals.jackknife`.

    Speakers count by their utterances; where some have a tied truth, by those that are scored, but
    for tau and KL, which look at all.

    Args:
        by_speaker: [..., G, K] tallies of each speaker; leading axes are seeds, averaged over.
        classes: C.

    Returns:
        Per metric (low, high), clipped to what it can be; None where too few speakers or an
        undefined metric allow none.
    """
    limits = {m: (LOWER_LIMIT.get(m, 0.0), UPPER_LIMIT.get(m, 1.0)) for m in METRICS}
    score = partial(scores, classes=classes)
    every = tally_sums(by_speaker, classes)["kl_count"]
    scored = by_speaker[..., _Parts(classes).confusion].sum(axis=-1)
    found = jackknife(by_speaker, score, limits, every)
    if np.array_equal(scored, every):
        return found
    of_all = {name: found[name] for name in ("kendall_tau", "kl")}
    return jackknife(by_speaker, score, limits, scored) | of_all


def _bins(tallies: Array, classes: int) -> Array:
    """Count, hits and summed confidence of each bin: [..., K] gives [..., 15, 3]."""
    return tallies[..., _Parts(classes).bins].reshape(*tallies.shape[:-1], BINS, 3)


def _hits(confusion: Array) -> Array:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _mean(values: Array) -> Array:
    """Mean over the last axis without NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    mean: Array = np.nan_to_num(values).sum(axis=-1) / known.sum(axis=-1)
    return mean
