"""How far annotators agree: per utterance, and over a corpus.

Letters: N utterances, C emotions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


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


def krippendorff_alpha(counts: Array) -> float | None:
    """Krippendorff's alpha for nominal categories, with any number of annotators per utterance.

    1 is agreement in everything, 0 what chance gives. From counts alone, as votes are what is
    kept: where one annotator shares a vote over two emotions, the shares count as two annotators'
    who disagree, so alpha is then a little too low.

    K. Krippendorff (2011), Computing Krippendorff's Alpha-Reliability.

    Shape:
        counts: [N, C], votes; utterances with fewer than two do not count.

    Returns:
        Alpha; None where it is not defined: fewer than two votes, or one emotion only.

    >>> krippendorff_alpha(np.array([[2.0, 0.0], [0.0, 2.0]]))
    1.0
    """
    votes = counts.sum(axis=1)
    paired = counts[votes >= 2]
    size = paired.sum(axis=1)
    pairs = size**2 - np.square(paired).sum(axis=1)  # of different emotions, in both orders
    totals = paired.sum(axis=0)
    expected = totals.sum() ** 2 - np.square(totals).sum()
    if expected <= 0:
        return None
    observed = (pairs / (size - 1)).sum()
    return float(1 - (totals.sum() - 1) * observed / expected)


def _shares(counts: Array) -> Array:
    with np.errstate(invalid="ignore"):
        shares: Array = counts / counts.sum(axis=1, keepdims=True)
    return shares
