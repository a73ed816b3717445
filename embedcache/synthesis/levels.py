"""Levels: root mean squares, and waves scaled to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from embedcache.synthesis import Array

_SILENCE = 1e-12  # below this there is nothing to scale


def rms(wave: Array) -> float:
    """Root mean square.

    Shape:
        wave [N].

    >>> rms(np.array([3.0, -3.0, 3.0, -3.0]))
    3.0
    """
    return float(np.sqrt(np.mean(wave * wave)))


def scale_to_rms(wave: Array, target: float) -> Array:
    """The wave with another root mean square; silence stays silence.

    Shape:
        wave [N] -> [N].

    >>> scale_to_rms(np.array([3.0, -3.0]), 0.5).tolist()
    [0.5, -0.5]
    """
    return wave * (target / max(rms(wave), _SILENCE))
