"""Linear classifiers in closed form: many labellings of the same vectors at the price of one.

Ridge regression on one-hot targets, as scikit-learn's `RidgeClassifierCV` fits it, then the linear
discriminant that follows from it for equal priors: T. Hastie, A. Buja, R. Tibshirani (1995),
Penalized Discriminant Analysis, Annals of Statistics 23(1). A plain largest output would favour
large classes and let a class between two others vanish; the score here, unweighted accuracy, counts
all classes alike.

All labellings and all penalties share one eigendecomposition of the training part: of the D x D
products of columns or of the n x n products of rows, whichever is smaller. The penalty of each
labelling is the one with the least squared leave-one-out error, which follows from the same
decomposition (D. Allen 1974, Technometrics 16(1)).

Letters: n training and m test utterances, D values, r directions in which training vectors vary,
C classes, P penalties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

PENALTIES = np.logspace(-5, 2, 8)
"""What is chosen from, times the mean power of a direction."""
_FLAT = 1e-6  # of a column's largest value: a deviation that is nothing but rounding
_NOTHING = 1e-9  # of the largest power: a direction in which vectors do not vary
_EQUAL = 1e-9  # units of deviation: class means that differ by no more are the same


@dataclass(frozen=True, slots=True)
class Directions:
    """Training vectors, standardised, in the directions in which they vary, and test vectors there.

    Attributes:
        rows: [n, r], orthonormal columns: training vectors are `rows * sqrt(powers)`.
        powers: [r], sums of squares in each direction.
        tested: [m, r], test vectors by the training part's mean and deviation.
    """

    rows: Array
    powers: Array
    tested: Array


def decompose(train: npt.NDArray[np.floating], test: npt.NDArray[np.floating]) -> Directions:
    """Standardise by the training part, and find its directions.

    Shape:
        train: [n, D], test: [m, D].
    """
    seen = train.astype(np.float64)
    largest = np.abs(seen).max(axis=0)
    mean = seen.mean(axis=0)
    seen -= mean
    scale = np.sqrt(np.einsum("ij,ij->j", seen, seen) / len(seen))
    scale[scale <= _FLAT * largest] = np.inf  # a column that does not vary says nothing
    seen /= scale
    unseen = (test - mean) / scale
    wide = len(seen) < seen.shape[1]
    powers, vectors = np.linalg.eigh(seen @ seen.T if wide else seen.T @ seen)
    kept = powers > _NOTHING * max(powers[-1], 0.0)
    powers, vectors = powers[kept], vectors[:, kept]
    lengths = np.sqrt(powers)
    if wide:
        return Directions(vectors, powers, unseen @ (seen.T @ (vectors / lengths)))
    return Directions(seen @ (vectors / lengths), powers, unseen @ vectors)


def leave_one_out(directions: Directions, targets: Array, penalties: Array) -> Array:
    """Mean squared error of ridge regression for each utterance by a fit to all others.

    r_i / (1 - h_i) with the residual r and the leverage h of the fit to all, intercept included.

    Args:
        directions: Of the training part.
        targets: Columns to be predicted, not centred.
        penalties: Of |w|^2 beside the summed squared errors.

    Shape:
        targets: [n, C], penalties: [P]. Output: [P, C].
    """
    count = len(targets)
    centred = targets - targets.mean(axis=0)
    along = directions.rows.T @ centred  # [r, C]
    shares = directions.powers / (directions.powers + penalties[:, None])  # [P, r]
    left = 1 - 1 / count - np.square(directions.rows) @ shares.T  # [n, P], 1 - h
    errors = np.empty((len(penalties), targets.shape[1]))
    for own, share, rest in zip(errors, shares, left.T, strict=True):
        residuals = centred - directions.rows @ (share[:, None] * along)
        residuals /= rest[:, None]
        own[:] = np.einsum("ij,ij->j", residuals, residuals) / count
    return errors


def classify(directions: Directions, labellings: Sequence[Codes]) -> list[Codes]:
    """What each labelling of the training part makes of the test part.

    A labelling whose classes have one mean says nothing, and all tests are of its first class.

    Args:
        directions: Of training and test part.
        labellings: Classes from 0 of each training utterance, [n] each.

    Returns:
        The class of each test utterance, [m] each, for each labelling.
    """
    one_hot = [np.eye(int(codes.max()) + 1)[codes] for codes in labellings]
    if not directions.powers.size:
        return [np.zeros(len(directions.tested), np.int64) for _ in labellings]
    penalties = PENALTIES * directions.powers.mean()
    errors = leave_one_out(directions, np.concatenate(one_hot, axis=1), penalties)
    ends = np.cumsum([hot.shape[1] for hot in one_hot])
    best = [penalties[own.sum(axis=1).argmin()] for own in np.split(errors, ends[:-1], axis=1)]
    found = []
    for codes, hot, penalty in zip(labellings, one_hot, best, strict=True):
        present = np.unique(codes)  # a training part may lack a class
        scores = discriminant(directions, hot[:, present], penalty)
        found.append(present[scores.argmax(axis=1)])
    return found


def discriminant(directions: Directions, one_hot: Array, penalty: float) -> Array:
    """Scores of the classes with equal priors, the largest decides.

    x W^-1 m_c - m_c W^-1 m_c / 2 with the class means m and the covariance W within classes, to
    which the penalty adds penalty / n in every direction. With T = W + M' P M, the covariance of
    all (P: the classes' shares), W^-1 M' = T^-1 M' (1 - P M T^-1 M')^-1, and T is diagonal here.

    Chance makes the mean of a small class long, and the class rare among predictions: f / n_c is
    taken from m_c W^-1 m_c, with n_c the class's utterances and f the directions that the penalty
    leaves (M. Moran, B. Murphy 1979, A Closer Look at Two Alternative Methods of Statistical
    Discrimination, Applied Statistics 28(3)).

    Args:
        directions: Of training and test part.
        one_hot: Classes of training utterances; each has one at least.
        penalty: Of ridge regression, 0 or more.

    Shape:
        one_hot: [n, C]. Output: [m, C].
    """
    counts = one_hot.sum(axis=0)
    means = (one_hot / counts).T @ directions.rows * np.sqrt(directions.powers)  # [C, r]
    if np.abs(means).max() < _EQUAL:
        return np.zeros((len(directions.tested), len(counts)))
    inverse = len(one_hot) / (directions.powers + penalty)  # of T: [r]
    between = (means * inverse) @ means.T  # [C, C]
    shares = counts[:, None] / len(one_hot)
    within = np.linalg.inv(np.eye(len(counts)) - shares * between)
    left = (directions.powers / (directions.powers + penalty)).sum()
    constants = (np.einsum("ij,ji->i", between, within) - left / counts) / 2
    scores: Array = directions.tested @ (inverse[:, None] * (means.T @ within)) - constants
    return scores
