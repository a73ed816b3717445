"""Linear classifiers in closed form: many labellings of the same vectors at the price of one.

Ridge regression on one-hot targets, as scikit-learn's `RidgeClassifier` fits it, then the linear
discriminant that follows from it for equal priors: T. Hastie, A. Buja, R. Tibshirani (1995),
Penalized Discriminant Analysis, Annals of Statistics 23(1). A plain largest output would favour
large classes and let a class between two others vanish; the score here, unweighted accuracy, counts
all classes alike.

All labellings and all penalties share one eigendecomposition of the training part: of the D x D
products of columns or of the n x n products of rows, whichever is smaller. The penalty of each
labelling is the one that recognises most where parts of the training part are left out in turn.

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

PENALTIES = np.logspace(-5, 5, 11)
"""What is chosen from, times the mean power of a direction. At the upper end no direction is strong
enough to matter, and the nearest class mean decides: there is nothing beyond it."""
_FLAT = 1e-6  # of a column's largest value: a deviation that is nothing but rounding
_NOTHING = 1e-9  # of the largest power: a direction in which vectors do not vary
_EQUAL = 1e-9  # units of deviation: class means that differ by no more are the same
_TIE = 1e-9  # summed recalls that differ by no more are the same


@dataclass(frozen=True, slots=True)
class Directions:
    """Training vectors, standardised, the directions in which they vary, and test vectors there.

    Attributes:
        seen: [n, D], training vectors with mean 0 and deviation 1.
        axes: [D, r], orthonormal columns, the directions.
        powers: [r], sums of squares of training vectors in each direction.
        tested: [m, r], test vectors by the training part's mean and deviation.
    """

    seen: Array
    axes: Array
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
    axes = seen.T @ (vectors / np.sqrt(powers)) if wide else vectors
    return Directions(seen, axes, powers, unseen @ axes)


def choose_penalties(
    parts: Sequence[tuple[Directions, Codes, Codes]], penalties: Array, classes: Sequence[int]
) -> Array:
    """The penalty of each labelling that recognises most of what was left out.

    By unweighted accuracy of the discriminant, parts together; of penalties that tie, the middle
    one: so it is the middle of all where nothing is left out.

    Penalties are absolute, not shares of a part's power: the best one is about the variance of what
    is not explained over that of a weight, and that does not grow with the utterances.

    Args:
        parts: Directions of the utterances that train and of those that are left out, and the
            classes of the two.
        penalties: What is chosen from.
        classes: How many each labelling has.

    Shape:
        parts: [labellings, n] and [labellings, m], penalties: [P]. Output: [labellings].
    """
    best = np.empty(len(classes))
    for place, count in enumerate(classes):
        right, clips = np.zeros((len(penalties), count)), np.zeros(count)
        for directions, seen, unseen in parts:
            guesses = _guess(directions, seen[place], penalties)
            hits = (guesses == unseen[place]).astype(np.float64)
            one_hot = np.eye(count)[unseen[place]]
            right += hits @ one_hot
            clips += one_hot.sum(axis=0)
        recalls = right[:, clips > 0] / clips[clips > 0]
        score = recalls.sum(axis=1)
        ties = np.flatnonzero(score >= score.max() - _TIE)
        best[place] = penalties[ties[len(ties) // 2]]
    return best


def classify(
    directions: Directions, labellings: Sequence[Codes], penalties: Sequence[float] | Array
) -> list[Codes]:
    """What each labelling of the training part makes of the test part.

    A labelling whose classes have one mean says nothing, and all tests are of its first class.

    Args:
        directions: Of training and test part.
        labellings: Classes from 0 of each training utterance, [n] each.
        penalties: Of each labelling.

    Returns:
        The class of each test utterance, [m] each, for each labelling.
    """
    return [
        _guess(directions, codes, np.array([penalty]))[0]
        for codes, penalty in zip(labellings, penalties, strict=True)
    ]


def _guess(directions: Directions, codes: Codes, penalties: Array) -> Codes:
    """The class of each test utterance: [n] to [P, m]."""
    present, own = np.unique(codes, return_inverse=True)  # a training part may lack a class
    scores = discriminant(directions, np.eye(len(present))[own], penalties)
    guesses: Codes = present[scores.argmax(axis=-1)]
    return guesses


def discriminant(directions: Directions, one_hot: Array, penalties: Array) -> Array:
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
        penalties: Of ridge regression: of |w|^2 beside the summed squared errors, above 0.

    Shape:
        one_hot: [n, C], penalties: [P]. Output: [P, m, C].
    """
    counts = one_hot.sum(axis=0)
    means = (one_hot / counts).T @ directions.seen @ directions.axes  # [C, r]
    if np.abs(means).max(initial=0) < _EQUAL:
        return np.zeros((len(penalties), len(directions.tested), len(counts)))
    strengths = directions.powers + penalties[:, None]  # [P, r]
    inverse = len(one_hot) / strengths  # of T
    between = (means * inverse[:, None]) @ means.T  # [P, C, C]
    shares = counts[:, None] / len(one_hot)
    within = np.linalg.inv(np.eye(len(counts)) - shares * between)
    left = (directions.powers / strengths).sum(axis=1)
    lengths = np.einsum("pij,pji->pi", between, within)
    constants = (lengths - left[:, None] / counts) / 2  # [P, C]
    weights = inverse[..., None] * (means.T @ within)  # [P, r, C]
    beside = weights.swapaxes(0, 1).reshape(len(inverse.T), -1)  # [r, P C]: one product is faster
    scores: Array = (directions.tested @ beside).reshape(-1, *constants.shape) - constants
    return scores.swapaxes(0, 1)
