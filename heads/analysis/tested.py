"""A run's out-of-fold predictions as arrays, and what two runs have in common.

Letters: S seeds, N utterances, C classes, G speakers, K values of a tally.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedcache.errors import SerError
from heads.labels import majority
from heads.metrics import tally_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

Array = npt.NDArray[np.float64]

_ROUNDING = 1e-6  # of what is written with seven digits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tested:
    """Tested utterances in the order of their ids, each predicted by models that did not see it.

    Attributes:
        labels: [C], names of the classes.
        ids: [N].
        speakers: [N]; empty where the corpus does not know.
        folds: [N], the fold in which each was tested.
        targets: [N, C], the annotated distribution; one-hot rows for hard labels.
        predictions: [S, N, C], probabilities.
    """

    labels: tuple[str, ...]
    ids: npt.NDArray[np.str_]
    speakers: npt.NDArray[np.str_]
    folds: npt.NDArray[np.int64]
    targets: Array
    predictions: Array

    def speaker_names(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        """The speakers' names, and the position of each utterance's speaker among them."""
        names, codes = np.unique(self.speakers, return_inverse=True)
        return names.tolist(), codes

    def by_speaker(self) -> Array:
        """Tallies of each speaker in the order of their names: [S, G, K]."""
        names, codes = self.speaker_names()
        return np.stack([tally_by(p, self.targets, codes, len(names)) for p in self.predictions])

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


def tested_of(predictions: pd.DataFrame, labels: Sequence[str], told: str = "the run") -> Tested:
    """Arrays from a table of predictions.

    Args:
        predictions: Columns id, speaker, fold, seed, true_<label>, pred_<label>.
        labels: Names of the classes.
        told: What is named where the table contradicts itself.

    Raises:
        SerError: Seeds do not hold the same utterances with the same truth, or a number is missing.
    """
    ids = predictions["id"].to_numpy(str)
    seeds, seed_of = np.unique(predictions["seed"].to_numpy(), return_inverse=True)
    order = np.lexsort((ids, seed_of))
    shape = len(seeds), len(ids) // max(len(seeds), 1)
    ids = ids[order]
    truth = predictions[[f"true_{label}" for label in labels]].to_numpy(float)[order]
    guess = predictions[[f"pred_{label}" for label in labels]].to_numpy(float)[order]
    speakers = predictions["speaker"].to_numpy(str)[order]
    folds = predictions["fold"].to_numpy(np.int64)[order]
    if (
        shape[0] * shape[1] != len(ids)
        or not _same_in_all(ids, shape)
        or not _same_in_all(speakers, shape)
        or not _same_in_all(truth, shape)
    ):
        raise SerError(
            f"{told}: its seeds do not hold the same utterances with the same truth, so it was "
            "edited or is damaged; train the head again"
        )
    if not (np.isfinite(truth).all() and np.isfinite(guess).all()):
        raise SerError(f"{told}: a prediction or a truth is no number; train the head again")
    count = shape[1]
    return Tested(
        labels=tuple(labels),
        ids=ids[:count],
        speakers=speakers[:count],
        folds=folds[:count],
        targets=truth[:count],
        predictions=guess.reshape(*shape, -1),
    )


def common(first: Tested, second: Tested) -> tuple[Tested, Tested]:
    """Two runs on what they share: classes, utterances, and one true class in both.

    Where classes are left out, utterances whose true class is among them are left out too, and
    predictions and targets are distributions over the rest.
    """
    labels = [label for label in first.labels if label in second.labels]
    _, rows_a, rows_b = np.intersect1d(first.ids, second.ids, return_indices=True)
    a, b = (_over(own, labels) for own in (first.rows(rows_a), second.rows(rows_b)))
    truth_a, truth_b = majority(a.targets), majority(b.targets)
    agreed = (truth_a == truth_b) & (a.targets.sum(axis=1) > 0) & (b.targets.sum(axis=1) > 0)
    for own, whole, rows in ((a, first, rows_a), (b, second, rows_b)):
        if own.labels != whole.labels:
            chosen = majority(whole.targets[rows])
            inside = np.isin(np.array(whole.labels, str), labels)
            agreed &= (chosen < 0) | inside[chosen]
    return (a, b) if agreed.all() else (a.rows(agreed), b.rows(agreed))


def same_truth(first: Tested, second: Tested) -> bool:
    """Whether two runs, on what they share, have the same distributions for truth."""
    return bool(np.allclose(first.targets, second.targets, atol=_ROUNDING))


def _over(tested: Tested, labels: Sequence[str]) -> Tested:
    """Distributions over some of the classes, in their order."""
    if tuple(labels) == tested.labels:
        return tested
    columns = [tested.labels.index(label) for label in labels]
    return replace(
        tested,
        labels=tuple(labels),
        targets=_normalised(tested.targets[:, columns]),
        predictions=_normalised(tested.predictions[..., columns]),
    )


def _normalised(values: Array) -> Array:
    total = values.sum(axis=-1, keepdims=True)
    shares: Array = np.divide(values, total, where=total > 0, out=np.zeros_like(values))
    return shares


def _same_in_all(values: npt.NDArray[np.generic], shape: tuple[int, int]) -> bool:
    """Whether each seed's part is that of the first."""
    parts = values.reshape(*shape, *values.shape[1:])
    return bool((parts == parts[:1]).all())
