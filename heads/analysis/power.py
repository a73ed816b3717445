"""How large a gap must be for data like these to show it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Array = npt.NDArray[np.float64]

LEVEL = 0.05
POWER = 0.8
_MOST_FREEDOM = 1e6  # beyond, Student's t is the normal distribution to six digits


def smallest_detectable(error: Array, freedom: Array) -> Array:
    """The smallest difference that a two-sided t-test at 5 % finds four times in five.

    With a true difference d, t = difference / error follows Student's noncentral t with
    noncentrality d / error; the answer is that d for which P(t > t_0.975) = 0.8. (J. Cohen 1988,
    Statistical Power Analysis for the Behavioral Sciences, chapter 2.) That t falls below -t_0.975
    instead has a probability under 1e-6, and is left aside.

    Args:
        error: Standard errors.
        freedom: Their degrees of freedom.

    Shape:
        error, freedom: [...]. Output: [...]; NaN where one of them is.

    >>> smallest_detectable(np.array([1.0]), np.array([22.0])).round(3).tolist()
    [2.932]
    """
    freedom = np.minimum(freedom, _MOST_FREEDOM)
    limit = stats.t.ppf(1 - LEVEL / 2, freedom)
    smallest: Array = special.nctdtrinc(freedom, 1 - POWER, limit) * error
    return smallest
