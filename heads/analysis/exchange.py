"""Tests that exchange, speaker by speaker, two things that each speaker has both of.

Two groups of utterances that the same speakers stand in (sentences, rooms), or two runs on the same
utterances: if the two are alike, either half of each speaker's pair could have been the other.

Letters: G speakers, K values of a tally, J classes that a mean is over, P patterns of exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heads.analysis.rates import fractions, supports

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array, Array], Mapping[str, Array]]

DRAWS = 9999  # patterns, where there are more of them
_ROUNDING = 1e-9
_AT_ONCE = 4_000_000  # values of tallies in memory: P * K


@dataclass(frozen=True, slots=True, kw_only=True)
class SignFlip:
    """A test by exchanging what each speaker has two of, or by flipping signs, which is the same.

    Attributes:
        p: Two-sided.
        smallest_p: The smallest that the test could have given with so many speakers.
    """

    p: float
    smallest_p: float


def swap_test(
    first: Array, second: Array, statistic: Statistic, seed: int = 0, draws: int | None = None
) -> dict[str, SignFlip | None]:
    """Is a statistic farther from 0 than after exchanging speakers' halves at random?

    For any statistic that changes its sign when all halves are exchanged. All 2^G patterns are
    looked at where they are fewer than would be drawn; drawn ones count the observed one as well.

    Args:
        first: One half of each speaker.
        second: The other.
        statistic: Summed halves [P, K] and [P, K] to values [P] by name.
        seed: Of the draws.
        draws: How many patterns are looked at, where there are more; None is 9,999.

    Shape:
        first, second: [G, K].

    Returns:
        Per name the test, None where the statistic is undefined.
    """
    speakers = len(first)
    everything = 2**speakers
    draws = DRAWS if draws is None else draws
    drawn = everything > draws
    whole = (first + second).sum(axis=0)
    observed = statistic(first.sum(axis=0)[None], second.sum(axis=0)[None])
    far = dict.fromkeys(observed, 0)
    for kept in _patterns(speakers, draws, max(1, _AT_ONCE // first.shape[1]), seed):
        one = second.sum(axis=0) + kept.astype(np.float64) @ (first - second)
        for name, values in statistic(one, whole - one).items():
            # A pattern that leaves the statistic undefined counts as one farther from 0.
            far[name] += int((~(np.abs(values) < abs(observed[name][0]) - _ROUNDING)).sum())
    total = draws + 1 if drawn else everything
    smallest = 1 / total if drawn else min(1.0, 2 / total)
    return {
        name: None
        if np.isnan(values[0])
        else SignFlip(p=(far[name] + drawn) / total, smallest_p=smallest)
        for name, values in observed.items()
    }


def within_speaker_test(
    first: Array, second: Array, statistic: Statistic, classes: int, seed: int = 0
) -> dict[str, SignFlip | None]:
    """Is a gap between two groups that the same speakers stand in larger than chance makes it?

    A speaker's two halves may be exchanged where each has as many utterances of each class in both
    groups. Halves of unequal size vary unequally, and errors are lopsided, so that exchanging them
    finds gaps that are not there: those are not tested.

    Args:
        first: [G, K], each speaker's tally in one group.
        second: [G, K], in the other.
        statistic: The gaps, from summed tallies [P, K] and [P, K].
        classes: C.
        seed: Of what is drawn.

    Returns:
        Per name the test, None where there is none.
    """
    if np.array_equal(supports(first, classes), supports(second, classes)):
        return swap_test(first, second, statistic, seed)
    return dict.fromkeys(statistic(first.sum(axis=0)[None], second.sum(axis=0)[None]))


def addends(tallies: Array, changed: Array, labels: Sequence[str]) -> dict[str, Array]:
    """What each speaker adds to the change of a rate, where the same utterances are scored twice.

    Shape:
        tallies, changed: [G, K], with equal supports. Output: [G] each, NaN where undefined.
    """
    before, after = fractions(tallies, labels), fractions(changed, labels)
    return {
        name: _addends(after[name][0] - numerator, denominator)
        for name, (numerator, denominator) in before.items()
    }


def _addends(numerator: Array, denominator: Array) -> Array:
    """What each speaker adds to the mean over J of summed numerators over denominators: [G]."""
    total = denominator.sum(axis=0)
    there = total > 0
    if not there.any():
        return np.full(len(numerator), np.nan)
    mean: Array = (numerator[:, there] / total[there]).mean(axis=1)
    return mean


def _patterns(speakers: int, draws: int, rows: int, seed: int) -> list[npt.NDArray[np.bool_]]:
    """Who keeps the order of the halves, in parts that memory holds: [P, G] each."""
    if 2**speakers > draws:
        kept = np.random.default_rng(seed).random((draws, speakers)) < 0.5
    else:
        kept = (np.arange(2**speakers)[:, None] >> np.arange(speakers)) & 1 == 0
    return [kept[first : first + rows] for first in range(0, len(kept), rows)]
