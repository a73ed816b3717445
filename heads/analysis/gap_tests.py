"""The test of gaps between two groups of speakers, and of what a second run changed of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heads.analysis.exchange import SignFlip, within_speaker_test
from heads.analysis.permutation import permutation_test

if TYPE_CHECKING:
    from heads.analysis.estimates import Contrast, Score

Array = npt.NDArray[np.float64]


def gap_tests(
    pair: tuple[Array, Array, int], found: Contrast, score: Score, classes: int, seed: int
) -> dict[str, SignFlip | None]:
    """Is a gap between two groups larger than chance makes it?

    Where they share no speaker, p comes from permuting the groups over speakers, or from Welch's t
    where that is larger: permutations alone find gaps that are not there where a small group
    spreads much farther (docs/statistics.md). Where speakers stand in both, what each has in the
    one is exchanged with what it has in the other, if that is valid.

    Args:
        pair: Tallies of the groups, [G1, K] and [G2, K], and how many speakers stand in both, with
            which both are [G, K].
        found: The gaps between them.
        score: Of what the gaps are.
        classes: Number of classes; tallies begin with how many utterances of each there are.
        seed: Of the draws.

    Returns:
        Per name the test, None where there is none.
    """
    first, second, crossed = pair
    if crossed:

        def gap(x: Array, y: Array) -> dict[str, Array]:
            one, other = score(x), score(y)
            return {name: one[name] - other[name] for name in one}

        return within_speaker_test(first, second, gap, classes, seed)
    p, smallest = permutation_test(first, second, score, seed)
    # Without an error there is no t, and the permutations decide.
    welch = dict(zip(found.names, np.nan_to_num(found.p_values()).tolist(), strict=True))
    return {
        name: None if value is None else SignFlip(p=max(value, welch[name]), smallest_p=smallest)
        for name, value in p.items()
    }
