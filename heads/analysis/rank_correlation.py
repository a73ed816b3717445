"""Spearman's rank correlation over sets of speakers at once, and its interval over speakers.

Letters: N utterances, G speakers, M sets of speakers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from heads.analysis.judged import interval

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_DIGITS = 9  # two values that differ by rounding alone are equal
_GROUPS = 100  # that are left out in turn, where there are more speakers
_AT_ONCE = 100_000  # values of a table of sets by clips that are held at once, in a fast cache


def rank_correlation(
    x: Array, y: Array, speakers: npt.NDArray[np.str_], told: tuple[str, str]
) -> dict[str, Any]:
    """Spearman's correlation, and its 95 % interval by the jackknife over speakers.

    Ranks are formed anew for each speaker that is left out. Of more than a hundred speakers,
    hundredths are left out in turn: the delete-a-group jackknife (P. S. Kott 2001, Journal of
    Official Statistics 17, 521-526).

    Args:
        x: One value of each clip.
        y: Another; NaN leaves the clip out.
        speakers: Of the clips; empty where unknown.
        told: What `x` and `y` are called where one of them is constant.

    Shape:
        x, y, speakers: [N].
    """
    known = ~np.isnan(y)
    x, y, speakers = x[known].round(_DIGITS), y[known].round(_DIGITS), speakers[known]
    row: dict[str, Any] = {"spearman": None, "ci95": None, "n": len(x)}
    for values, name in ((x, told[0]), (y, told[1])):
        if len(np.unique(values)) < 2:
            return row | {"reason": f"{name} is the same on all clips"}
    names, codes = np.unique(speakers, return_inverse=True)
    groups = min(len(names), _GROUPS)
    codes %= groups

    def score(kept: Array) -> Mapping[str, Array]:
        found = spearman_of_sets(x, y, codes, kept.reshape(-1, groups))
        return {"spearman": found.reshape(kept.shape[:-1])}

    # The tally of a speaker says who is in: without a speaker, it says 0 of that one.
    members = np.eye(groups)
    clips = np.bincount(codes, minlength=groups).astype(np.float64)
    row["spearman"] = float(score(members.sum(axis=0))["spearman"])
    return row | {"ci95": interval(members, score, clips, speakers)["spearman"]}


def spearman_of_sets(x: Array, y: Array, codes: Indices, kept: Array) -> Array:
    """Spearman's correlation over the clips of each of several sets of speakers; NaN if undefined.

    Ranks are those inside each set; equal values share their mean rank.

    Args:
        x: One value of each clip.
        y: Another.
        codes: The speaker of each clip.
        kept: Which speakers each set holds, 1 or 0.

    Shape:
        x, y, codes: [N], kept: [M, G]. Output: [M].
    """
    size = max(1, _AT_ONCE // max(len(x), 1))
    places = _places(x), _places(y)
    parts = [kept[start : start + size] for start in range(0, len(kept), size)]
    return np.concatenate([_correlation(*places, part[:, codes]) for part in parts])


def _places(values: Array) -> tuple[Indices, Indices, Indices]:
    """The order of values, and for each of them the first and last place of its equals: [N] each.

    Places count from 0, the last one is that behind them.
    """
    order = np.argsort(values)
    first = np.searchsorted(values[order], values, side="left")
    last = np.searchsorted(values[order], values, side="right")
    return order, first, last


def _correlation(x: tuple[Indices, ...], y: tuple[Indices, ...], inside: Array) -> Array:
    """Pearson's correlation of the ranks, [M], each over the clips that are inside, [M, N]."""
    count = inside.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        # The ranks of n clips sum to n (n + 1) / 2; outside, their deviation counts as 0.
        a, b = ((_mean_ranks(p, inside) - (count + 1) / 2) * inside for p in (x, y))
        spread = np.einsum("mn,mn->m", a, a) * np.einsum("mn,mn->m", b, b)
        correlation: Array = np.einsum("mn,mn->m", a, b) / np.sqrt(spread)
    return correlation


def _mean_ranks(places: tuple[Indices, ...], inside: Array) -> Array:
    """Rank of each value among those inside: the mean of the first and the last place of equals.

    Shape:
        places: [N] each, inside: [M, N]. Output: [M, N].
    """
    order, first, last = places
    before = np.zeros((len(inside), len(order) + 1))
    np.cumsum(inside[:, order], axis=1, out=before[:, 1:])
    ranks: Array = (before[:, first] + before[:, last] + 1) / 2
    return ranks
