"""Which candidate each fold takes: the best on its validation part, which no test part enters."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heads.train.candidates import Candidate
    from heads.train.member import Member

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and what of it failed.

    Attributes:
        of_fold: Position of the candidate that each fold took; folds that failed are absent.
        scores: Per fold and candidate, what it was chosen by, a mean over seeds; None for one of
            whose seeds one diverged before it could be kept.
        by: What they are.
        failed: Names of the folds in which each candidate diverged, with one seed at least.
    """

    of_fold: dict[int, int]
    scores: list[list[float | None]]
    failed: list[str]
    by: str

    def told(self, candidates: Sequence[Candidate]) -> dict[str, Any] | None:
        """For `results.json`; None where there was nothing to choose."""
        if len(candidates) < 2:
            return None
        return {
            "by": self.by,
            "candidates": [candidate.told for candidate in candidates],
            "scores": self.scores,
            "chosen": {str(fold): position for fold, position in self.of_fold.items()},
        }


def choose(
    members: Sequence[Member], candidates: Sequence[Candidate], by: str
) -> tuple[list[Member], Choice]:
    """Each fold's best candidate on validation, seeds averaged; ties go to the lower loss.

    Args:
        members: Of all folds, candidates and seeds.
        candidates: Their positions are the members' `candidate`.
        by: What the members' scores are.

    Returns:
        The chosen members, by fold and seed; and the choice.
    """
    of_fold: dict[int, int] = {}
    scores: list[list[float | None]] = []
    failed = []
    for fold in sorted({member.fold for member in members}):
        found = [
            np.mean([m.score for m in members if (m.fold, m.candidate) == (fold, c)], axis=0)
            for c in range(len(candidates))
        ]
        scores.append([float(s[0]) if np.isfinite(s).all() else None for s in found])
        usable = [c for c, value in enumerate(scores[-1]) if value is not None]
        if usable:
            of_fold[fold] = max(usable, key=lambda c: (*found[c].tolist(), -c))
        else:
            failed.append(f"fold {fold}")
    if failed:
        _log.warning(
            "left out, for the loss of one seed at least diverged before it could be kept: %s",
            ", ".join(failed),
        )
    if len(candidates) > 1:
        for fold, c in of_fold.items():
            told = ", ".join(f"{key}={value}" for key, value in candidates[c].told.items())
            _log.info("fold %d takes %s by its validation part", fold, told)
    chosen = [m for m in members if of_fold.get(m.fold) == m.candidate]
    return sorted(chosen, key=lambda m: (m.fold, m.seed)), Choice(of_fold, scores, failed, by)
