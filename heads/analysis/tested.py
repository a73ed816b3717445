"""A run's out-of-fold predictions as arrays, and what two runs have in common.

Letters: S seeds, N utterances, C classes or emotional dimensions, G speakers, K values of a tally.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedcache.errors import SerError
from heads.dimensional_metrics import (
    dimensional_intervals,
    dimensional_scores,
    dimensional_tally,
)
from heads.labels import majority
from heads.metrics import scores, speaker_interval, sum_by, tally_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

Array = npt.NDArray[np.float64]

_ROUNDING = 1e-6  # of what is written with seven digits


# Without slots: tallies are kept once they are made.
@dataclass(frozen=True, kw_only=True, eq=False)
class Tested:
    """Tested utterances in the order of their ids, each predicted by models that did not see it.

    Attributes:
        target: What was learned: `emotion` or `dimensions`.
        labels: [C], names of the classes or dimensions.
        ids: [N].
        speakers: [N]; empty where the corpus does not know.
        folds: [N], the fold in which each was tested.
        targets: [N, C], the annotated distribution, one-hot rows for hard labels; of dimensions
            values, NaN where there are none.
        predictions: [S, N, C], probabilities or values.
    """

    target: str = "emotion"
    labels: tuple[str, ...]
    ids: npt.NDArray[np.str_]
    speakers: npt.NDArray[np.str_]
    folds: npt.NDArray[np.int64]
    targets: Array
    predictions: Array

    @cached_property
    def speaker_names(self) -> list[str]:
        """[G], sorted."""
        return [str(name) for name in np.unique(self.speakers)]

    @cached_property
    def speaker_codes(self) -> npt.NDArray[np.int64]:
        """[N], the position of each utterance's speaker in `speaker_names`."""
        return np.searchsorted(np.array(self.speaker_names, str), self.speakers)

    @cached_property
    def by_speaker(self) -> Array:
        """Tallies of each speaker: [S, G, K]."""
        return np.stack([self._tally(p) for p in self.predictions])

    def scores(self, tallies: Array) -> dict[str, Array]:
        """Metrics of summed tallies: [..., K] gives [...] each."""
        if self.target == "dimensions":
            return dimensional_scores(tallies, self.labels)
        return scores(tallies, len(self.labels))

    def intervals(self) -> dict[str, tuple[float, float] | None]:
        """95 % intervals over speakers of all metrics; see `heads.intervals.jackknife`."""
        if self.target == "dimensions":
            return dimensional_intervals(self.by_speaker, self.labels)
        return speaker_interval(self.by_speaker, len(self.labels))

    def _tally(self, predictions: Array) -> Array:
        count = len(self.speaker_names)
        if self.target == "dimensions":
            rows = dimensional_tally(predictions, self.targets)
            return sum_by(rows, self.speaker_codes, count)
        return tally_by(predictions, self.targets, self.speaker_codes, count)

    def rows(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Tested:
        """Some of the utterances."""
        return replace(
            self,
            ids=self.ids[chosen],
            speakers=self.speakers[chosen],
            folds=self.folds[chosen],
            targets=self.targets[chosen],
            predictions=self.predictions[:, chosen],
        )


def as_tested(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    target: str = "emotion",
    told: str = "the run",
) -> Tested:
    """Arrays from a table of predictions.

    Args:
        predictions: Columns id, speaker, fold, seed, true_<label>, pred_<label>.
        labels: Names of the classes or dimensions.
        target: `emotion` or `dimensions`.
        told: What is named where the table contradicts itself.

    Raises:
        SerError: Seeds do not hold the same utterances with the same truth, or a number is missing.
    """
    order, seeds = _by_seed_and_id(
        predictions["seed"].to_numpy(), predictions["id"].to_numpy(object)
    )
    count = len(order) // max(seeds, 1)
    truth, guess = (
        predictions[[f"{kind}_{label}" for label in labels]].to_numpy(float)[order]
        for kind in ("true", "pred")
    )
    ids, speakers = (predictions[name].to_numpy(object)[order] for name in ("id", "speaker"))
    folds = predictions["fold"].to_numpy(np.int64)[order]
    whole = seeds * count == len(ids) > 0
    if not (whole and all(_same_in_all(own, seeds) for own in (ids, speakers, folds, truth))):
        raise SerError(
            f"{told}: its seeds do not hold the same utterances with the same truth, so it was "
            "edited or is damaged; train the head again"
        )
    if not np.isfinite(guess).all() or (target == "emotion" and not np.isfinite(truth).all()):
        raise SerError(f"{told}: a prediction or a truth is no number; train the head again")
    return Tested(
        target=target,
        labels=tuple(labels),
        ids=ids[:count].astype(str),
        speakers=speakers[:count].astype(str),
        folds=folds[:count],
        targets=truth[:count],
        predictions=guess.reshape(seeds, count, -1),
    )


def common(first: Tested, second: Tested) -> tuple[Tested, Tested]:
    """Two runs on what they share: classes, utterances, and one truth in both.

    Where classes are left out, utterances whose true class is among them are left out too, and
    predictions and targets are distributions over the rest; a prediction that gives them nothing
    knows nothing of them, and is even. Dimensions must be the same, and have the same values.
    """
    labels = [label for label in first.labels if label in second.labels]
    if first.target == "dimensions" and first.labels != second.labels:
        labels = []
    if np.array_equal(first.ids, second.ids):
        a, b = first, second
    else:
        _, rows_a, rows_b = np.intersect1d(first.ids, second.ids, return_indices=True)
        a, b = first.rows(rows_a), second.rows(rows_b)
    agreed = np.ones(len(a.ids), bool)
    for own in (a, b):
        if tuple(labels) != own.labels:
            agreed &= _inside(own, labels)
    a, b = _over(a, labels), _over(b, labels)
    if first.target == "dimensions":
        agreed &= np.isclose(a.targets, b.targets, equal_nan=True).all(axis=1)
    elif labels:
        agreed &= majority(a.targets) == majority(b.targets)
    return (a, b) if agreed.all() else (a.rows(agreed), b.rows(agreed))


def same_truth(first: Tested, second: Tested) -> bool:
    """Whether two runs, on what they share, have the same distributions for truth."""
    return bool(np.allclose(first.targets, second.targets, atol=_ROUNDING, equal_nan=True))


def _inside(tested: Tested, labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which utterances have a true class, or one of their tied ones, among some classes: [N]."""
    known = np.isin(np.array(tested.labels, str), np.array(labels, str))
    truth = majority(tested.targets)
    tied = np.isclose(tested.targets, tested.targets.max(axis=1, keepdims=True))
    return np.where(truth >= 0, known[truth], (tied <= known).all(axis=1))


def _over(tested: Tested, labels: Sequence[str]) -> Tested:
    """Distributions over some of the classes, in their order."""
    if tuple(labels) == tested.labels:
        return tested
    columns = [tested.labels.index(label) for label in labels]
    return replace(
        tested,
        labels=tuple(labels),
        targets=_normalised(tested.targets[:, columns], otherwise=0.0),
        predictions=_normalised(tested.predictions[..., columns], 1 / max(len(columns), 1)),
    )


def _normalised(values: Array, otherwise: float) -> Array:
    """Shares of each row's sum: `otherwise` each where that is 0."""
    total = values.sum(axis=-1, keepdims=True)
    shares: Array = np.divide(values, total, where=total > 0, out=np.full_like(values, otherwise))
    return shares


def _by_seed_and_id(
    seeds: npt.NDArray[np.generic], ids: npt.NDArray[np.object_]
) -> tuple[npt.NDArray[np.int64], int]:
    """The order of rows by seed and then id, and the number of seeds."""
    names, seed_of = np.unique(seeds, return_inverse=True)
    count = len(ids) // max(len(names), 1)
    if (
        len(names) * count == len(ids) > 0
        and (seed_of == np.arange(len(ids)) // max(count, 1)).all()
    ):
        blocks = ids.reshape(len(names), count)  # as they are written: seed after seed, all alike
        if (blocks == blocks[:1]).all():
            inside = np.argsort(blocks[0].astype(str), kind="stable")
            return (np.arange(len(names))[:, None] * count + inside).ravel(), len(names)
    return np.lexsort((ids.astype(str), seed_of)), len(names)


def _same_in_all(values: npt.NDArray[np.generic], seeds: int) -> bool:
    """Whether each seed's part is that of the first."""
    parts = values.reshape(seeds, -1)
    first = np.broadcast_to(parts[:1], parts.shape)
    if values.dtype.kind == "f":
        return bool(np.array_equal(parts, first, equal_nan=True))
    return bool(np.array_equal(parts, first))
