"""Linear regression of emotional dimensions on vectors: the SVM's twin for values.

Support vector regression with the squared loss and no tolerance (LIBLINEAR's `-s 11 -p 0`): the
least 1/2 |w|^2 + C sum_n (w . x_n + b - y_n)^2 of standardised vectors, which is ridge regression
with the penalty 1 / (2 C). The intercept is not penalised. C is chosen for each dimension inside
the training part, by speaker.

A penalty narrows predictions, and concordance falls with it: for a given correlation r it is
greatest, and is r, where predictions have the annotations' mean and deviation. So values are
shifted and spread until those of the inner folds have, as margins are calibrated by a temperature;
and C is the one with the largest r.

Letters: N utterances, D values of a vector, E emotional dimensions, G values of C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from heads.dimensional_metrics import dimensional_scores, dimensional_tally
from heads.models._columns import standardised
from heads.models._cores import one_core_each
from heads.splits import INNER_FOLDS, INNER_SEED, inner_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

GRID = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""What C is chosen from, times 1 / D: a standardised vector's squared length is D."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """A fitted regression: all that it takes to predict.

    Attributes:
        mean: [E, D], subtracted from a vector; each dimension has utterances of its own.
        scale: [E, D], divides it then.
        coef: [E, D], of the standardised vector.
        intercept: [E].
        c: [E], the C that was chosen.
        inner_ccc: [E], concordance over the inner folds' pooled and spread predictions.
    """

    mean: Array
    scale: Array
    coef: Array
    intercept: Array
    c: Array
    inner_ccc: Array

    def predict(self, vectors: npt.NDArray[np.floating]) -> Array:
        """Values of the dimensions: [N, D] -> [N, E]."""
        weights = self.coef / self.scale
        offset = self.intercept - (weights * self.mean).sum(axis=1)
        values: Array = vectors.astype(np.float64) @ weights.T + offset
        return values


def fit_ridge(
    vectors: npt.NDArray[np.floating],
    targets: Array,
    speakers: Sequence[str | None],
    train: Indices,
    val: Indices,
    c: float = 0.0,
) -> Ridge:
    """Choose C on the training part, and fit on training and validation part.

    Args:
        vectors: One of each utterance.
        targets: Values; NaN where a dimension is not annotated.
        speakers: Of each utterance; where some are not known, inner folds share speakers, and a
            warning says so.
        train: Positions of the utterances that C is chosen on.
        val: Positions of the utterances that train the final model too; may be empty.
        c: C, for all dimensions; 0 chooses it.

    Shape:
        vectors: [N, D], targets: [N, E], speakers: [N].
    """
    everyone = np.union1d(train, val)
    candidates = (c,) if c else tuple(factor / vectors.shape[1] for factor in GRID)
    with one_core_each():
        parts = [
            _fit_dimension(vectors, column, speakers, train, everyone, candidates)
            for column in targets.T
        ]
    return Ridge(*(np.array(part) for part in zip(*parts, strict=True)))


def _fit_dimension(
    vectors: npt.NDArray[np.floating],
    column: Array,
    speakers: Sequence[str | None],
    train: Indices,
    everyone: Indices,
    candidates: Sequence[float],
) -> tuple[Array, Array, Array, float, float, float]:
    """One dimension's mean, scale, coefficients, intercept, C and inner concordance."""
    known = ~np.isnan(column)
    inside, both = train[known[train]], everyone[known[everyone]]
    values = column[inside]
    inner = _out_of_fold(vectors[inside], values, [speakers[i] for i in inside], candidates)
    correlations = _scores(inner, values, "pearson")
    best = int(np.argmax(correlations))
    seen, mean, scale = standardised(vectors[both])
    offset = column[both].mean()
    (coef,) = solve(seen, column[both] - offset, [candidates[best]])
    factor = float(values.std() / inner[best].std()) if correlations[best] > 0 else 1.0
    offset = values.mean() + factor * (offset - inner[best].mean())
    spread = values.mean() + factor * (inner[best] - inner[best].mean())
    ccc = float(_scores(spread[None], values, "ccc")[0])
    return mean, scale, factor * coef, offset, candidates[best], ccc


def solve(vectors: Array, values: Array, candidates: Sequence[float]) -> Array:
    """Weights for each C, of vectors and values that are centred.

    (X^T X + I / 2C) w = X^T y, or w = X^T a with (X X^T + I / 2C) a = y, whichever is smaller.

    Shape:
        vectors: [N, D], values: [N]. Output: [G, D].
    """
    wide = len(vectors) < vectors.shape[1]
    products = vectors @ vectors.T if wide else vectors.T @ vectors
    right = values if wide else vectors.T @ values
    found = []
    for c in candidates:
        penalised = products.copy()
        penalised.flat[:: len(products) + 1] += 1 / (2 * c)
        solution = cho_solve(cho_factor(penalised, overwrite_a=True), right)
        found.append(vectors.T @ solution if wide else solution)
    return np.array(found)


def _out_of_fold(
    vectors: npt.NDArray[np.floating],
    values: Array,
    speakers: Sequence[str | None],
    candidates: Sequence[float],
) -> Array:
    """For each C, values by models that did not hear the speaker: [G, N]."""
    found = np.zeros((len(candidates), len(values)))
    strata = ["+" if above else "-" for above in values > np.median(values)]
    for held in inner_parts(strata, speakers, INNER_FOLDS, INNER_SEED):
        rest = np.setdiff1d(np.arange(len(values)), held)
        seen, mean, scale = standardised(vectors[rest])
        offset = values[rest].mean()
        coef = solve(seen, values[rest] - offset, candidates)
        found[:, held] = coef @ ((vectors[held] - mean) / scale).T + offset
    return found


def _scores(predicted: Array, values: Array, metric: str) -> Array:
    """A metric of each row of predictions [G, N] beside the values [N]; 0 where it is undefined."""
    tallies = [dimensional_tally(own[:, None], values[:, None]).sum(axis=0) for own in predicted]
    return np.nan_to_num(dimensional_scores(np.array(tallies), ["it"])[metric])
