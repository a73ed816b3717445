"""Intervals over speakers, of any scores of tallies that add up.

Letters: G speakers, K values of a tally; `...` any leading axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]


def jackknife(
    by_speaker: Array,
    score: Callable[[Array], Mapping[str, Array]],
    limits: Mapping[str, tuple[float, float]],
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals over speakers by the delete-one-speaker jackknife (Efron & Stein 1981).

    The standard error is sqrt((G - 1) / G * sum (theta_without_g - mean)^2), and the interval takes
    Student's t with G - 1 degrees of freedom.

    Args:
        by_speaker: [..., G, K] tallies of each speaker; leading axes are seeds, averaged over.
        score: Summed tallies [..., K] to scores [...] by name.
        limits: Lowest and highest value that a score can have; 0 and 1 where it is not named.

    Returns:
        Per score (low, high), clipped to what it can be; None where fewer than two speakers or an
        undefined score allow none.
    """
    count = by_speaker.shape[-2]
    everyone = by_speaker.sum(axis=-2, keepdims=True)
    full = score(everyone[..., 0, :])
    if count < 2:
        return dict.fromkeys(full, None)
    without = score(everyone - by_speaker)
    quantile = float(stats.t.ppf(0.975, count - 1))
    intervals: dict[str, tuple[float, float] | None] = {}
    for name, value in full.items():
        lowest, highest = limits.get(name, (0.0, 1.0))
        center = float(np.mean(value))
        left_out = without[name].reshape(-1, count).mean(axis=0)
        error = np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())
        low = max(center - quantile * error, lowest)
        high = min(center + quantile * error, highest)
        intervals[name] = None if np.isnan(low + high) else (float(low), float(high))
    return intervals
