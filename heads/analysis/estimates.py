"""Differences and ratios of two groups of speakers, with jackknife errors over speakers.

Letters: G speakers, K values of a tally, M metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from heads.intervals import FEWEST, effective_speakers

Array = npt.NDArray[np.float64]
Score = Callable[[Array], Mapping[str, Array]]

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimates:
    """Scores of a group, and what they would be without each of its speakers.

    Attributes:
        names: Of the M scores.
        values: [M], NaN where undefined.
        without: [M, G].
        effective: [M], how many speakers who weigh alike would tell as much of each score.
    """

    names: tuple[str, ...]
    values: Array
    without: Array
    effective: Array

    @property
    def logarithms(self) -> Estimates:
        """Of the same scores; NaN of 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            values, without = np.log(self.values), np.log(self.without)
        return Estimates(
            names=self.names,
            values=np.where(np.isfinite(values), values, np.nan),
            without=np.where(np.isfinite(without), without, np.nan),
            effective=self.effective,
        )

    @property
    def variance(self) -> Array:
        """(G - 1) / G sum (theta_without_g - mean)^2 (Efron & Stein 1981); [M]."""
        count = self.without.shape[-1]
        spread = (self.without - self.without.mean(axis=-1, keepdims=True)) ** 2
        variance: Array = (count - 1) / count * spread.sum(axis=-1)
        return variance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contrast:
    """Scores of one group less those of another.

    Attributes:
        names: Of the M scores.
        values: [M], NaN where undefined.
        error: [M], standard errors over speakers; NaN where there is none.
        freedom: [M], their degrees of freedom.
    """

    names: tuple[str, ...]
    values: Array
    error: Array
    freedom: Array

    def interval(self) -> Array:
        """95 % intervals by Student's t: [M, 2]; NaN where there is none."""
        half = stats.t.ppf(0.975, self.freedom) * self.error
        return np.stack([self.values - half, self.values + half], axis=1)

    def p_values(self) -> Array:
        """Two-sided p of Student's t: [M]; NaN where there is no error."""
        return np.asarray(2 * stats.t.sf(np.abs(self.values) / self.error, self.freedom))


def estimate(group: Array, score: Score, clips: Array | Mapping[str, Array]) -> Estimates:
    """Scores of a group of speakers, whole and without each speaker.

    Args:
        group: [G, K], tallies of each speaker.
        score: Summed tallies [..., K] to scores [...] by name.
        clips: [G], of each speaker; or by name of score [G], how much of it rests on each.
    """
    whole = group.sum(axis=0)
    found, without = score(whole), score(whole - group)
    weights = clips if isinstance(clips, Mapping) else dict.fromkeys(found, clips)
    return Estimates(
        names=tuple(found),
        values=np.array(list(found.values())),
        without=np.array(list(without.values())),
        effective=np.array([effective_speakers(weights[name]) for name in found]),
    )


def contrast_with_zero(own: Estimates) -> Contrast:
    """The scores of one group by themselves."""
    nothing = Estimates(
        names=own.names,
        values=np.zeros_like(own.values),
        without=np.zeros_like(own.without),
        effective=own.effective,
    )
    return contrast(own, nothing, crossed=True)


def contrast(first: Estimates, second: Estimates, crossed: bool) -> Contrast:
    """One group less another.

    Of groups that share no speaker, sqrt(u + v) with u, v their jackknife variances, and Welch and
    Satterthwaite's degrees of freedom (u + v)^2 / (u^2 / (n - 1) + v^2 / (m - 1)), with n and m the
    effective numbers of speakers. Where they are crossed with speakers, each speaker is left out of
    both at once, with the smaller of n - 1 and m - 1 degrees of freedom.
    Speakers who do not differ at all tell nothing of how far others would: there is no error, also
    where two runs are the same.

    Args:
        first: A group.
        second: Another; of the same speakers in the same order where they are crossed.
        crossed: Whether they are.
    """
    values = first.values - second.values
    effective = np.minimum(first.effective, second.effective)
    if crossed:
        paired = Estimates(
            names=first.names,
            values=values,
            without=first.without - second.without,
            effective=effective,
        )
        variance = paired.variance
        freedom = effective - 1
    else:
        u, v = first.variance, second.variance
        variance = u + v
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = u**2 / (first.effective - 1) + v**2 / (second.effective - 1)
            freedom = variance**2 / weight
    there = (np.sqrt(variance) > _ROUNDING) & (effective >= FEWEST)
    return Contrast(
        names=first.names,
        values=values,
        error=np.where(there, np.sqrt(variance), np.nan),
        freedom=np.where(there, freedom, np.nan),
    )


def number(value: Any) -> float | None:
    """A number for JSON: None in place of NaN and infinity."""
    return float(value) if np.isfinite(value) else None


def edges(interval: Array) -> list[float] | None:
    """An interval for JSON: None where it is undefined."""
    return interval.tolist() if np.isfinite(interval).all() else None
