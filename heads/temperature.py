"""Temperature scaling: one number per model that mends its confidence, and no prediction.

Guo et al. 2017, arXiv 1706.04599. Probabilities are softmax(logits / T), with T from validation.

Letters: K models, N utterances, C classes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import softmax

from embedcache.errors import SerError

Array = npt.NDArray[np.float64]

COLDEST, HOTTEST = 0.05, 20.0
_LEAST = 1e-12  # of a probability whose logarithm is taken


def log_probabilities(probabilities: Array) -> Array:
    """Logits that stand for predicted probabilities, none of them infinite."""
    found: Array = np.log(np.maximum(probabilities, _LEAST))
    return found


def fit_temperatures(logits: Array, targets: Array, val: npt.NDArray[np.bool_]) -> Array:
    """The temperature of each model on its own validation utterances.

    Args:
        logits: Predictions.
        targets: Distributions, of the same utterances.
        val: On which of them each model is validated.

    Shape:
        logits: [K, N, C], targets: [N, C], val: [K, N]. Output: [K].

    Raises:
        SerError: A logit is not finite.
    """
    return np.array(
        [fit_temperature(own[rows], targets[rows]) for own, rows in zip(logits, val, strict=True)]
    )


def fit_temperature(
    logits: Array, targets: Array, coldest: float = COLDEST, hottest: float = HOTTEST
) -> float:
    """T that minimises the mean of -sum_c t_c log softmax(logits / T)_c.

    That is convex in b = 1 / T. Its slope, mean(sum_c (p_c - t_c) z_c), grows with b, so its zero
    is bracketed or beyond a bound. The lower bound is met where larger logits were always better,
    as where every prediction is right; the upper one where none would be best.

    Args:
        logits: Predictions.
        targets: Distributions; utterances without votes (zeros) do not count.
        coldest: The lower bound of T.
        hottest: The upper bound of T.

    Shape:
        logits, targets: [N, C].

    Returns:
        T; 1 where all temperatures are as good: no utterance counts, or each has equal logits.

    Raises:
        SerError: A logit is not finite.
    """
    counted = targets.sum(axis=1) > 0
    z, t = logits[counted].astype(np.float64), targets[counted]
    if not np.isfinite(z).all():
        raise SerError(
            f"{(~np.isfinite(z)).sum()} logits are not finite, and no temperature can be fitted; "
            "train the head again with a lower learning rate"
        )
    z = z - z.max(axis=1, keepdims=True)  # equal logits are zeros from here on
    if not z.any():
        return 1.0

    def slope(inverse: float) -> float:
        return float(((softmax(inverse * z, axis=1) - t) * z).sum() / len(z))

    low, high = 1 / hottest, 1 / coldest
    if slope(high) <= 0:  # first: where logits are huge and right, the slope is 0 everywhere
        return coldest
    if slope(low) >= 0:
        return hottest
    return float(1 / brentq(slope, low, high, xtol=1e-12))
