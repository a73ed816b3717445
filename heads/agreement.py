"""How far annotators agree: per utterance, and over a corpus.

Letters: N utterances, C emotions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_ROUNDING = 1e-6  # votes that are shared are sums of thirds and the like


def vote_entropy(counts: Array) -> Array:
    """Entropy of each utterance's votes, in bits: 0 where all annotators agree.

    Shape:
        counts: [N, C], votes. Output: [N]; NaN without votes.

    >>> vote_entropy(np.array([[4.0, 0.0], [2.0, 2.0]])).tolist()
    [0.0, 1.0]
    """
    shares = _shares(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.where(shares == 0, 0.0, shares * np.log2(shares))
    entropy: Array = 0.0 - bits.sum(axis=1)
    return entropy


def majority_share(counts: Array) -> Array:
    """Share of each utterance's votes that its commonest emotion has.

    Shape:
        counts: [N, C], votes. Output: [N]; NaN without votes.

    >>> majority_share(np.array([[3.0, 1.0]])).tolist()
    [0.75]
    """
    share: Array = _shares(counts).max(axis=1)
    return share


def krippendorff_alpha(counts: Array) -> tuple[float | None, int]:
    """Krippendorff's alpha for nominal categories, with any number of annotators per utterance.

    1 is agreement in everything, 0 what chance gives. Utterances on which an annotator shared a
    vote over several emotions are left out: alpha is about pairs of different annotators, and which
    shares are one annotator's, counts do not tell.

    K. Krippendorff (2011), Computing Krippendorff's Alpha-Reliability.

    Shape:
        counts: [N, C], votes; utterances with fewer than two do not count.

    Returns:
        Alpha, and the number of utterances that it is taken over. None where it is not defined:
        fewer than two votes on every utterance, or one emotion only.

    >>> krippendorff_alpha(np.array([[2.0, 0.0], [0.0, 2.0], [1.5, 0.5]]))
    (1.0, 2)
    """
    whole = np.isclose(counts, counts.round(), atol=_ROUNDING).all(axis=1)
    paired = counts[whole & (counts.sum(axis=1) > 2 - _ROUNDING)].round()
    size = paired.sum(axis=1)
    pairs = size**2 - np.square(paired).sum(axis=1)  # of different emotions, in both orders
    totals = paired.sum(axis=0)
    expected = totals.sum() ** 2 - np.square(totals).sum()
    if expected <= 0:
        return None, len(paired)
    observed = (pairs / (size - 1)).sum()
    return float(1 - (totals.sum() - 1) * observed / expected), len(paired)


def _shares(counts: Array) -> Array:
    with np.errstate(invalid="ignore"):
        shares: Array = counts / counts.sum(axis=1, keepdims=True)
    return shares
