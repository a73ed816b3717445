"""A linear SVM on vectors: C by inner cross-validation over speakers, calibrated, as plain arrays.

One SVM per class against the rest, squared hinge (R.-E. Fan et al. 2008, LIBLINEAR: A Library for
Large Linear Classification, JMLR 9: 1871-1874). Margins become probabilities by softmax at one
temperature (C. Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv 1706.04599), which
is fitted to margins of utterances that the model did not see.

An utterance with votes for several classes stands once in each, weighted by its share of the votes;
with hard labels that is the plain SVM.

Letters: N utterances, D values of a vector, C classes, G values of the regularisation.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from embedcache.errors import SerError
from heads.labels import majority
from heads.metrics import confusion_scores
from heads.splits import inner_parts
from heads.temperature import fit_temperature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

GRID = (0.03, 0.1, 0.3, 1.0, 3.0)
"""What the SVM's C is chosen from, times 1 / D: a standardised vector's squared length is D, and
with it grows what a C does."""
INNER_FOLDS = 5
SEED = 0
MOST_STEPS = 1000
_TOLERANCE = 1e-3
_WIDE = 2  # dimensions per example from which turning the axes costs less than it saves
_FLAT = 1e-9  # of a column's largest value: a deviation that is nothing but rounding
_COLDEST, _HOTTEST = 1e-2, 1e3  # margins are far from the scale of logits
_ABSENT = -1.0  # the margin that an SVM without a positive example has everywhere

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A fitted SVM: all that it takes to predict.

    Attributes:
        mean: [D], subtracted from a vector.
        scale: [D], divides it then.
        coef: [C, D], of the standardised vector.
        intercept: [C].
        temperature: Divides the margins before the softmax.
    """

    mean: Array
    scale: Array
    coef: Array
    intercept: Array
    temperature: float

    def margins(self, vectors: npt.ArrayLike) -> Array:
        """How far each vector lies on each class's side: [N, D] -> [N, C]."""
        standardised = (np.asarray(vectors, np.float64) - self.mean) / self.scale
        margins: Array = standardised @ self.coef.T + self.intercept
        return margins

    def probabilities(self, vectors: npt.ArrayLike) -> Array:
        """Probabilities of the classes: [N, D] -> [N, C]."""
        found: Array = softmax(self.margins(vectors) / self.temperature, axis=1)
        return found

    def to_arrays(self) -> dict[str, Array]:
        """The model as arrays, in float64, for a file of weights."""
        return {
            "mean": self.mean,
            "scale": self.scale,
            "coef": self.coef,
            "intercept": self.intercept,
            "temperature": np.array([self.temperature]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> LinearModel:
        """The inverse of `to_arrays`."""
        parts = {name: np.asarray(arrays[name]) for name in ("mean", "scale", "coef", "intercept")}
        return cls(**parts, temperature=float(arrays["temperature"][0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fitted SVM and how its C was chosen.

    Attributes:
        model: Fitted on training and validation part.
        c: The SVM's C.
        candidates: [G], what C was chosen from.
        inner_ua: [G], their unweighted accuracy over the inner folds' pooled predictions.
    """

    model: LinearModel
    c: float
    candidates: tuple[float, ...]
    inner_ua: tuple[float, ...]


def fit_svm(
    vectors: npt.NDArray[np.floating],
    targets: Array,
    speakers: Sequence[str | None],
    train: Indices,
    val: Indices,
    labels: Sequence[str],
    c: float = 0.0,
) -> Fitted:
    """Choose C on the training part, and fit on training and validation part.

    The training part is divided into five folds by speaker. For each C the predictions of all folds
    are pooled, and their unweighted accuracy decides; of equals the smallest C. A class that a
    fold's training part lacks is never predicted there, and counts as missed. Nothing is drawn by
    chance but the inner folds, whose seed is fixed.

    Args:
        vectors: One of each utterance.
        targets: Distributions over the classes; one-hot rows for hard labels.
        speakers: Of each utterance. With one of the training part, or where some are not known, the
            inner folds share speakers, and a warning says so.
        train: Positions of the utterances that C and temperature are chosen on.
        val: Positions of the utterances that train the final model too; may be empty.
        labels: Names of the classes.
        c: The SVM's C; 0 chooses it. A given one is calibrated the same way.

    Shape:
        vectors: [N, D]. targets: [N, C]. speakers: [N].

    Raises:
        SerError: A class has no example, or a vector holds what is no number.
    """
    everyone = np.union1d(train, val)
    _require_examples(targets[everyone], labels)
    broken = everyone[~np.isfinite(vectors[everyone]).all(axis=1)]
    if broken.size:
        raise SerError(
            f"the vector of utterance {broken[0]} holds NaN or infinity; run `ser cache verify`"
        )
    candidates = (c,) if c else tuple(factor / vectors.shape[1] for factor in GRID)
    margins = _out_of_fold(vectors[train], targets[train], [speakers[i] for i in train], candidates)
    uas = tuple(unweighted_accuracy(own, targets[train]) for own in margins)
    best = int(np.argmax(uas))
    temperature = fit_temperature(margins[best], targets[train], _COLDEST, _HOTTEST)
    mean, scale = _moments(vectors[everyone])
    rotated, back = _rotate((vectors[everyone] - mean) / scale)
    coef, intercept = _fit_margins(rotated, targets[everyone], candidates[best])
    coef = coef if back is None else coef @ back
    model = LinearModel(mean, scale, coef, intercept, temperature)
    return Fitted(model=model, c=candidates[best], candidates=candidates, inner_ua=uas)


def unweighted_accuracy(margins: Array, targets: Array) -> float:
    """UA of the largest margins, over utterances whose target has one largest class; 0 without any.

    Shape:
        margins, targets: [N, C].
    """
    truth = majority(targets)
    clear = truth >= 0
    confusion = np.zeros((targets.shape[1], targets.shape[1]))
    np.add.at(confusion, (truth[clear], margins.argmax(axis=1)[clear]), 1)
    return float(confusion_scores(confusion)["ua"]) if clear.any() else 0.0


def _require_examples(targets: Array, labels: Sequence[str]) -> None:
    lacking = [name for name, n in zip(labels, targets.sum(axis=0), strict=True) if n == 0]
    if lacking:
        raise SerError(
            f"svm: no utterance of {', '.join(lacking)} trains; give fewer --folds, --drop the "
            "class, or another --seed"
        )


def _out_of_fold(
    vectors: npt.NDArray[np.floating],
    targets: Array,
    speakers: Sequence[str | None],
    candidates: Sequence[float],
) -> list[Array]:
    """For each C the margins [N, C] of each utterance by a model that did not hear its speaker."""
    found = [np.zeros_like(targets) for _ in candidates]
    strata = [str(label) for label in targets.argmax(axis=1)]
    for held in inner_parts(strata, speakers, INNER_FOLDS, SEED):
        rest = np.setdiff1d(np.arange(len(targets)), held)
        mean, scale = _moments(vectors[rest])
        rotated, back = _rotate((vectors[rest] - mean) / scale)
        unseen = (vectors[held] - mean) / scale
        unseen = unseen if back is None else unseen @ back.T
        for c, margins in zip(candidates, found, strict=True):
            coef, intercept = _fit_margins(rotated, targets[rest], c)
            margins[held] = unseen @ coef.T + intercept
    return found


def _moments(vectors: npt.NDArray[np.floating]) -> tuple[Array, Array]:
    """Mean and deviation of each column; a column that does not vary gets deviation 1."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    scale = vectors.std(axis=0, dtype=np.float64)
    scale[scale <= _FLAT * np.abs(vectors).max(axis=0)] = 1.0
    return mean, scale


def _rotate(vectors: Array) -> tuple[Array, Array | None]:
    """The same vectors in the space that they span, where that has far fewer dimensions than D.

    A linear SVM's weights are a sum of its examples, and inner products do not change with the
    axes: it is the same SVM, in less time.

    Shape:
        [N, D] -> [N, R] and the axes [R, D] that lead back; none where the axes stay.
    """
    count, dim = vectors.shape
    if dim < _WIDE * count:
        return vectors, None
    powers, axes = np.linalg.eigh(vectors @ vectors.T)
    spanned = powers > powers[-1] * count * np.finfo(np.float64).eps
    back = (axes[:, spanned] / np.sqrt(powers[spanned])).T @ vectors
    return axes[:, spanned] * np.sqrt(powers[spanned]), back


def _fit_margins(
    vectors: Array, targets: Array, c: float, most_steps: int = MOST_STEPS
) -> tuple[Array, Array]:
    """Coefficients [C, D] and intercepts [C] of the SVMs of all classes, balanced.

    With fewer examples than dimensions the dual problem is solved, else the primal: each is the
    faster one there.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    classes = targets.shape[1]
    rows, of_class = np.nonzero(targets)
    counts = targets.sum(axis=0)
    there = np.flatnonzero(counts)
    coef, intercept = np.zeros((classes, vectors.shape[1])), np.full(classes, _ABSENT)
    if len(there) == 1:
        intercept[there] = -_ABSENT
        return coef, intercept
    svm = LinearSVC(
        C=c,
        class_weight={int(k): len(targets) / (len(there) * counts[k]) for k in there},
        dual=len(vectors) <= vectors.shape[1] + 1,  # a turned square spans one dimension less
        tol=_TOLERANCE,
        max_iter=most_steps,
        random_state=SEED,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        svm.fit(vectors[rows], of_class, sample_weight=targets[rows, of_class])
    if svm.n_iter_ >= most_steps:
        _log.warning("svm: C = %g had not converged after %d steps", c, most_steps)
    two = len(there) == 2  # one SVM tells both classes apart
    coef[there] = np.concatenate([-svm.coef_, svm.coef_]) if two else svm.coef_
    own = np.concatenate([-svm.intercept_, svm.intercept_]) if two else svm.intercept_
    intercept[there] = own
    return coef, intercept
