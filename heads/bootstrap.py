"""The bootstrap over speakers, of any scores of tallies that add up.

Whole speakers are drawn with replacement: how often each was drawn, times the speakers' tallies,
are the tallies of a replicate, so that all replicates are one matrix product. The standard error of
a replicate is that of its own delete-one-speaker jackknife.

Percentile intervals come out too short over few speakers, studentised ones do not: both are
measured in docs/statistics.md.

Letters: G speakers, K values of a tally, R replicates; `...` any leading axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Score = Callable[[Array], Mapping[str, Array]]

REPLICATES = 2_000
_ENDS = np.array([0.025, 0.975])
_CHUNK_BYTES = 20_000_000  # of tallies at once, to which scores add some times as much
_ROUNDING = 1e-9  # a standard error that is smaller than this share of the observed one is 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """95 % intervals of one score; None where they are undefined.

    Attributes:
        percentile: The middle 95 % of the replicates.
        studentised: Of the bootstrap-t. It is not cut at what the score can be.
    """

    percentile: tuple[float, float] | None
    studentised: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class _Replicates:
    """A score of the speakers as they are, and then of each replicate, with squared errors.

    Shape:
        values, variances: [1 + R].
    """

    values: Array
    variances: Array


def bootstrap_intervals(
    by_speaker: Array, score: Score, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Bootstrap]:
    """95 % intervals over speakers (Efron & Tibshirani 1993, An Introduction to the Bootstrap).

    percentile (section 13.3): the quantiles of theta*. Studentised (12.5): theta - q se, with q the
    quantiles of (theta* - theta) / se* and se, se* the jackknife errors of the speakers and of each
    replicate.

    A replicate in which the score or its error is undefined could have been anything: it counts as
    lying beyond both ends. So intervals are never shorter than what is undefined allows, and None
    where more than 2.5 % of the replicates are. A replicate without any spread has t = +-infinity
    on the side of its score.

    Args:
        by_speaker: [..., G, K] tallies of each speaker; leading axes are seeds, averaged over.
        score: Summed tallies [..., K] to scores [...] by name.
        replicates: R.
        seed: Of the drawing.

    Returns:
        Per score its intervals; None of fewer than two speakers.
    """
    rng = np.random.default_rng(seed)
    if by_speaker.shape[-2] < 2:
        return _undefined(by_speaker, score)
    drawn = _replicated(by_speaker, score, replicates, rng)
    return {name: _intervals(values) for name, values in drawn.items()}


def percentile_intervals(
    by_speaker: Array, score: Score, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, tuple[float, float] | None]:
    """Percentile intervals alone, which take no jackknife; for a glance beside better ones.

    Args:
        by_speaker: [..., G, K] tallies of each speaker; leading axes are seeds, and a score is of
            the tallies averaged over them.
        score: Summed tallies [..., K] to scores [...] by name.
        replicates: R.
        seed: Of the drawing.
    """
    count = by_speaker.shape[-2]
    if count < 2:
        return dict.fromkeys(score(by_speaker.sum(axis=-2)))
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), replicates)
    means = by_speaker.reshape(-1, *by_speaker.shape[-2:]).mean(axis=0)
    found = score(drawn.astype(np.float64) @ means)
    return {name: _defined(*_ends(values)) for name, values in found.items()}


def bootstrap_gaps(
    first: Array,
    second: Array,
    score: Score,
    replicates: int = REPLICATES,
    seed: int = 0,
    crossed: bool = False,
) -> dict[str, Bootstrap]:
    """95 % intervals over speakers of first minus second; see `bootstrap_intervals`.

    Groups that share no speaker are drawn from apart, each as many speakers as it has, and their
    squared errors add up. Where speakers stand in both groups, each is drawn, and left out of the
    jackknife, with all that it has in both.

    Args:
        first: [..., G, K] tallies of each speaker of a group; leading axes are seeds.
        second: [..., G', K] of another.
        score: Summed tallies [..., K] to scores [...] by name.
        replicates: R.
        seed: Of the drawing.
        crossed: Whether row g is the same speaker in both; zeros where it is in one of them only.

    Raises:
        ValueError: Crossed groups have not the same number of rows.
    """
    if crossed:
        if first.shape != second.shape:
            raise ValueError(
                f"crossed groups of shapes {first.shape} and {second.shape}: give each speaker a "
                "row in both, of zeros where it is in one of them only"
            )
        size = first.shape[-1]

        def gap(tallies: Array) -> dict[str, Array]:
            x, y = score(tallies[..., :size]), score(tallies[..., size:])
            return {name: x[name] - y[name] for name in x}

        return bootstrap_intervals(np.concatenate([first, second], -1), gap, replicates, seed)
    if min(first.shape[-2], second.shape[-2]) < 2:
        return _undefined(first, score)
    rng = np.random.default_rng(seed)
    a, b = (_replicated(group, score, replicates, rng) for group in (first, second))
    return {
        name: _intervals(
            _Replicates(a[name].values - b[name].values, a[name].variances + b[name].variances)
        )
        for name in a
    }


def _undefined(by_speaker: Array, score: Score) -> dict[str, Bootstrap]:
    return dict.fromkeys(
        score(by_speaker.sum(axis=-2)), Bootstrap(percentile=None, studentised=None)
    )


def _replicated(
    by_speaker: Array, score: Score, replicates: int, rng: np.random.Generator
) -> dict[str, _Replicates]:
    """Every score of the speakers themselves and of the replicates."""
    count = by_speaker.shape[-2]
    drawn = rng.multinomial(count, np.full(count, 1 / count), replicates)
    times = np.concatenate([np.ones((1, count), drawn.dtype), drawn])
    rows = max(1, _CHUNK_BYTES // (by_speaker.nbytes or 1))
    edges = [*range(0, len(times), rows), len(times)]
    parts = [_scored(by_speaker, times[i:j], score) for i, j in pairwise(edges)]
    return {
        name: _Replicates(
            np.concatenate([part[name].values for part in parts]),
            np.concatenate([part[name].variances for part in parts]),
        )
        for name in parts[0]
    }


def _scored(
    by_speaker: Array, times: npt.NDArray[np.int64], score: Score
) -> dict[str, _Replicates]:
    """Scores of replicates, and their jackknife variances (G - 1) / G sum (theta_-g - mean)^2.

    A speaker who was drawn twice is left out once, two times.

    Shape:
        by_speaker: [..., G, K], times: [R, G].
    """
    count = by_speaker.shape[-2]
    totals = times.astype(np.float64) @ by_speaker  # [..., R, K]
    replicate, speaker = np.nonzero(times)
    often = times[replicate, speaker]
    whole = score(totals)
    without = score(totals[..., replicate, :] - by_speaker[..., speaker, :])

    def over_speakers(values: Array) -> Array:
        return np.bincount(replicate, often * values, len(times)).astype(np.float64)

    found = {}
    for name, values in whole.items():
        left_out = without[name].reshape(-1, len(replicate)).mean(axis=0)
        mean = over_speakers(left_out) / count
        spread = over_speakers((left_out - mean[replicate]) ** 2)
        found[name] = _Replicates(
            values.reshape(-1, len(times)).mean(axis=0), (count - 1) / count * spread
        )
    return found


def _intervals(drawn: _Replicates) -> Bootstrap:
    """Both intervals from the observed value and error, which stand first, and the replicates."""
    center, error = drawn.values[0], np.sqrt(drawn.variances[0])
    values, errors = drawn.values[1:], np.sqrt(drawn.variances[1:])
    errors = np.where(errors <= _ROUNDING * error, 0.0, errors)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (values - center) / errors
        low, high = _ends(values)
        low_t, high_t = _ends(t)
        return Bootstrap(
            percentile=_defined(low, high),
            studentised=_defined(center - high_t * error, center - low_t * error),
        )


def _ends(values: Array) -> tuple[float, float]:
    """The quantiles of 2.5 and 97.5 %; an undefined value lies below the one, above the other."""
    unknown = np.isnan(values)
    with np.errstate(invalid="ignore"):  # between two infinities there is no number
        low = np.quantile(np.where(unknown, -np.inf, values), _ENDS[0])
        high = np.quantile(np.where(unknown, np.inf, values), _ENDS[1])
    return float(low), float(high)


def _defined(low: float, high: float) -> tuple[float, float] | None:
    return (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else None
