"""Predictions of all folds put together, and a metric's summary over seeds, folds and speakers.

Letters: S seeds, N utterances, O outputs (classes or emotional dimensions), G speakers, K values of
a tally.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heads.metrics import sum_by

if TYPE_CHECKING:
    from heads.train.member import Member
    from heads.train.prepare import Prepared

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfFold:
    """Each tested utterance's prediction by the model that did not see it, for every seed.

    Attributes:
        predictions: [S, N, O], probabilities of classes, or values of dimensions.
        targets: [N, O].
        folds: [N], the fold in which it was tested.
        speakers: [N]; None where the corpus does not know.
        temperatures: [S, N], of the model that predicted, fitted on its validation part; 1 where
            there is none.
    """

    predictions: Array
    targets: Array
    folds: npt.NDArray[np.int64]
    speakers: Sequence[str | None]
    temperatures: Array


def pool_folds(
    data: Prepared, members: Sequence[Member], seeds: Sequence[int]
) -> tuple[OutOfFold, npt.NDArray[np.int64]]:
    """Each utterance's prediction by the model that did not see it, and which are tested at all."""
    targets = data.targets.values
    folds = np.full(len(targets), -1)
    predicted = np.zeros((len(seeds), *targets.shape))
    temperatures = np.ones((len(seeds), len(targets)))
    for member in members:
        test = data.folds[member.fold].test
        folds[test] = member.fold
        predicted[seeds.index(member.seed), test] = member.predictions[test]
        temperatures[seeds.index(member.seed), test] = member.temperature
    tested = np.flatnonzero(folds >= 0)
    found = OutOfFold(
        predictions=predicted[:, tested],
        targets=targets[tested],
        folds=folds[tested],
        speakers=[data.utterances[i].speaker for i in tested],
        temperatures=temperatures[:, tested],
    )
    return found, tested


def over_speakers(
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


def summary(
    by_seed: Array,
    by_fold: Array,
    interval: tuple[float, float] | str,
    lacking: str = "no utterance defines it",
) -> dict[str, Any]:
    """A metric for `results.json`: what is undefined is None, with its reason.

    Args:
        by_seed: [S], folds pooled.
        by_fold: [F], seeds averaged.
        interval: Over speakers, or why there is none.
        lacking: Why the metric is undefined where it is.
    """
    if np.isnan(by_seed).any():
        return undefined(lacking)
    known = by_fold[~np.isnan(by_fold)]
    found: dict[str, Any] = {
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
    return found | ({"reasons": reasons} if reasons else {})


def undefined(reason: str) -> dict[str, Any]:
    """A metric that is not defined, and why."""
    nothing = dict.fromkeys(("mean", "std_seeds", "fold_mean", "std_folds", "ci95"))
    return {**nothing, "reason": reason}


def _deviation(values: Array) -> float | None:
    return float(values.std(ddof=1)) if values.size > 1 else None
