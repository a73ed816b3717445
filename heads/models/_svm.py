"""A linear SVM on vectors: C by inner cross-validation over speakers, calibrated, as plain arrays.

One SVM per class against the rest. Margins become probabilities by softmax at one temperature
(C. Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv 1706.04599), which is fitted to
margins of utterances that the model did not see.

Letters: N utterances, D values of a vector, C classes, G values of the regularisation.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from tqdm import tqdm

from embedcache.errors import SerError
from heads.labels import majority
from heads.metrics import confusion_scores
from heads.models._columns import standardised
from heads.models._cores import one_core_each
from heads.models._one_vs_rest import fit_margins
from heads.models._squared_hinge import multiplier
from heads.splits import INNER_FOLDS, INNER_SEED, inner_parts
from heads.temperature import fit_temperature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

GRID = (0.03, 0.1, 0.3, 1.0, 3.0)
"""What the SVM's C is chosen from, times 1 / D: a standardised vector's squared length is D, and
with it grows what a C does."""
_MEMORY = 2e9  # bytes that inner folds may take which are fitted side by side
_COLDEST, _HOTTEST = 1e-2, 1e3  # margins are far from the scale of logits


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
        inner_ua: [G], their unweighted accuracy over the inner folds' pooled predictions, or that
            of the group with the lowest.
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
    weights: Array | None = None,
    groups: Indices | None = None,
) -> Fitted:
    """Choose C on the training part, and fit on training and validation part.

    The training part is divided into five folds by speaker. For each C the predictions of all folds
    are pooled, and their unweighted accuracy decides; of equals the smallest C. A class that a
    fold's training part lacks is never predicted there, and counts as missed. Nothing is drawn by
    chance but the inner folds and where the solver begins to look, whose seeds are fixed.

    Args:
        vectors: One of each utterance.
        targets: Distributions over the classes; one-hot rows for hard labels.
        speakers: Of each utterance. With one of the training part, or where some are not known, the
            inner folds share speakers, and a warning says so.
        train: Positions of the utterances that C and temperature are chosen on.
        val: Positions of the utterances that train the final model too; may be empty.
        labels: Names of the classes.
        c: The SVM's C; 0 chooses it. A given one is calibrated the same way.
        weights: What each utterance counts for in fitting; 0 fits nothing, but C and temperature
            look at its prediction like at any other. None for 1.
        groups: Number of each one's group, -1 for none: C is chosen by the group with the lowest
            unweighted accuracy; None for that of all.

    Shape:
        vectors: [N, D]. targets: [N, C]. speakers, weights, groups: [N].

    Raises:
        SerError: A class has no example, or what counts is of one inner fold.
    """
    everyone = np.union1d(train, val)
    if weights is not None:
        everyone = everyone[weights[everyone] > 0]
    _require_examples(targets[everyone], labels)
    candidates = (c,) if c else tuple(factor / vectors.shape[1] for factor in GRID)
    with one_core_each():
        margins = _out_of_fold(
            vectors[train], targets[train], [speakers[i] for i in train], candidates,
            _at(weights, train),
        )  # fmt: skip
    uas = tuple(_lowest_accuracy(own, targets[train], _at(groups, train)) for own in margins)
    best = int(np.argmax(uas))
    temperature = fit_temperature(margins[best], targets[train], _COLDEST, _HOTTEST)
    seen, mean, scale = standardised(vectors[everyone])
    with one_core_each():
        multiply = multiplier(seen)
        coef, intercept = fit_margins(
            seen, multiply, targets[everyone], [candidates[best]], weights=_at(weights, everyone)
        )
    model = LinearModel(mean, scale, coef[0], intercept[0], temperature)
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


def _lowest_accuracy(margins: Array, targets: Array, groups: Indices | None) -> float:
    """UA of all, or of the group that has the lowest.

    Shape:
        margins, targets: [N, C], groups: [N].
    """
    if groups is None:
        return unweighted_accuracy(margins, targets)
    parts = [groups == group for group in np.unique(groups[groups >= 0])]
    return min(unweighted_accuracy(margins[part], targets[part]) for part in parts)


def _at(values: npt.NDArray[Any] | None, rows: Indices) -> npt.NDArray[Any] | None:
    return None if values is None else values[rows]


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
    weights: Array | None,
) -> Array:
    """For each C the margins of each utterance by a model that did not hear its speaker.

    Shape:
        Output: [G, N, C].
    """
    found = np.zeros((len(candidates), *targets.shape))
    strata = [str(label) for label in targets.argmax(axis=1)]
    parts = inner_parts(strata, speakers, INNER_FOLDS, INNER_SEED)
    fitting = np.arange(len(targets)) if weights is None else np.flatnonzero(weights)

    def predict(held: Indices) -> None:
        rest = np.setdiff1d(fitting, held)
        if not rest.size:
            raise SerError(
                "svm: all utterances that count in training are of one part of its speakers, and "
                "none is left to choose C on the others; drop fewer, or give --ambiguous weight"
            )
        seen, mean, scale = standardised(vectors[rest])
        multiply = multiplier(seen)
        coef, intercept = fit_margins(
            seen, multiply, targets[rest], candidates, weights=_at(weights, rest)
        )
        unseen = (vectors[held] - mean) / scale
        found[:, held] = unseen @ coef.transpose(0, 2, 1) + intercept[:, None]

    count, dim = vectors.shape
    room = _MEMORY / (8 * count * (dim + 2 * min(count, dim)))
    workers = max(1, min(torch.get_num_threads(), len(parts), int(room)))
    with ThreadPoolExecutor(workers) as pool:
        for _ in tqdm(pool.map(predict, parts), "choosing C", len(parts), unit="fold", delay=2,
                      disable=None, leave=False):  # fmt: skip
            pass
    return found
