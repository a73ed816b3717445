"""Agreement of annotators, against Krippendorff's own example and his definition by pairs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from heads.agreement import krippendorff_alpha, majority_share, vote_entropy

varied = settings(deadline=None, max_examples=100)
counts = arrays.arrays(
    float, st.tuples(st.integers(1, 8), st.integers(2, 5)), elements=st.integers(0, 5).map(float)
)


def by_pairs(table):
    """1 - D_o / D_e over pairs of values, each unit's pairs weighted by 1 / (m_u - 1)."""
    units = [np.repeat(np.arange(table.shape[1]), row.astype(int)) for row in table]
    units = [unit for unit in units if len(unit) > 1]
    values = np.concatenate(units) if units else np.zeros(0)
    observed = sum((unit[:, None] != unit).sum() / (len(unit) - 1) for unit in units) / max(
        len(values), 1
    )
    different = (values[:, None] != values).sum()
    if not different:
        return None
    return 1 - observed / (different / (len(values) * (len(values) - 1)))


def test_the_published_example():
    """K. Krippendorff (2011): four observers, twelve units, missing values: alpha = 0.743."""
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
    table = np.array([np.bincount(unit, minlength=6)[1:] for unit in np.array(observers).T])
    alpha, utterances = krippendorff_alpha(table.astype(float))
    assert alpha == pytest.approx(0.743, abs=5e-4)
    assert utterances == 11  # one unit has a single value


@varied
@given(counts)
def test_alpha_is_that_of_the_pairs(table):
    wanted = by_pairs(table)
    found, _ = krippendorff_alpha(table)
    assert (found is None) == (wanted is None)
    assert wanted is None or found == pytest.approx(wanted, abs=1e-12)


def test_alpha_of_votes_at_random_is_zero():
    rng = np.random.default_rng(0)
    table = rng.multinomial(8, [0.4, 0.3, 0.2, 0.1], size=20_000).astype(float)
    assert krippendorff_alpha(table)[0] == pytest.approx(0, abs=0.005)


def test_shared_votes_are_left_out_and_counted():
    """Three annotators who all tick the same two emotions agree: counts cannot tell it."""
    shared = np.tile([1.5, 1.5, 0.0], (50, 1))
    thirds = np.array([[4 / 3, 1 / 3, 1 / 3]])
    whole = np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [2.0, 1.0, 0.0]])
    together = krippendorff_alpha(np.concatenate([shared, thirds, whole]))
    assert together == krippendorff_alpha(whole)
    assert together[1] == 3
    assert krippendorff_alpha(shared) == (None, 0)


def test_sums_of_thirds_that_are_whole_votes_count():
    whole = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 2.0]])
    rounded = whole + np.array([[2e-16, 0], [0, -3e-16], [1e-16, -2e-16]])
    assert krippendorff_alpha(rounded) == krippendorff_alpha(whole)


@varied
@given(counts)
def test_entropy_is_scipys_and_share_is_of_the_largest(table):
    voted = table[table.sum(axis=1) > 0]
    np.testing.assert_allclose(
        vote_entropy(voted), scipy.stats.entropy(voted, base=2, axis=1), atol=1e-12
    )
    shares = [max(row) / sum(row) for row in voted]
    np.testing.assert_allclose(majority_share(voted), np.array(shares).reshape(-1))


def test_without_votes_nothing_is_said_of_an_utterance():
    table = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert np.isnan(vote_entropy(table)).tolist() == [True, False]
    assert np.isnan(majority_share(table)).tolist() == [True, False]
    assert krippendorff_alpha(table) == (None, 0)
