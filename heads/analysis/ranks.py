"""Places of runs over speakers, and which runs cannot be told apart (critical-difference diagram).

Letters: G speakers, R runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from heads.analysis.leaderboard import LOWER_IS_BETTER
from heads.analysis.significance import compare_pair, holm, stands
from heads.analysis.tested import common

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heads.analysis.tested import Tested


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Runs in the order of their mean rank.

    Attributes:
        order: Positions of the runs as they were given.
        mean: Rank 1 is the best; averaged over speakers, equal runs share ranks.
        alike: Pairs of runs, as they were given, that no test tells apart.
        speakers: On whom they are ranked.
    """

    order: list[int]
    mean: list[float]
    alike: frozenset[tuple[int, int]]
    speakers: int


def rank_over_speakers(runs: Sequence[Tested], metric: str) -> Ranks | None:
    """Rank runs on each speaker, and test each two of them over speakers.

    Ranks are averaged as in J. Demsar (2006), JMLR 7, 1-30. Which runs differ is not taken from
    these means, whose critical distance depends on which other runs take part (A. Benavoli, G.
    Corani, F. Mangili 2016, JMLR 17(5), 1-10), but from the sign-flip test of each two, corrected
    by Holm over all pairs.

    Args:
        runs: Two or more.
        metric: Of `heads.analysis.significance.COMPARED`.

    Returns:
        None where they share no utterance, or speakers are not known.
    """
    shared = reduce(lambda one, other: common(one, other)[0], runs[1:], runs[0])
    if not len(shared.ids) or not shared.speakers.all() or not shared.labels:
        return None
    parts = [common(own, shared)[0] for own in runs]
    scores = np.stack([p.scores(p.by_speaker)[metric].mean(axis=0) for p in parts])  # [R, G]
    known = ~np.isnan(scores).any(axis=0)
    if not known.any():
        return None
    signed = scores[:, known] if metric in LOWER_IS_BETTER else -scores[:, known]
    mean = rankdata(np.round(signed, 9), axis=0).mean(axis=1)
    pairs = list(combinations(range(len(runs)), 2))
    p_holm = holm([_p(parts[i], parts[j], metric) for i, j in pairs])
    alike = [pair for pair, p in zip(pairs, p_holm, strict=True) if not stands(p)]
    order = np.argsort(mean, kind="stable").tolist()
    return Ranks(
        order=order,
        mean=[float(mean[i]) for i in order],
        alike=frozenset(alike),
        speakers=int(known.sum()),
    )


def groups_alike(ranks: Ranks) -> list[list[int]]:
    """Largest stretches of the order in which no two runs differ: what a line connects.

    Returns:
        Places in the order, from 0.
    """
    place = {run: n for n, run in enumerate(ranks.order)}
    alike = {tuple(sorted((place[i], place[j]))) for i, j in ranks.alike}
    stretches: list[list[int]] = []
    for start in range(len(ranks.order)):
        end = start
        while end + 1 < len(ranks.order) and all(
            (n, end + 1) in alike for n in range(start, end + 1)
        ):
            end += 1
        if end > start and not (stretches and stretches[-1][-1] >= end):
            stretches.append(list(range(start, end + 1)))
    return stretches


def _p(first: Tested, second: Tested, metric: str) -> float | None:
    pair = compare_pair(first, second, [metric])
    if isinstance(pair, str) or metric not in pair.differences:
        return None
    test = pair.differences[metric].test
    return test.p if test else None
