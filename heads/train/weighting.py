"""What each utterance counts for in training: groups evened out, ambiguous clips less, or not.

Only training is weighted. What validates and what is tested stays as it is, so that runs with and
without weights are compared on the same utterances.

Letters: N utterances, V views, M utterances and views of a matrix, F folds, G groups, C classes.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from embedcache.errors import SerError, UsageError
from heads.group_columns import groups_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.utterance import Utterance
    from heads.labels import ClassTargets
    from heads.splits import Fold
    from heads.train.config import RunConfig

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_ROUNDING = 1e-9  # a third of three votes is a third
_NAMED = 3  # groups and emotions that a message names

_log = logging.getLogger(__name__)


def least_agreement(asked: str) -> float | None:
    """The share of agreement below which `--ambiguous drop=SHARE` drops; None for others.

    Raises:
        UsageError: It is none of the three.

    >>> least_agreement("drop=0.6"), least_agreement("weight")
    (0.6, None)
    """
    if asked in ("keep", "weight"):
        return None
    name, _, text = asked.partition("=")
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if name != "drop" or not 0 < share <= 1:
        raise UsageError(
            f"--ambiguous {asked}: give keep, weight, or drop=SHARE with a share of the votes "
            "above 0 to 1, as in drop=0.6"
        )
    return share


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighting:
    """What utterances count for before a training part is known.

    Attributes:
        counts: [N], each by itself; 0 trains nothing.
        groups: [N], number of the group that is evened out with others, -1 where it is not known;
            None where groups count as they come.
        classes: [N], the largest class of each, within which groups are evened out.
    """

    counts: Doubles
    groups: Indices | None
    classes: Indices

    @property
    def trains(self) -> Bools:
        """[N], which may train at all."""
        allowed: Bools = self.counts > 0
        return allowed

    def weights(self, train: Bools, rows: Indices) -> Doubles:
        """What each counts for in each training part: mean 1 over those that train, else 0.

        Args:
            train: Who trains in which fold.
            rows: The utterance that each is, or is a view of.

        Shape:
            train: [F, M], rows: [M]. Output: [F, M].
        """
        counts = self.counts[rows] * train
        if self.groups is not None:
            counts = np.array([balanced(x, self.groups[rows], self.classes[rows]) for x in counts])
        number = (counts > 0).sum(axis=1, keepdims=True)
        found: Doubles = counts * (number / counts.sum(axis=1, keepdims=True))
        return found


def balanced(counts: Doubles, groups: Indices, classes: Indices) -> Doubles:
    """Counts that are evened out between the groups of each class.

    Within a class, all groups that occur come to weigh the same, and the class as a whole what it
    weighed: P(group | emotion) is uniform, P(emotion) as it was. That is what "group-balanced"
    means where groups are emotion times attribute (B. Y. Idrissi et al. 2022, Simple data balancing
    achieves competitive worst-group-accuracy, arXiv 2110.14503), less the evening out of emotions,
    which class weights do. Reweighing (F. Kamiran, T. Calders 2012, doi 10.1007/s10115-011-0463-8)
    makes group and emotion independent and leaves a small group as small as it was.

    Args:
        counts: 0 for what does not train.
        groups: -1 where one is not known; such counts stay as they are.
        classes: Of each.

    Shape:
        All and the output: [M].

    >>> balanced(np.ones(4), np.array([0, 0, 0, 1]), np.zeros(4, int)).round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    """
    known = groups >= 0
    shape = int(groups.max(initial=0)) + 1, int(classes.max(initial=0)) + 1
    cells = np.zeros(shape)
    np.add.at(cells, (groups[known], classes[known]), counts[known])
    with np.errstate(divide="ignore", invalid="ignore"):  # cells that do not occur
        factors = cells.sum(axis=0) / (cells > 0).sum(axis=0) / cells
    found = counts.copy()
    inside = known & (counts > 0)
    found[inside] *= factors[groups[inside], classes[inside]]
    return found


def make_weighting(
    config: RunConfig, utterances: Sequence[Utterance], targets: ClassTargets, folds: Sequence[Fold]
) -> Weighting | None:
    """What utterances count for; None where nothing is asked for.

    Args:
        config: What is asked for.
        utterances: [N].
        targets: Of them.
        folds: Who trains.

    Raises:
        UsageError: A column or votes are asked for that are not there.
        SerError: A class is left without a training utterance.
    """
    if config.ambiguous == "keep" and not config.balance:
        return None
    counts, groups = np.ones(len(utterances)), None
    if config.ambiguous != "keep":
        counts = _counts(config, targets)
        _require_classes(config.ambiguous, counts, targets, folds)
    classes = targets.values.argmax(axis=1)
    if config.balance:
        names = groups_by(utterances, config.balance, "--balance")
        order = sorted({name for name in names if name})
        groups = np.array([order.index(name) if name else -1 for name in names])
        _tell_groups(config.balance, order, groups, classes, targets.names, folds)
    return Weighting(counts=counts, groups=groups, classes=classes)


def told_weights(weights: Doubles, asked: Bools) -> dict[str, Any]:
    """What `results.json` tells of the weights that train.

    `effective_share` is Kish's effective sample size, (sum w)^2 / sum w^2, beside the number of
    training utterances: their mean loss varies as that of so many unweighted ones would. It is a
    mean over folds.

    Args:
        weights: As `Weighting.weights` gives them.
        asked: Who would train in which fold if nothing were dropped.

    Shape:
        weights, asked: [F, N].
    """
    own = [row[row > 0] for row in weights]
    shares = [row.sum() ** 2 / np.square(row).sum() / len(row) for row in own]
    return {
        "least": float(min(row.min() for row in own)),
        "largest": float(max(row.max() for row in own)),
        "effective_share": float(np.mean(shares)),
        "dropped": int((asked & (weights == 0)).any(axis=0).sum()),
    }


def _counts(config: RunConfig, targets: ClassTargets) -> Doubles:
    """What each utterance counts for by its annotators' agreement: that, or 1 and 0."""
    agreement = targets.agreement
    known = ~np.isnan(agreement)
    if not known.any():
        raise UsageError(
            f"--ambiguous {config.ambiguous}: no utterance has votes in {config.labels.votes}, "
            "from which ambiguity would be known; leave it out, or name others with --votes"
        )
    least = least_agreement(config.ambiguous)
    if least is None:
        counts = np.where(known, agreement, agreement[known].mean())
        without = "count as much as the others on average"
    else:
        counts = np.where(known & (agreement < least - _ROUNDING), 0.0, 1.0)
        without = "train as before"
    if not known.all():
        _log.warning(
            "--ambiguous %s: %d of %d utterances have no votes: they %s",
            config.ambiguous, (~known).sum(), len(known), without,
        )  # fmt: skip
    _log.info(
        "--ambiguous %s: %d of %d utterances train nothing; all validate and are tested as before",
        config.ambiguous, (counts == 0).sum(), len(counts),
    )  # fmt: skip
    return counts


