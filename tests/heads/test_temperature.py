"""The fitted temperature is the best one, is found where it was planted, and never runs away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.calibration import _TemperatureScaling

from embedcache.errors import SerError
from heads.calibration import calibration_curve, top_confidence
from heads.temperature import COLDEST, HOTTEST, fit_temperature, fit_temperatures

varied = settings(deadline=None, max_examples=60)
tables = st.tuples(st.integers(1, 60), st.integers(2, 6), st.integers(0, 2**32 - 1))


def loss(logits, targets, temperature):
    return -(targets * log_softmax(logits / temperature, axis=1)).sum(axis=1).mean()


def draw(count, classes, seed):
    """Logits of any size; distributions of three votes that lean towards them."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((count, classes))
    votes = [rng.multinomial(3, row) for row in softmax(logits, axis=1)]
    return logits * rng.uniform(0.1, 10), np.array(votes) / 3


@varied
@given(tables)
def test_no_other_temperature_within_the_bounds_is_better(table):
    logits, targets = draw(*table)
    found = fit_temperature(logits, targets)
    assert COLDEST <= found <= HOTTEST
    best = loss(logits, targets, found)
    for other in np.geomspace(COLDEST, HOTTEST, 60):
        assert best <= loss(logits, targets, other) + 1e-12
    searched = minimize_scalar(
        lambda inverse: loss(logits, targets, 1 / inverse), bounds=(1 / HOTTEST, 1 / COLDEST)
    )
    assert best <= searched.fun + 1e-12


@varied
@given(tables)
def test_on_hard_labels_it_is_that_of_scikit_learn(table):
    logits, targets = draw(*table)
    truth = targets.argmax(axis=1)
    assume(len(set(truth)) == targets.shape[1] > 2)
    hard = np.eye(targets.shape[1])[truth]
    found = fit_temperature(logits, hard)
    expected = float(
        np.clip(1 / _TemperatureScaling().fit(logits, truth.astype(float)).beta_, COLDEST, HOTTEST)
    )
    # Where hardly a prediction is wrong, theirs stops on the way to ours: the slope is nearly 0.
    assert loss(logits, hard, found) <= loss(logits, hard, expected) + 1e-9
    if not (logits.argmax(axis=1) == truth).all():
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("planted", [0.2, 1.0, 3.0])
def test_a_planted_temperature_is_found_and_mends_the_calibration(planted):
    rng = np.random.default_rng(0)
    honest = 2 * rng.standard_normal((20_000, 4))
    drawn = np.eye(4)[(softmax(honest, axis=1).cumsum(axis=1) < rng.random((20_000, 1))).sum(1)]
    logits = planted * honest
    found = fit_temperature(logits, drawn)
    assert found == pytest.approx(planted, rel=0.03)
    mended = calibration_curve(*top_confidence(softmax(logits / found, axis=1), drawn)).error
    assert mended < 0.015


@varied
@given(tables, st.floats(0.5, 2))
def test_it_goes_with_the_scale_of_the_logits(table, factor):
    logits, targets = draw(*table)
    found = fit_temperature(logits, targets)
    expected = np.clip(found * factor, COLDEST, HOTTEST)
    assume(COLDEST < found < HOTTEST and COLDEST < expected < HOTTEST)
    assert fit_temperature(logits * factor, targets) == pytest.approx(expected, rel=1e-6)


@varied
@given(tables, st.floats(-1e6, 1e6))
def test_what_is_added_to_all_logits_of_an_utterance_changes_nothing(table, shift):
    logits, targets = draw(*table)
    found = fit_temperature(logits + shift, targets)
    assert loss(logits, targets, found) == pytest.approx(
        loss(logits, targets, fit_temperature(logits, targets)), abs=1e-6
    )


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4, 1e30])
def test_where_every_prediction_is_right_it_stays_at_its_lower_bound(size):
    right = np.eye(3)[[0, 1, 2, 2]]
    assert fit_temperature(size * right, right) == COLDEST


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4, 1e30])
def test_where_every_prediction_is_wrong_it_stays_at_its_upper_bound(size):
    right = np.eye(3)[[0, 1, 2, 2]]
    assert fit_temperature(-size * right, right) == HOTTEST


def test_where_nothing_can_be_learnt_it_is_1():
    equal = np.full((5, 3), 0.1)
    assert fit_temperature(equal, np.eye(3)[[0, 1, 2, 0, 1]]) == 1
    assert fit_temperature(np.zeros((0, 3)), np.zeros((0, 3))) == 1
    assert fit_temperature(np.eye(3), np.zeros((3, 3))) == 1


@varied
@given(tables)
def test_utterances_without_votes_do_not_count(table):
    logits, targets = draw(*table)
    more = np.concatenate([logits, 3 * logits]), np.concatenate([targets, 0 * targets])
    assert fit_temperature(*more) == fit_temperature(logits, targets)


def test_each_model_has_that_of_its_own_validation():
    logits, targets = draw(40, 3, 0)
    stack = np.stack([logits, 2 * logits, logits])
    val = np.random.default_rng(0).random((3, 40)) < 0.5
    val[2] = False
    found = fit_temperatures(stack, targets, val)
    expected = [fit_temperature(stack[k][val[k]], targets[val[k]]) for k in range(3)]
    assert found.tolist() == expected
    assert found[2] == 1


def test_logits_must_be_finite():
    with pytest.raises(SerError, match="2 logits are not finite, and no temperature can be fitted"):
        fit_temperature(np.array([[np.nan, 1.0], [np.inf, 0.0]]), np.eye(2))
