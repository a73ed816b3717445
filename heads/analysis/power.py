"""How large a gap must be for data like these to show it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from heads.analysis.significance import LEVEL

Array = npt.NDArray[np.float64]

POWER = 0.8
_ROUNDING = 1e-9
_MOST_FREEDOM = 1e6  # beyond, Student's t is the normal distribution to six digits


def smallest_detectable(error: Array, freedom: Array, level: float = LEVEL) -> Array:
    """The smallest difference that a two-sided t-test finds four times in five.

    With a true difference d, t = difference / error follows Student's noncentral t with
    noncentrality d / error; at the level 5 % the answer is that d for which P(t > t_0.975) = 0.8.
    (J. Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, chapter 2.) That t falls
    below -t_0.975 instead has a probability under 1e-6, and is left aside.

    Args:
        error: Standard errors.
        freedom: Their degrees of freedom.
        level: Above 0; a p at most so large is significant.

    Shape:
        error, freedom: [...]. Output: [...]; NaN where one of them is.

    >>> smallest_detectable(np.array([1.0]), np.array([22.0])).round(3).tolist()
    [2.932]
    """
    freedom = np.minimum(freedom, _MOST_FREEDOM)
    limit = stats.t.ppf(1 - level / 2, freedom)
    smallest: Array = special.nctdtrinc(freedom, 1 - POWER, limit) * error
    return smallest


def attainable_level(level: float, smallest_p: float) -> float:
    """The largest p up to a level that a test can give whose p are multiples of its smallest.

    Of four against four speakers p is 2 / 70, 4 / 70, ...: at 5 % such a test is one at 2.9 %.

    >>> round(attainable_level(0.05, 2 / 70), 4), attainable_level(0.05, 2 / 20)
    (0.0286, 0.0)
    """
    return float(np.floor(level / smallest_p + _ROUNDING)) * smallest_p
