"""CCC, RMSE and Pearson's correlation are the references', and their tallies add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import root_mean_squared_error

from heads.dimensional_metrics import (
    DIMENSIONAL_METRICS,
    dimensional_intervals,
    dimensional_scores,
    dimensional_tally,
)

varied = settings(deadline=None, max_examples=60)
tables = st.tuples(st.integers(2, 40), st.integers(1, 3), st.integers(0, 2**32 - 1))
NAMES = ("valence", "arousal", "dominance")


def draw(count, dimensions, seed):
    """Predictions, and values on a scale of 1 to 5 in thirds, some of them missing."""
    rng = np.random.default_rng(seed)
    targets = 1 + rng.integers(0, 13, (count, dimensions)) / 3
    predicted = 0.5 * targets + rng.uniform(-2, 2, (count, dimensions))
    return predicted, np.where(rng.random(targets.shape) < 0.15, np.nan, targets)


def score(predicted, targets):
    names = NAMES[: targets.shape[1]]
    found = dimensional_scores(dimensional_tally(predicted, targets).sum(axis=0), names)
    return {name: float(value) for name, value in found.items()}


def column(predicted, targets):
    """Scores of one dimension."""
    return score(np.array(predicted, float)[:, None], np.array(targets, float)[:, None])


@varied
@given(tables)
def test_they_are_those_of_scipy_scikit_learn_and_the_formula(table):
    predicted, targets = draw(*table)
    found = score(predicted, targets)
    for e, name in enumerate(NAMES[: targets.shape[1]]):
        known = ~np.isnan(targets[:, e])
        x, y = predicted[known, e], targets[known, e]
        if len(y):
            assert found[f"rmse_{name}"] == pytest.approx(root_mean_squared_error(y, x))
        if len(y) < 2:
            assert np.isnan([found[f"ccc_{name}"], found[f"pearson_{name}"]]).all()
            continue
        (sxx, sxy), (_, syy) = np.cov(x, y, bias=True)
        ccc = 2 * sxy / (sxx + syy + (x.mean() - y.mean()) ** 2) if np.ptp(y) else 0.0
        assert found[f"ccc_{name}"] == pytest.approx(ccc, abs=1e-10)
        pearson = stats.pearsonr(x, y).statistic if np.ptp(y) else np.nan
        assert found[f"pearson_{name}"] == pytest.approx(pearson, abs=1e-9, nan_ok=True)


@varied
@given(tables)
def test_ccc_never_exceeds_the_correlation(table):
    found = score(*draw(*table))
    for name in NAMES[: table[1]]:
        ccc, pearson = found[f"ccc_{name}"], found[f"pearson_{name}"]
        assert np.isnan(ccc) or np.isnan(pearson) or abs(ccc) <= abs(pearson) + 1e-12


@varied
@given(tables)
def test_means_are_over_dimensions(table):
    found = score(*draw(*table))
    for metric in DIMENSIONAL_METRICS:
        values = [found[f"{metric}_{name}"] for name in NAMES[: table[1]]]
        assert found[metric] == pytest.approx(np.mean(values), nan_ok=True)


@varied
@given(st.integers(2, 12), st.floats(-3, 3), st.floats(-2, 2), st.integers(0, 2**32 - 1))
def test_values_on_a_line_stay_within_the_ranges(count, slope, shift, seed):
    truth = np.random.default_rng(seed).permutation(np.arange(count)) / 3
    found = column(slope * truth + shift, truth)
    assert -1 <= found["ccc"] <= 1
    if abs(slope) > 1e-3:
        assert found["pearson"] == pytest.approx(np.sign(slope))
        assert abs(found["pearson"]) <= 1
    mirrored = column(truth.mean() * 2 - truth, truth)
    assert -1 <= mirrored["ccc"] == pytest.approx(-1)


def test_the_truth_itself_scores_exactly():
    truth = [1.1, 2.7, 3.3, 4.9]
    found = column(truth, truth)
    assert (found["ccc"], found["rmse"]) == (1.0, 0.0)
    assert found["pearson"] == pytest.approx(1.0)
    mirrored = column([6 - x for x in truth], truth)
    assert mirrored["pearson"] == pytest.approx(-1.0)


def test_a_shift_costs_what_lin_says():
    truth = np.array([1.0, 2.0, 4.0, 5.0])
    found = column(truth + 0.7, truth)
    assert found["ccc"] == pytest.approx(2 * truth.var() / (2 * truth.var() + 0.49))
    assert found["rmse"] == pytest.approx(0.7)
    assert found["pearson"] == pytest.approx(1.0)


@varied
@given(st.floats(-10, 10), st.integers(2, 50), st.integers(0, 2**32 - 1))
def test_constant_predictions_agree_in_nothing(value, count, seed):
    truth = np.random.default_rng(seed).permutation(np.arange(count)) / 3
    found = column(np.full(count, value), truth)
    assert found["ccc"] == 0
    assert np.isnan(found["pearson"])
    assert column(truth, np.full(count, value))["ccc"] == 0


@varied
@given(st.floats(-10, 10), st.integers(2, 50))
def test_one_constant_for_both_is_undefined(value, count):
    found = column(np.full(count, value), np.full(count, value))
    assert np.isnan([found["ccc"], found["pearson"]]).all()
    assert found["rmse"] == 0
    assert column(np.full(count, value), np.full(count, value + 1))["ccc"] == 0


def test_one_utterance_has_an_error_and_no_concordance():
    found = column([2.0], [3.0])
    assert found["rmse"] == 1
    assert np.isnan([found["ccc"], found["pearson"]]).all()


def test_without_annotation_all_is_undefined_and_so_is_the_mean():
    found = score(np.ones((3, 2)), np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan]]))
    assert found["rmse_valence"] > 0
    for metric in DIMENSIONAL_METRICS:
        assert np.isnan([found[f"{metric}_arousal"], found[metric]]).all(), metric


def test_a_prediction_that_is_no_number_is_not_hidden():
    found = column([np.nan, 1.0, 2.0], [1.0, 2.0, 3.0])
    assert np.isnan([found[metric] for metric in DIMENSIONAL_METRICS]).all()


def test_scores_keep_leading_axes():
    predicted, targets = draw(24, 3, 0)
    tallies = dimensional_tally(predicted, targets).reshape(2, 3, 4, -1).sum(axis=2)
    found = dimensional_scores(tallies, NAMES)
    for s, g in np.ndindex(2, 3):
        rows = np.arange(24).reshape(2, 3, 4)[s, g]
        for name, value in score(predicted[rows], targets[rows]).items():
            assert found[name][s, g] == pytest.approx(value, nan_ok=True), name


def test_intervals_are_the_jackknife_over_speakers():
    predicted, targets = draw(120, 2, 3)
    codes = np.arange(120) % 7
    codes[codes == 6] = np.arange((codes == 6).sum()) % 2 * 6  # half of one speaker's to another
    tallies = dimensional_tally(predicted, targets)
    known = np.array([(~np.isnan(targets[codes == g])).sum() for g in range(7)])
    effective = known.sum() ** 2 / (known**2).sum()
    assert 5 < effective < 6.9
    by_speaker = np.stack([tallies[codes == g].sum(axis=0) for g in range(7)])
    found = dimensional_intervals(by_speaker, NAMES[:2])
    for name, center in score(predicted, targets).items():
        left_out = [score(predicted[codes != g], targets[codes != g])[name] for g in range(7)]
        error = np.sqrt(6 / 7 * np.sum((left_out - np.mean(left_out)) ** 2))
        half = stats.t.ppf(0.975, effective - 1) * error
        assert found[name] == pytest.approx((center - half, center + half)), name


def test_intervals_stay_within_what_a_score_can_be():
    """Two speakers, one heard perfectly and one mirrored; then an error above 1."""
    truth = np.array([[1.0], [2.0], [3.0], [1.0], [2.0], [3.0]])
    predicted = truth.copy()
    predicted[3:] = 10 * (4 - truth[3:])
    tallies = dimensional_tally(predicted, truth).reshape(2, 3, -1).sum(axis=1)
    found = dimensional_intervals(tallies, NAMES[:1])
    assert found["ccc_valence"][0] >= -1
    assert found["ccc"][1] <= 1
    assert found["rmse"][0] == 0
    assert found["rmse"][1] > 1
