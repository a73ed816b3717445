"""Is a gap between groups that share no speaker larger than chance makes it?

Letters: G speakers, K values of a tally, M metrics, P permutations.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heads.analysis.estimates import Score

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

DRAWS = 9999  # permutations, where there are more of them
_DRAWS_OF_MANY = 1999  # each takes as long as there are speakers, and many show a gap with fewer
_MANY = 400
_ROUNDING = 1e-9
_TINY = 1e-12
_AT_ONCE = 1_000_000  # values of tallies in memory: P * G * K


def permutation_test(
    first: Array, second: Array, score: Score, seed: int = 0
) -> tuple[dict[str, float | None], float]:
    """Share of permutations of the speakers' groups with a Welch t at least as large as observed.

    The gap is divided by its jackknife error in every permutation: a permuted gap alone rejects far
    too often where the smaller group varies more (Janssen 1997, doi 10.1016/S0167-7152(97)00043-6).
    All C(G, G1) permutations are looked at where they are fewer than would be drawn (9,999, of more
    than 400 speakers 1,999); drawn ones count the observed one as well.

    Args:
        first: [G1, K], tallies of the speakers of one group.
        second: [G2, K], of another.
        score: Summed tallies [..., K] to scores [...] by name.
        seed: Of the draws.

    Returns:
        Two-sided p per score, None where the observed t is undefined; and the smallest p that this
        number of permutations allows: turned groups of one size have the same t.
    """
    pooled = np.concatenate([first, second])
    count, inside = len(pooled), len(first)
    everything = comb(count, inside)
    smallest = (2 if 2 * inside == count else 1) / everything
    observed = _welch_t(pooled, (np.arange(count) < inside)[None], score)
    far = dict.fromkeys(observed, 0)
    for masks in _masks(pooled.shape, inside, seed):
        for name, t in _welch_t(pooled, masks, score).items():
            # A permutation in which the score is undefined counts as one with a larger t.
            far[name] += int((~(t < observed[name] * (1 - _ROUNDING))).sum())
    drawn = everything > _draws(count)
    total = _draws(count) + 1 if drawn else everything
    p = {name: None if np.isnan(observed[name][0]) else (far[name] + drawn) / total for name in far}
    return p, 1 / total if drawn else smallest


def _draws(speakers: int) -> int:
    return DRAWS if speakers <= _MANY else _DRAWS_OF_MANY


def _masks(shape: tuple[int, ...], inside: int, seed: int) -> Iterator[Mask]:
    """Who is in the first group, in parts that memory holds: [P, G] each."""
    count, width = shape
    rows = max(1, _AT_ONCE // (count * width))
    everything = comb(count, inside)
    draws = _draws(count)
    if everything > draws:
        rng = np.random.default_rng(seed)
        start = np.arange(count) < inside
        for first in range(0, draws, rows):
            yield rng.permuted(np.tile(start, (min(rows, draws - first), 1)), axis=1)
        return
    masks = np.zeros((everything, count), bool)
    chosen = np.array(list(combinations(range(count), inside)))
    np.put_along_axis(masks, chosen, True, axis=1)
    for first in range(0, everything, rows):
        yield masks[first : first + rows]


def _welch_t(pooled: Array, inside: Mask, score: Score) -> dict[str, Array]:
    """|gap| / standard error for each assignment of speakers to two groups.

    Shape:
        pooled: [G, K], inside: [P, G]. Output: [P] each.
    """
    everyone = pooled.sum(axis=0)
    first = inside.astype(np.float64) @ pooled  # [P, K]
    second = everyone - first
    own = np.where(inside[..., None], first[:, None], second[:, None])
    one, other, without = score(first), score(second), score(own - pooled)  # without: [P, G]
    found = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, values in without.items():
            gap = np.abs(one[name] - other[name])
            variance = _variance(values, inside) + _variance(values, ~inside)
            found[name] = np.where(gap < _TINY, 0.0, gap / np.sqrt(variance))
    return found


def _variance(without: Array, group: Mask) -> Array:
    """Jackknife variance over the speakers of a group: [P, G] gives [P]."""
    count = group.sum(axis=1)
    mean = (without * group).sum(axis=1) / count
    spread = ((without - mean[:, None]) ** 2 * group).sum(axis=1)
    variance: Array = (count - 1) / count * spread
    return np.where(variance < _TINY**2, 0.0, variance)
