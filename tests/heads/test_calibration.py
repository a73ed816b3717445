"""Calibration curves are those of scikit-learn, and their errors those of their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve as reference_curve

from embedcache.errors import UsageError
from heads.calibration import (
    BINNINGS,
    BINS,
    calibration_curve,
    equal_width_bin,
    top_confidence,
)

varied = settings(deadline=None, max_examples=60)
cases = st.tuples(st.integers(1, 60), st.integers(1, 20), st.integers(0, 2**32 - 1))


def draw(count, seed, tied=False):
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0, 1, count)
    if tied:
        confidence = rng.choice([0.0, 0.31, 0.62, 1.0], count)
    return confidence, (rng.random(count) < confidence).astype(float)


@varied
@given(cases, st.booleans())
def test_with_bins_of_equal_width_it_is_that_of_scikit_learn(case, tied):
    count, bins, seed = case
    confidence, right = draw(count, seed, tied)
    curve = calibration_curve(confidence, right, bins)
    accuracy, mean = reference_curve(right, confidence, pos_label=1, n_bins=bins)
    filled = curve.count > 0
    np.testing.assert_allclose(curve.accuracy[filled], accuracy)
    np.testing.assert_allclose(curve.confidence[filled], mean)
    assert curve.count.sum() == count
    assert np.isnan(curve.accuracy[~filled]).all()


@varied
@given(cases, st.sampled_from(BINNINGS))
def test_its_errors_are_those_of_their_definitions(case, binning):
    count, bins, seed = case
    confidence, right = draw(count, seed)
    curve = calibration_curve(confidence, right, bins, binning)
    number = np.searchsorted(curve.edges[1:-1], confidence)
    gaps = {m: abs(right[number == m].mean() - confidence[number == m].mean()) for m in set(number)}
    expected = sum(gap * (number == m).mean() for m, gap in gaps.items())
    assert curve.error == pytest.approx(expected, abs=1e-12)
    assert curve.largest_error == pytest.approx(max(gaps.values()), abs=1e-12)


@varied
@given(st.integers(1, 8), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_adaptive_bins_hold_equally_many(each, bins, seed):
    rng = np.random.default_rng(seed)
    confidence, right = draw(each * bins + rng.integers(0, bins), seed)
    counts = calibration_curve(confidence, right, bins, "adaptive").count
    assert counts.max() - counts.min() <= 1


@varied
@given(cases, st.booleans())
def test_adaptive_edges_are_the_least_confidences_that_a_share_does_not_exceed(case, tied):
    count, bins, seed = case
    confidence, right = draw(count, seed, tied)
    curve = calibration_curve(confidence, right, bins, "adaptive")
    for m in range(1, bins + 1):
        holding = [x for x in confidence if (confidence <= x).sum() * bins >= m * count]
        assert curve.edges[m] == min(holding)
        assert curve.count[:m].sum() == (confidence <= min(holding)).sum()


@varied
@given(cases, st.sampled_from(BINNINGS), st.booleans())
def test_the_order_of_utterances_does_not_matter(case, binning, tied):
    count, bins, seed = case
    confidence, right = draw(count, seed, tied)
    order = np.random.default_rng(0).permutation(count)
    curves = [
        calibration_curve(confidence[rows], right[rows], bins, binning)
        for rows in (np.arange(count), order)
    ]
    np.testing.assert_array_equal(curves[0].count, curves[1].count)
    np.testing.assert_allclose(curves[0].accuracy, curves[1].accuracy)


def test_an_equal_confidence_of_all_is_one_bin():
    for binning in BINNINGS:
        curve = calibration_curve(np.full(5, 0.4), np.array([1.0, 1, 0, 0, 0]), 4, binning)
        assert sorted(curve.count) == [0, 0, 0, 5], binning
        assert curve.error == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("binning", BINNINGS)
def test_without_utterances_all_is_undefined(binning):
    curve = calibration_curve(np.zeros(0), np.zeros(0), 3, binning)
    assert curve.count.tolist() == [0, 0, 0]
    assert np.isnan([curve.error, curve.largest_error]).all()


def test_a_bin_holds_its_upper_edge():
    assert equal_width_bin(np.array([0.0, 0.2, 0.21, 0.6, 1.0]), 5).tolist() == [0, 0, 1, 2, 4]
    for edge in np.linspace(0, 1, BINS + 1)[1:]:
        number = int(equal_width_bin(np.array([edge - 1e-9]), BINS)[0])
        assert number == round(edge * BINS) - 1


def test_tied_votes_and_none_have_no_right_prediction():
    probabilities = np.array([[0.7, 0.3], [0.2, 0.8], [0.9, 0.1], [0.4, 0.6]])
    targets = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 0.0], [1.0, 0.0]])
    confidence, right = top_confidence(probabilities, targets)
    assert confidence.tolist() == [0.7, 0.6]
    assert right.tolist() == [1.0, 0.0]


def test_planted_overconfidence_is_found():
    """Right in 6 of 10 cases and 90 % sure: 30 points too sure."""
    curve = calibration_curve(np.full(10, 0.9), np.repeat([1.0, 0.0], [6, 4]))
    assert curve.error == pytest.approx(0.3)


def test_binnings_and_numbers_of_bins_are_known():
    some = np.ones(2)
    with pytest.raises(UsageError, match="unknown binning 'adaptativ': did you mean 'adaptive'"):
        calibration_curve(some, some, 5, "adaptativ")
    with pytest.raises(UsageError, match="0 bins of confidence: give 1 or more"):
        calibration_curve(some, some, 0)
