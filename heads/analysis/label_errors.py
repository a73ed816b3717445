"""Suspected label errors, by confident learning from out-of-fold predictions.

C. G. Northcutt, L. Jiang, I. L. Chuang (2021), Confident Learning: Estimating Uncertainty in
Dataset Labels, Journal of Artificial Intelligence Research 70, 1373-1411. What it leaves open is
done as in its authors' cleanlab.

Letters: N utterances, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_ROUNDING = 1e-6  # of predictions that are written with seven digits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfidentJoint:
    """Which class each utterance confidently belongs to, beside the one that it was given.

    Attributes:
        thresholds: [C], mean probability of a class over the utterances that were given it; NaN
            where none was.
        confident: [N], the class that an utterance confidently belongs to; -1 where none.
        counted: [C, C], utterances by given (row) and confident class (column); at least 1 on the
            diagonal, as if each class had one clear example.
        calibrated: [C, C], the same, each row scaled to the number of utterances that were given
            the class: an estimate of how many utterances of all have each pair of labels.
    """

    thresholds: Array
    confident: Indices
    counted: npt.NDArray[np.int64]
    calibrated: Array

    @property
    def share(self) -> float:
        """Estimated share of utterances whose given label is not their true one."""
        return float(1 - np.trace(self.calibrated) / self.calibrated.sum())


def confident_joint(probabilities: Array, given: Indices) -> ConfidentJoint:
    """Count confident members of classes.

    An utterance is a confident member of class j where p_j is no less than the mean p_j of those
    that were given j: t_j = mean of p_j over {x: given(x) = j}. Of several such classes it is the
    likeliest one of all, as in cleanlab; the paper takes the likeliest of the confident ones.

    Args:
        probabilities: Out of fold, that is by models that have not seen the utterance's label.
        given: The label that each was given.

    Shape:
        probabilities: [N, C], given: [N] in 0..C-1.
    """
    count, classes = probabilities.shape
    sizes = np.bincount(given, minlength=classes)
    own = probabilities[np.arange(count), given]
    with np.errstate(invalid="ignore"):
        thresholds = np.bincount(given, own, classes) / sizes
    above = probabilities >= np.where(sizes > 0, thresholds, np.inf) - _ROUNDING
    several = above.sum(axis=1) > 1
    confident = np.where(several, probabilities.argmax(axis=1), above.argmax(axis=1))
    confident[~above.any(axis=1)] = -1
    inside = confident >= 0
    counted = np.bincount((given * classes + confident)[inside], minlength=classes**2)
    counted = counted.reshape(classes, classes)
    np.fill_diagonal(counted, np.maximum(np.diagonal(counted), 1))
    return ConfidentJoint(
        thresholds=thresholds,
        confident=confident,
        counted=counted,
        calibrated=counted / counted.sum(axis=1, keepdims=True) * sizes[:, None],
    )


def margins(probabilities: Array, given: Indices) -> Array:
    """Probability of the given label less that of the likeliest other one: from -1 to 1.

    The paper's normalised margin; below 0 where another class is likelier.

    Shape:
        probabilities: [N, C], given: [N]. Output: [N].

    >>> margins(np.array([[0.25, 0.75], [0.25, 0.75]]), np.array([0, 1])).tolist()
    [-0.5, 0.5]
    """
    rows = np.arange(len(given))
    others = probabilities.copy()
    others[rows, given] = -np.inf
    margin: Array = probabilities[rows, given] - others.max(axis=1)
    return margin


def suspected(probabilities: Array, given: Indices, joint: ConfidentJoint) -> Indices:
    """Utterances that confidently belong to another class than the given one, the worst first.

    Those are left out whose given label is the likeliest class after all. The order is that of the
    margin, from the lowest up.

    Shape:
        probabilities: [N, C], given: [N]. Output: positions, at most [N].
    """
    margin = margins(probabilities, given)
    found = (joint.confident >= 0) & (joint.confident != given) & (margin < -_ROUNDING)
    positions = np.flatnonzero(found)
    order: Indices = positions[np.argsort(margin[positions], kind="stable")]
    return order
