"""Linear SVMs, each class against the rest, balanced: scikit-learn's `LinearSVC`, many C at once.

R.-E. Fan et al. 2008, LIBLINEAR: A Library for Large Linear Classification, JMLR 9: 1871-1874. An
utterance with votes for several classes stands once in each, weighted by its share of the votes;
with hard labels that is the plain SVM. One with a weight of 2 is one that stands there twice.

Letters: N utterances, D values of a vector, C classes, G values of the regularisation, M machines.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heads.models._squared_hinge import MOST_STEPS, TOLERANCE, solve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = npt.NDArray[np.float64]

_ABSENT = -1.0  # the margin that an SVM without a positive example has everywhere

_log = logging.getLogger(__name__)


def fit_margins(
    vectors: Array,
    multiply: Callable[[Array], Array],
    targets: Array,
    candidates: Sequence[float],
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
    weights: Array | None = None,
) -> tuple[Array, Array]:
    """Coefficients and intercepts of the SVMs of all classes, for each C.

    A class without an example has a margin of -1 everywhere.

    Args:
        vectors: Standardised.
        multiply: Their `multiplier`.
        targets: Distributions over the classes.
        candidates: Each C.
        tolerance: Of the solver.
        most_steps: Of the solver; a warning names each C that has not converged by then.
        weights: What each utterance counts for, more than 0; None for 1.

    Shape:
        vectors: [N, D], targets: [N, C], candidates: [G], weights: [N]. Output: [G, C, D] and
        [G, C].
    """
    values, classes, dim = len(candidates), targets.shape[1], vectors.shape[1]
    coef, intercept = np.zeros((values, classes, dim)), np.full((values, classes), _ABSENT)
    there = np.flatnonzero(targets.sum(axis=0))
    if len(there) == 1:
        intercept[:, there] = -_ABSENT
        return coef, intercept
    sides = _sides(targets[:, there], weights)
    positive, negative = (np.concatenate([c * own for c in candidates]) for own in sides)
    shares, solved = solve(multiply, positive, negative, tolerance, most_steps)
    for c, own in zip(candidates, solved.reshape(values, -1), strict=True):
        if not own.all():
            _log.warning("svm: C = %g had not converged after %d steps", c, most_steps)
    slopes = (shares @ vectors).reshape(values, -1, dim)
    offsets = shares.sum(axis=1).reshape(values, -1)
    if len(there) == 2:  # one machine tells both classes apart
        slopes = np.concatenate([-slopes, slopes], axis=1)
        offsets = np.concatenate([-offsets, offsets], axis=1)
    coef[:, there], intercept[:, there] = slopes, offsets
    return coef, intercept


def _sides(targets: Array, weights: Array | None) -> tuple[Array, Array]:
    """What each utterance counts for each machine and against it, with C = 1: [M, N] each.

    As LIBLINEAR has it: what is for a class is balanced, and what is against it counts 1. Of two
    classes, which share a machine, both are balanced.

    Args:
        targets: [N, C], of classes that have examples.
        weights: [N]; None for 1.
    """
    total = float(len(targets))
    if weights is not None:
        targets, total = targets * weights[:, None], float(weights.sum())
    balance = total / (targets.shape[1] * targets.sum(axis=0))
    positive = (balance * targets).T
    if targets.shape[1] == 2:
        return positive[1:], positive[:1]
    return positive, targets.sum(axis=1) - targets.T