def _require_classes(
    asked: str, counts: Doubles, targets: ClassTargets, folds: Sequence[Fold]
) -> None:
    for number, fold in enumerate(folds):
        left = (targets.values * (counts > 0)[:, None])[fold.train].sum(axis=0)
        lacking = [name for name, n in zip(targets.names, left, strict=True) if n == 0]
        if lacking:
            raise SerError(
                f"--ambiguous {asked} leaves fold {number} no training utterance of "
                f"{', '.join(lacking)}; give a lower share, or weight"
            )


def _tell_groups(
    asked: str,
    names: Sequence[str],
    groups: Indices,
    classes: Indices,
    labels: Sequence[str],
    folds: Sequence[Fold],
) -> None:
    """Say whose group is not known, and what there is nothing of in a fold's training part."""
    unknown = int((groups < 0).sum())
    if unknown:
        _log.warning(
            "--balance %s: %d of %d utterances have no value there: they weigh as before",
            asked, unknown, len(groups),
        )  # fmt: skip
    empty: Counter[str] = Counter()
    for number, fold in enumerate(folds):
        known = fold.train[groups[fold.train] >= 0]
        cells = np.zeros((len(names), len(labels)), np.int64)
        np.add.at(cells, (groups[known], classes[known]), 1)
        there = cells.sum(axis=1) > 0
        if there.sum() < 2:
            only = names[int(there.argmax())] if there.any() else "utterances without a value"
            _log.warning(
                "--balance %s: fold %d trains on %s alone, and nothing is evened out there",
                asked, number, only,
            )  # fmt: skip
        lacking = np.argwhere((cells == 0) & there[:, None] & (cells.sum(axis=0) > 0))
        empty.update(f"{labels[c]} of {names[g]}" for g, c in lacking.tolist())
    if empty:
        told = ", ".join(f"{cell} ({n})" for cell, n in empty.most_common(_NAMED))
        more = f", and {len(empty) - _NAMED} more" if len(empty) > _NAMED else ""
        _log.warning(
            "--balance %s: what does not occur cannot be evened out; without a training utterance, "
            "in so many folds: %s%s",
            asked, told, more,
        )  # fmt: skip
