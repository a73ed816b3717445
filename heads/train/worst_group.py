"""Choosing models by the group that they serve worst: epochs, settings and layers.

S. Sagawa et al. 2020, Distributionally Robust Neural Networks for Group Shifts, ICLR, arXiv
1911.08731: they choose models by the lowest accuracy of a group on validation.

Letters: K models, N utterances, O outputs, F folds, G groups.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from embedcache.errors import UsageError
from heads.group_columns import groups_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from embedcache.utterance import Utterance
    from heads.splits import Fold
    from heads.train.objective import Objective

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

LEAST = 10
"""Utterances that a group needs, to be one that models are chosen by: of fewer, chance decides."""
_NAMED = 3  # groups that a message names

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Groups that models are chosen by.

    Attributes:
        names: [G].
        codes: [N], number of each utterance's group; -1 where it is not known.
        counted: [K], which groups each model is chosen by; [F] before models are made for folds.
    """

    names: Sequence[str]
    codes: Indices
    counted: Sequence[Indices]

    def at(self, rows: Sequence[int]) -> Self:
        """The same for some of the models."""
        return replace(self, counted=[self.counted[k] for k in rows])


def worst_of(
    groups: Groups, objective: Objective, outputs: Tensor, val: Bools
) -> tuple[Doubles, Doubles]:
    """Each model's highest loss [K] and lowest score [K] over its groups of validation.

    Args:
        groups: Of the K models.
        objective: Of them.
        outputs: [K, N, O].
        val: [K, N].
    """
    loss, score = np.full((2, len(val)), -np.inf)
    score = -score
    for group in range(len(groups.names)):
        rows = np.array([k for k, own in enumerate(groups.counted) if group in own], np.int64)
        if rows.size:
            part = val[rows] & (groups.codes == group)
            own = objective.at(rows.tolist()).validate(outputs[rows], part)
            loss[rows] = np.maximum(loss[rows], own[0])
            score[rows] = np.minimum(score[rows], own[1])
    return loss, score


def make_groups(asked: str, utterances: Sequence[Utterance], folds: Sequence[Fold]) -> Groups:
    """The groups of a column that models of each fold are chosen by; the others are told.

    Args:
        asked: A column, or several joined with `+`.
        utterances: [N].
        folds: Of these.

    Raises:
        UsageError: There is no such column, or a fold has no group with enough utterances.
    """
    values = groups_by(utterances, asked, "--worst-group")
    names = sorted({value for value in values if value})
    codes = np.array([names.index(value) if value else -1 for value in values])
    unknown = int((codes < 0).sum())
    if unknown:
        _log.warning(
            "--worst-group %s: %d of %d utterances have no value there: no model is chosen by them",
            asked, unknown, len(codes),
        )  # fmt: skip
    counted = []
    for number, fold in enumerate(folds):
        own = enough(codes, fold.val)
        if not own.size:
            raise UsageError(
                f"--worst-group {asked}: in fold {number} no group has {LEAST} utterances that "
                "validate; give a column with larger groups, fewer --folds, or leave it out"
            )
        left = [name for g, name in enumerate(names) if g not in own]
        if left:
            _log.warning(
                "--worst-group %s: in fold %d fewer than %d utterances validate of %s: models are "
                "chosen by %s%s",
                asked, number, LEAST, _listed(left), _listed([names[g] for g in own]),
                " alone" if len(own) == 1 else "",
            )  # fmt: skip
        counted.append(own)
    return Groups(names=names, codes=codes, counted=counted)


def enough(codes: Indices, part: Indices) -> Indices:
    """The groups with enough utterances in a part of them.

    Args:
        codes: [N], -1 where a group is not known.
        part: Positions.
    """
    inside = codes[part]
    found: Indices = np.flatnonzero(np.bincount(inside[inside >= 0]) >= LEAST)
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
