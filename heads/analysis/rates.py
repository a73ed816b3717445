"""Recall, false-positive rate and what else groups are compared by, from counts that add up.

A tally holds, per class, how many utterances are of it, are predicted as it, and are both; and how
far hits exceed confidence in each bin of confidence. Counts of speakers add up to those of a group.

Letters: S seeds, N utterances, C classes, G groups or speakers, J classes that a mean is over,
K = 3 C + 15 values of a tally; `...` any leading axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heads.calibration import BINS, equal_width_bin
from heads.labels import majority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heads.analysis.tested import Tested

Array = npt.NDArray[np.float64]

WHOLE = ("ua", "wa", "macro_f1", "ece")
PER_CLASS = ("recall", "fpr", "f1")
FAMILIES = (*WHOLE, "recall", "fpr")  # whose gaps are looked at; each is corrected by itself


def count_by(tested: Tested, cells: npt.NDArray[np.int64], count: int) -> Array:
    """Tallies of cells of utterances, summed over seeds; tied votes have no class, and are not in.

    Args:
        tested: The utterances.
        cells: [N], the cell of each; -1 leaves an utterance out.
        count: How many cells there are.

    Shape:
        Output: [count, K].
    """
    classes = len(tested.labels)
    truth = majority(tested.targets)
    rows = (truth >= 0) & (cells >= 0)
    truth, chosen = truth[rows], cells[rows]
    total = np.zeros((count, 3 * classes + BINS))
    for probabilities in tested.predictions[:, rows]:
        guess = probabilities.argmax(axis=1)
        confidence = np.take_along_axis(probabilities, guess[:, None], axis=1)[:, 0]
        right = guess == truth
        bins = equal_width_bin(confidence, BINS)
        total += np.concatenate(
            [
                _counted(chosen, truth, (count, classes)),
                _counted(chosen, guess, (count, classes)),
                _counted(chosen, truth, (count, classes), right.astype(np.float64)),
                _counted(chosen, bins, (count, BINS), right - confidence),
            ],
            axis=1,
        )
    return total


def rates(tallies: Array, labels: Sequence[str]) -> dict[str, Array]:
    """Every rate of summed tallies, NaN where it is undefined.

    UA is the mean recall of the classes that occur, WA plain accuracy, macro-F1 the mean over
    classes that occur or are predicted, ECE of 15 equal-width bins of the top-1 confidence (Guo et
    al. 2017, arXiv 1706.04599). `recall:<label>` and `fpr:<label>` are those of that label against
    the rest: hits over its utterances, and false calls of it over all other utterances.

    Args:
        tallies: Sums of `count_by`.
        labels: Names of the classes.

    Shape:
        tallies: [..., K]. Output: [...] each.
    """
    classes = len(labels)
    support, predicted, hits, excess = _parts(tallies, classes)
    total = support.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_class = {
            "recall": hits / support,
            "fpr": (predicted - hits) / (total[..., None] - support),
            "f1": 2 * hits / (support + predicted),
        }
        found: dict[str, Array] = {
            "ua": _mean(per_class["recall"]),
            "wa": hits.sum(axis=-1) / total,
            "macro_f1": _mean(per_class["f1"]),
            "ece": np.abs(excess).sum(axis=-1) / total,
        }
    for family, values in per_class.items():
        found |= {f"{family}:{label}": values[..., i] for i, label in enumerate(labels)}
    return found


def compared_rates(tallies: Array, labels: Sequence[str]) -> dict[str, Array]:
    """Those of `rates` whose gaps are looked at: `FAMILIES`."""
    found = rates(tallies, labels)
    return {name: value for name, value in found.items() if family_of(name) in FAMILIES}


def family_of(metric: str) -> str:
    """What a rate is corrected with: `recall` of `recall:sad`.

    >>> family_of("recall:sad"), family_of("ua")
    ('recall', 'ua')
    """
    return metric.partition(":")[0]


def fractions(tallies: Array, labels: Sequence[str]) -> dict[str, tuple[Array, Array]]:
    """Numerator and denominator of the rates that are sums of what utterances add.

    Their denominators do not depend on what was predicted. A rate is the mean over J of summed
    numerators over summed denominators, where there are any: macro-F1 and ECE are not such.

    Shape:
        tallies: [..., K]. Output: [..., J] each.
    """
    support, predicted, hits, _ = _parts(tallies, len(labels))
    total = support.sum(axis=-1, keepdims=True)
    found = {"ua": (hits, support), "wa": (hits.sum(axis=-1, keepdims=True), total)}
    for i, label in enumerate(labels):
        own = slice(i, i + 1)
        found[f"recall:{label}"] = hits[..., own], support[..., own]
        found[f"fpr:{label}"] = (predicted - hits)[..., own], (total - support)[..., own]
    return found


def speaker_weights(tallies: Array, labels: Sequence[str]) -> dict[str, Array]:
    """How much of each compared rate rests on each speaker: shares that add up to 1.

    Of a recall, shares of that class's utterances; of UA their mean over the classes that occur,
    which macro-F1 takes as well; of ECE those of WA, shares of all utterances.

    Shape:
        tallies: [G, K]. Output: [G] each, zeros where the rate has no denominator.
    """
    found = {}
    for name, (_, denominator) in fractions(tallies, labels).items():
        total = denominator.sum(axis=0)
        there = total > 0
        shares = denominator[:, there] / total[there]
        found[name] = shares.sum(axis=1) / max(1, there.sum())
    return found | {"macro_f1": found["ua"], "ece": found["wa"]}


def supports(tallies: Array, classes: int) -> Array:
    """How many utterances are of each class, times the number of seeds: [..., K] gives [..., C]."""
    return tallies[..., :classes]


def clips_of(tallies: Array, classes: int) -> Array:
    """How many scored utterances there are, times the number of seeds: [..., K] gives [...]."""
    clips: Array = supports(tallies, classes).sum(axis=-1)
    return clips


def _parts(tallies: Array, classes: int) -> tuple[Array, Array, Array, Array]:
    """Support, predictions and hits per class, and hits less confidence per bin."""
    first, second, third = (tallies[..., i * classes : (i + 1) * classes] for i in range(3))
    return first, second, third, tallies[..., 3 * classes :]


def _counted(
    cells: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    shape: tuple[int, int],
    weights: Array | None = None,
) -> Array:
    flat = np.bincount(cells * shape[1] + columns, weights, shape[0] * shape[1])
    return flat.reshape(shape).astype(np.float64)


def _mean(values: Array) -> Array:
    """Mean over the last axis without NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    mean: Array = np.where(known, values, 0.0).sum(axis=-1) / known.sum(axis=-1)
    return mean
