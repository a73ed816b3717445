"""Tests that exchange, speaker by speaker, two things that each speaker has both of.

Two groups of utterances that the same speakers stand in (sentences, rooms), or two runs on the same
utterances: if the two are alike, either half of each speaker's pair could have been the other.

Letters: G speakers, K values of a tally, J classes that a mean is over, P patterns of exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from heads.analysis.rates import fractions, supports
from heads.analysis.significance import SignFlip, sign_flip

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array, Array], Mapping[str, Array]]

DRAWS = 9999  # patterns, where there are more of them
_ROUNDING = 1e-9
_AT_ONCE = 4_000_000  # values of tallies in memory: P * K


def swap_test(
    first: Array, second: Array, statistic: Statistic, seed: int = 0
) -> dict[str, SignFlip | None]:
    """Is a statistic farther from 0 than after exchanging speakers' halves at random?

    For any statistic that changes its sign when all halves are exchanged. All 2^G patterns are
    looked at where they are fewer than would be drawn; drawn ones count the observed one as well.

    Args:
        first: One half of each speaker.
        second: The other.
        statistic: Summed halves [P, K] and [P, K] to values [P] by name.
        seed: Of the draws.

    Shape:
        first, second: [G, K].

    Returns:
        Per name the test, None where the statistic is undefined.
    """
    speakers = len(first)
    everything = 2**speakers
    drawn = everything > DRAWS
    whole = (first + second).sum(axis=0)
    observed = statistic(first.sum(axis=0)[None], second.sum(axis=0)[None])
    far = dict.fromkeys(observed, 0)
    for kept in _patterns(speakers, max(1, _AT_ONCE // first.shape[1]), seed):
        one = second.sum(axis=0) + kept.astype(np.float64) @ (first - second)
        for name, values in statistic(one, whole - one).items():
            # A pattern that leaves the statistic undefined counts as one farther from 0.
            far[name] += int((~(np.abs(values) < abs(observed[name][0]) - _ROUNDING)).sum())
    total = DRAWS + 1 if drawn else everything
    smallest = 1 / total if drawn else min(1.0, 2 / total)
    return {
        name: None
        if np.isnan(values[0])
        else SignFlip(p=(far[name] + drawn) / total, smallest_p=smallest)
        for name, values in observed.items()
    }


def within_speaker_test(
    first: Array, second: Array, statistic: Statistic, labels: Sequence[str], seed: int = 0
) -> dict[str, SignFlip | None]:
    """Is a gap between two groups that the same speakers stand in larger than chance makes it?

    Where each speaker stands for the same share of both groups, a gap of recalls, accuracies or
    false-positive rates is a sum of what speakers add, and each addend may as well have the other
    sign: an exact sign-flip test. Any other gap is tested by exchanging halves where each speaker
    has as many utterances of each class in both groups.

    Args:
        first: [G, K], each speaker's tally in one group.
        second: [G, K], in the other.
        statistic: The gaps, from summed tallies [P, K] and [P, K].
        labels: Names of the classes.
        seed: Of what is drawn.

    Returns:
        Per name the test, None where neither holds.
    """
    observed = statistic(first.sum(axis=0)[None], second.sum(axis=0)[None])
    found: dict[str, SignFlip | None] = dict.fromkeys(observed)
    classes = len(labels)
    if np.array_equal(supports(first, classes), supports(second, classes)):
        found |= swap_test(first, second, statistic, seed)
    ours, theirs = fractions(first, labels), fractions(second, labels)
    for name, (numerator, denominator) in ours.items():
        shares = _shares(denominator), _shares(theirs[name][1])
        if np.allclose(*shares, rtol=0, atol=_ROUNDING, equal_nan=True):
            added = _addends(numerator, denominator) - _addends(*theirs[name])
            found[name] = None if np.isnan(added).any() else sign_flip(added, seed)
    return found


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


def _shares(denominator: Array) -> Array:
    """Each speaker's share of the denominator: [G, J]; NaN where there is nothing to share."""
    with np.errstate(invalid="ignore"):
        shares: Array = denominator / denominator.sum(axis=0)
    return shares


def _patterns(speakers: int, rows: int, seed: int) -> list[npt.NDArray[np.bool_]]:
    """Who keeps the order of the halves, in parts that memory holds: [P, G] each."""
    if 2**speakers > DRAWS:
        kept = np.random.default_rng(seed).random((DRAWS, speakers)) < 0.5
    else:
        kept = (np.arange(2**speakers)[:, None] >> np.arange(speakers)) & 1 == 0
    return [kept[first : first + rows] for first in range(0, len(kept), rows)]
