"""How near a predicted distribution is to the annotators', per utterance and on the mean.

An utterance without votes (a row of zeros) has no truth: its values are NaN, but for KL's, which is
a sum over votes and so 0.

Letters: N utterances, C classes; `...` any leading axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

Array = npt.NDArray[np.float64]

SOFT_METRICS = ("js", "cosine", "brier")
SOFT_LIMITS = {"brier": (0.0, 2.0)}
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class TauSpread:
    """How Kendall's tau-b is spread over utterances; None where no utterance defines it.

    Attributes:
        defined: Utterances with a tau.
        undefined: Utterances without one: the votes or the prediction are constant.
        mean: Over the defined ones, as `kendall_tau` of `heads.metrics`.
        lower_quartile: A quarter of the utterances lies below (linear interpolation).
        median: Half of them.
        upper_quartile: Three quarters.
    """

    defined: int
    undefined: int
    mean: float | None
    lower_quartile: float | None
    median: float | None
    upper_quartile: float | None


def tau_spread(taus: Array) -> TauSpread:
    """Mean and quartiles of `kendall_tau`; the utterances of all seeds count alike.

    Shape:
        taus: [...], NaN where tau is undefined.

    >>> spread = tau_spread(np.array([0.0, 0.5, 1.0, np.nan]))
    >>> spread.lower_quartile, spread.median, spread.undefined
    (0.25, 0.5, 1)
    """
    known = taus[~np.isnan(taus)]
    values: list[float | None] = [None] * 4
    if known.size:
        values = [float(known.mean()), *np.quantile(known, [0.25, 0.5, 0.75]).tolist()]
    return TauSpread(
        defined=known.size,
        undefined=taus.size - known.size,
        mean=values[0],
        lower_quartile=values[1],
        median=values[2],
        upper_quartile=values[3],
    )


def kendall_tau(predicted: Array, targets: Array) -> Array:
    """Kendall's tau-b between two distributions, per utterance; NaN where one is constant.

    tau-b = (concordant - discordant) / sqrt((pairs - ties in x) (pairs - ties in y))

    Shape:
        predicted, targets: [N, C]. Output: [N].
    """
    first, second = np.triu_indices(targets.shape[1], k=1)
    x = np.sign(predicted[:, first] - predicted[:, second])
    y = np.sign(targets[:, first] - targets[:, second])
    with np.errstate(divide="ignore", invalid="ignore"):
        tau: Array = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return tau


def kl_divergence(targets: Array, predicted: Array) -> Array:
    """KL(target || predicted) per utterance, in nats: [N, C] and [N, C] give [N]."""
    ratio = np.where(targets > 0, targets, 1.0) / np.maximum(predicted, _TINY)
    divergence: Array = (targets * np.log(ratio)).sum(axis=1)
    return divergence


def jensen_shannon(predicted: Array, targets: Array) -> Array:
    """Jensen-Shannon divergence per utterance, in bits: from 0 (equal) to 1 (nothing shared).

    (KL(t || m) + KL(p || m)) / 2 with m = (t + p) / 2 and logarithms to base 2 (J. Lin 1991, IEEE
    Trans. Inf. Theory 37, 145-151). `scipy.spatial.distance.jensenshannon` is its square root.

    Shape:
        predicted, targets: [N, C]. Output: [N]; NaN without votes.

    >>> jensen_shannon(np.array([[1.0, 0.0], [1.0, 0.0]]), np.eye(2)).tolist()
    [0.0, 1.0]
    """
    both = predicted + targets  # 2 m: halving the least of numbers would make it 0
    nats = (rel_entr(2 * predicted, both) + rel_entr(2 * targets, both)).sum(axis=1) / 4
    return np.where(_voted(targets), np.clip(nats / np.log(2), 0.0, 1.0), np.nan)


def cosine_similarity(predicted: Array, targets: Array) -> Array:
    """p·t / (|p| |t|) per utterance: from 0 (nothing shared) to 1 (equal).

    Shape:
        predicted, targets: [N, C]. Output: [N]; NaN without votes.

    >>> cosine_similarity(np.array([[1.0, 0.0]]), np.array([[0.6, 0.8]])).tolist()
    [0.6]
    """
    lengths = np.linalg.norm(predicted, axis=1) * np.linalg.norm(targets, axis=1)
    with np.errstate(invalid="ignore"):
        cosine: Array = np.clip((predicted * targets).sum(axis=1) / lengths, 0.0, 1.0)
    return cosine


def brier_score(predicted: Array, targets: Array) -> Array:
    """sum_c (p_c - t_c)^2 per utterance: from 0 to 2, as Brier (1950) defined it.

    On soft targets it is 0 where the prediction is the distribution of the votes. The mean of the
    hard score over single votes is larger by 1 - sum_c t_c^2, which no prediction changes.

    Shape:
        predicted, targets: [N, C]. Output: [N]; NaN without votes.

    >>> brier_score(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])).tolist()
    [2.0, 0.0]
    """
    return np.where(_voted(targets), ((predicted - targets) ** 2).sum(axis=1), np.nan)


def soft_tally(probabilities: Array, targets: Array) -> Array:
    """Count what each utterance adds to the means of `SOFT_METRICS`, as `heads.metrics.tally` does.

    Args:
        probabilities: Predicted distributions.
        targets: Annotated distributions; one-hot rows for hard labels.

    Shape:
        probabilities, targets: [N, C]. Output: [N, 4], each metric's value and 1; zeros without
        votes.
    """
    voted = _voted(targets)
    columns = [
        np.where(voted, measure(probabilities, targets), 0.0)
        for measure in (jensen_shannon, cosine_similarity, brier_score)
    ]
    return np.stack([*columns, voted], axis=1)


def soft_scores(tallies: Array) -> dict[str, Array]:
    """Means of `SOFT_METRICS` from summed tallies; NaN where no utterance has votes.

    Shape:
        tallies: [..., 4], sums of rows from `soft_tally`. Output: [...] each.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        means = tallies[..., :-1] / tallies[..., -1:]
    return {name: means[..., i] for i, name in enumerate(SOFT_METRICS)}


def _voted(targets: Array) -> npt.NDArray[np.bool_]:
    voted: npt.NDArray[np.bool_] = targets.sum(axis=1) > 0
    return voted
