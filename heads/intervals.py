"""Intervals over speakers, of any scores of tallies that add up.

Letters: G speakers, K values of a tally; `...` any leading axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]

FEWEST = 1.5  # effective speakers: Student's t of half a degree of freedom is 165 already


def jackknife(
    by_speaker: Array,
    score: Callable[[Array], Mapping[str, Array]],
    limits: Mapping[str, tuple[float, float]],
    clips: Array,
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals over speakers by the delete-one-speaker jackknife (Efron & Stein 1981).

    The standard error is sqrt((G - 1) / G * sum (theta_without_g - mean)^2), and the interval takes
    Student's t with `effective_speakers` - 1 degrees of freedom, which are G - 1 where all speakers
    have as many clips.

    Args:
        by_speaker: [..., G, K] tallies of each speaker; leading axes are seeds, averaged over.
        score: Summed tallies [..., K] to scores [...] by name.
        limits: Lowest and highest value that a score can have; 0 and 1 where it is not named.
        clips: [..., G], how many of each speaker count.

    Returns:
        Per score (low, high), clipped to what it can be; None of one speaker, of one who has nearly
        all clips (fewer than 1.5 effective speakers), and where the score is undefined.
    """
    count = by_speaker.shape[-2]
    everyone = by_speaker.sum(axis=-2, keepdims=True)
    full = score(everyone[..., 0, :])
    effective = effective_speakers(clips.reshape(-1, count).sum(axis=0)) if count else 0.0
    if effective < FEWEST:
        return dict.fromkeys(full, None)
    without = score(everyone - by_speaker)
    quantile = float(stats.t.ppf(0.975, effective - 1))
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


def effective_speakers(clips: Array) -> float:
    """How many speakers with equally many clips would tell as much: (sum n)^2 / sum n^2.

    (L. Kish 1965, Survey Sampling.) Where some speakers have most of the clips, the
    spread over speakers is theirs, and is known as if there were only so many. With G - 1 degrees
    of freedom intervals are too short then; with this number less 1 they are not, in the designs of
    docs/statistics.md.

    Args:
        clips: [G], of each speaker.

    >>> effective_speakers(np.array([10, 10, 10, 10]))
    4.0
    >>> round(effective_speakers(np.array([40, 5, 5, 5])), 2)
    1.81
    """
    total = float(clips.sum())
    return total**2 / float((clips.astype(np.float64) ** 2).sum()) if total else 0.0
