"""Functionals: one vector of a clip's frames, whatever their number.

Frames are taken from the first to the last one within 40 dB of the loudest, where the cache says
which columns tell the level: silence around an utterance tells of the recording, not of the voice.
Of each column are taken its mean, its spread, quantiles, its slope and bend over the clip, and how
it changes from frame to frame. Where the cache says which column tells voicing, the same is taken
once more of the voiced frames alone: pitch means nothing in the others, and vowels are compared
with vowels.

Letters: T frames, D columns, F functionals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.encoders import ColumnRoles

Array = npt.NDArray[np.float32]

RANGE_DB = 40.0
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NAMES = (
    "mean",
    "deviation",
    *(f"quantile_{100 * share:02.0f}" for share in QUANTILES),
    "slope",
    "bend",
    "step",
    "step_deviation",
)
"""Slope and bend: coefficients of the best parabola's straight and curved part, over time from -1
to 1. Step: mean absolute difference of neighbouring frames; its deviation: of the difference."""
_COLUMNS = 64  # described at a time, so that what is made of them stays in the processor's cache


def mean_frame(frames: Array) -> Array:
    """The mean over time as a single frame: [T, D] to [1, D]."""
    mean: Array = frames.mean(axis=0, keepdims=True, dtype=np.float32)
    return mean


def functionals(frames: npt.NDArray[np.floating], roles: ColumnRoles) -> Array:
    """A clip's vector.

    A value that does not vary has its mean for quantiles and 0 for the rest; so has every value of
    a single frame. Without a voiced frame, the voiced part is that of all frames.

    Args:
        frames: Of one clip, one frame at least.
        roles: Which columns tell level and voicing: `CacheReader.meta.roles`.

    Shape:
        [T, D] -> [F * D], or [2 * F * D] where voicing is told, in the order of
        `functional_names`.

    >>> from embedcache.encoders import ColumnRoles
    >>> functionals(np.array([[1.0], [3.0]]), ColumnRoles())[:2].tolist()
    [2.0, 1.0]
    """
    taken = frames[heard(frames, roles)]
    times = np.arange(len(taken))
    parts = [_describe(taken, times)]
    if roles.voiced is not None:
        chosen = np.flatnonzero(taken[:, roles.voiced] > 0.5)
        some = chosen if chosen.size else times
        parts.append(_describe(taken[some], some))
    return np.concatenate(parts).astype(np.float32)


def functional_names(columns: Sequence[str], roles: ColumnRoles) -> list[str]:
    """What the values of a vector are called, such as `f0.voiced.mean`.

    Args:
        columns: Names of a frame's values.
        roles: As for `functionals`.
    """
    parts = ("",) if roles.voiced is None else ("", "voiced.")
    return [f"{column}.{part}{name}" for part in parts for name in NAMES for column in columns]


@dataclass(frozen=True, slots=True)
class Functionals:
    """`functionals` as a head's reduction, [T, D] to [1, F D]; equal where the columns' roles are.

    Attributes:
        roles: Of the frames' columns.
    """

    roles: ColumnRoles

    def __call__(self, frames: Array) -> Array:
        """Functionals of an utterance's frames."""
        return functionals(frames, self.roles)[None]


def heard(frames: npt.NDArray[np.floating], roles: ColumnRoles) -> slice:
    """From the first to the last frame within 40 dB of the loudest; all where no level is told.

    Shape:
        frames: [T, D].
    """
    if not roles.level:
        return slice(0, len(frames))
    level = frame_levels(frames, roles)
    loud = np.flatnonzero(level >= level.max() - RANGE_DB)
    return slice(int(loud[0]), int(loud[-1]) + 1)


def frame_levels(frames: npt.NDArray[np.floating], roles: ColumnRoles) -> npt.NDArray[np.float64]:
    """The level of each frame in dB, up to a constant: powers of the level's columns added up.

    Shape:
        [T, D] -> [T].
    """
    decibels = frames[:, list(roles.level)].astype(np.float64) * roles.level_db
    loudest = decibels.max(axis=1)
    shares = 10 ** ((decibels - loudest[:, None]) / 10)
    level: npt.NDArray[np.float64] = loudest + 10 * np.log10(shares.sum(axis=1))
    return level


def _describe(
    frames: npt.NDArray[np.floating], times: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """All functionals, one after the other: [T, D] at [T] -> [F * D]."""
    parabola = _parabola(times)
    neighbours = np.diff(times) == 1
    parts = [
        _describe_columns(frames[:, start : start + _COLUMNS], parabola, neighbours)
        for start in range(0, frames.shape[1], _COLUMNS)
    ]
    return np.concatenate(parts, axis=1).ravel()


def _describe_columns(
    frames: npt.NDArray[np.floating],
    parabola: npt.NDArray[np.float64],
    neighbours: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """All functionals of some columns. Quantiles are those of numpy: linear between neighbours.

    Args:
        frames: Of the columns.
        parabola: Weights of the frames; see `_parabola`.
        neighbours: Whether a frame's next one follows it in time.

    Shape:
        frames: [T, D], parabola: [2, T], neighbours: [T - 1]. Output: [F, D].
    """
    ordered = np.sort(np.ascontiguousarray(frames.T, np.float32), axis=1)  # [D, T]
    places = np.array(QUANTILES) * (len(frames) - 1)
    below = places.astype(np.int64)
    above = np.minimum(below + 1, len(frames) - 1)
    low, high = ordered[:, below].T, ordered[:, above].T  # [Q, D]
    quantiles = low + (high - low) * (places - below)[:, None]
    exact = np.ascontiguousarray(frames, np.float64)  # sums in one order, whatever the layout
    mean = exact.mean(axis=0)
    off = exact - mean
    steps = np.diff(exact, axis=0)[neighbours]
    if not len(steps):
        steps = np.zeros((1, frames.shape[1]))
    rows = (
        mean[None],
        np.sqrt(np.square(off).mean(axis=0))[None],
        quantiles,
        parabola @ off,
        np.abs(steps).mean(axis=0)[None],
        steps.std(axis=0)[None],
    )
    return np.concatenate(rows)


def _parabola(times: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Weights of the frames whose sums are the best parabola's slope and bend: [T] -> [2, T].

    The straight part and the curved one are fitted each at right angles to what is before it, so
    the slope is that of the best straight line.
    """
    span = max(int(times[-1] - times[0]), 1)
    time = 2 * (times - times[0]) / span - 1
    straight = time - time.mean()
    curved = _without(np.square(straight), np.ones(len(times)))
    curved = _without(curved, straight)
    weights = np.zeros((2, len(times)))
    for row, shape in zip(weights, (straight, curved), strict=True):
        power = np.square(shape).sum()
        if power > 1e-9:
            row[:] = shape / power
    return weights


def _without(
    values: npt.NDArray[np.float64], shape: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    power = np.square(shape).sum()
    return values - shape * (values @ shape / power) if power > 1e-9 else values
