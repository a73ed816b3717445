"""The smallest gap that is found four times in five."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from heads.analysis.power import smallest_detectable


@pytest.mark.parametrize("freedom", [0.5, 1.0, 2.7, 9.0, 22.0, 1e4, 1e9])
def test_students_noncentral_t_exceeds_its_limit_four_times_in_five(freedom):
    (found,) = smallest_detectable(np.array([0.03]), np.array([freedom]))
    limit = stats.t.ppf(0.975, min(freedom, 1e6))
    assert stats.nct.sf(limit, min(freedom, 1e6), found / 0.03) == pytest.approx(0.8, abs=1e-5)


def test_of_drawn_data_welchs_test_finds_it_four_times_in_five():
    """Two groups of 12 with equal spread: 22 degrees of freedom."""
    rng, repetitions = np.random.default_rng(0), 20_000
    error = 0.1 * np.sqrt(2 / 12)
    (gap,) = smallest_detectable(np.array([error]), np.array([22.0]))
    x = rng.normal(gap, 0.1, (repetitions, 12))
    y = rng.normal(0, 0.1, (repetitions, 12))
    found = (stats.ttest_ind(x, y, axis=1).pvalue <= 0.05).sum()
    low, high = stats.binom.interval(1 - 1e-4, repetitions, 0.8)
    assert low <= found <= high


def test_without_an_error_there_is_none():
    assert np.isnan(smallest_detectable(np.array([np.nan, 0.1]), np.array([3.0, np.nan]))).all()
