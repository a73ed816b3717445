"""How far confidence can be believed: accuracy beside confidence, bin by bin.

Letters: N utterances, C classes, M bins; `...` any leading axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedcache.errors import UsageError, unknown_name
from heads.labels import majority

Array = npt.NDArray[np.float64]

BINS = 15
BINNINGS = ("equal-width", "adaptive")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationCurve:
    """Utterances in bins of confidence; a bin holds its upper edge, and only the first its lower.

    Attributes:
        edges: [M + 1].
        count: [..., M], utterances.
        confidence: [..., M], their mean confidence; NaN in an empty bin.
        accuracy: [..., M], share of them that is right; NaN in an empty bin.
    """

    edges: Array
    count: Array
    confidence: Array
    accuracy: Array

    @property
    def error(self) -> Array:
        """Expected calibration error: mean |accuracy - confidence| over utterances; [...].

        Guo et al. 2017, arXiv 1706.04599, for bins of equal width; Nguyen & O'Connor 2015, arXiv
        1508.05154, for adaptive ones. NaN without utterances.
        """
        with np.errstate(invalid="ignore"):
            error: Array = (self._gaps * self.count).sum(axis=-1) / self.count.sum(axis=-1)
        return error

    @property
    def largest_error(self) -> Array:
        """Maximum calibration error: the largest |accuracy - confidence| of a bin; [...].

        NaN without utterances.
        """
        largest: Array = self._gaps.max(axis=-1)
        return np.where(self.count.sum(axis=-1) > 0, largest, np.nan)

    @property
    def _gaps(self) -> Array:
        return np.where(self.count > 0, np.abs(self.accuracy - self.confidence), 0.0)


def top_confidence(probabilities: Array, targets: Array) -> tuple[Array, Array]:
    """Confidence in the predicted class, and whether it is right (1.0 or 0.0).

    Utterances whose votes are tied for the first place, or that have none, are left out: no
    prediction of them is right or wrong.

    Shape:
        probabilities, targets: [N, C]. Output: two of at most [N].
    """
    truth = majority(targets)
    clear = truth >= 0
    right = probabilities.argmax(axis=1) == truth
    return probabilities.max(axis=1)[clear], right[clear].astype(np.float64)


def calibration_curve(
    confidence: Array, right: Array, bins: int = BINS, binning: str = "equal-width"
) -> CalibrationCurve:
    """Put utterances into bins of confidence.

    Args:
        confidence: From 0 to 1, as `top_confidence` gives it; or of one class, for its own curve.
        right: 1.0 or 0.0; of one class, whether it is the true one.
        bins: How many.
        binning: `equal-width`: m / M to (m + 1) / M. `adaptive`: equally many utterances in each
            (numbers differ by one at most); an upper edge is the least confidence that the share
            (m + 1) / M of them does not exceed, so equal confidences share a bin, and others may be
            empty.

    Shape:
        confidence, right: [N].

    Raises:
        UsageError: There is no such binning, or no bin.

    >>> curve = calibration_curve(np.array([0.7, 0.9, 1.0]), np.array([0.0, 1.0, 1.0]), bins=2)
    >>> curve.count.tolist(), curve.error.round(3).tolist()
    ([0.0, 3.0], 0.2)
    """
    if binning not in BINNINGS:
        raise unknown_name("binning", binning, BINNINGS)
    if bins < 1:
        raise UsageError(f"{bins} bins of confidence: give 1 or more")
    if binning == "equal-width":
        edges = np.linspace(0.0, 1.0, bins + 1)
        number = equal_width_bin(confidence, bins)
    else:
        edges = _quantiles(confidence, bins)
        number = np.searchsorted(edges[1:-1], confidence)
    sums = np.zeros((bins, 3))
    np.add.at(sums, number, np.stack([np.ones_like(right), right, confidence], axis=1))
    return curve_of_sums(sums, edges)


def curve_of_sums(sums: Array, edges: Array) -> CalibrationCurve:
    """A curve from what each bin holds.

    Args:
        sums: Count, number of right ones and summed confidence of each bin.
        edges: Of the bins.

    Shape:
        sums: [..., M, 3], edges: [M + 1].
    """
    count, hits, confidence = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore"):
        return CalibrationCurve(
            edges=edges, count=count, confidence=confidence / count, accuracy=hits / count
        )


def equal_width_bin(confidence: Array, bins: int) -> npt.NDArray[np.int64]:
    """The bin (m / M, (m + 1) / M] of each value, the first one with 0: [...] gives [...]."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _quantiles(values: Array, parts: int) -> Array:
    """The least value and the edges below which 1, 2, ... of M parts of the values lie; [M + 1].

    They are values themselves: an edge interpolated to just beside one would put it into either
    bin, as rounding falls. 0 to 1 without values.
    """
    if not values.size:
        return np.linspace(0.0, 1.0, parts + 1)
    ranks = -(-values.size * np.arange(parts + 1) // parts) - 1
    quantiles: Array = np.sort(values)[np.maximum(ranks, 0)]
    return quantiles
