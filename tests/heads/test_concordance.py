"""The concordance loss is Lin's, of what counts, and its gradient is true."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heads.concordance import ccc_loss

varied = settings(deadline=None, max_examples=60)
sizes = st.tuples(
    st.integers(1, 4), st.integers(1, 9), st.integers(1, 3), st.integers(0, 2**32 - 1)
)


def draw(models, count, dimensions, seed):
    """Predictions [K, B, E]; targets [B, E] in steps, some NaN; own [K, B]."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(1, 6, (count, dimensions)).astype(float)
    targets[rng.random(targets.shape) < 0.2] = np.nan
    predictions = 3 + rng.standard_normal((models, count, dimensions))
    return predictions, targets, rng.random((models, count)) < 0.7


def by_its_formula(predictions, targets, own):
    """One model's loss, dimension by dimension, with numpy's own covariance."""
    losses = []
    for x, y in zip(predictions.T, targets.T, strict=True):
        counted = own & ~np.isnan(y)
        if counted.sum() < 2:
            continue
        (sxx, sxy), (_, syy) = np.cov(x[counted], y[counted], bias=True)
        if np.ptp(y[counted]) == 0:
            losses.append(1.0)
            continue
        distance = x[counted].mean() - y[counted].mean()
        losses.append(1 - 2 * sxy / (sxx + syy + distance**2))
    return np.mean(losses) if losses else 0.0


def loss(predictions, targets, own):
    return ccc_loss(*map(torch.from_numpy, (predictions, targets, own)))


@varied
@given(sizes)
def test_it_is_its_formula_for_each_model(size):
    predictions, targets, own = draw(*size)
    expected = [by_its_formula(x, targets, mine) for x, mine in zip(predictions, own, strict=True)]
    np.testing.assert_allclose(loss(predictions, targets, own), expected, atol=1e-12)


@varied
@given(sizes)
def test_what_does_not_count_changes_nothing_and_has_no_gradient(size):
    predictions, targets, own = draw(*size)
    apart = ~own[..., None] | np.isnan(targets)
    wild = np.where(apart, np.nan, predictions)
    leaf = torch.from_numpy(wild).requires_grad_()
    found = ccc_loss(leaf, torch.from_numpy(targets), torch.from_numpy(own))
    torch.testing.assert_close(found.detach(), loss(predictions, targets, own))
    found.sum().backward()
    assert (leaf.grad[torch.from_numpy(apart)] == 0).all()
    assert leaf.grad.isfinite().all()


@varied
@given(sizes)
def test_a_model_is_as_it_is_alone(size):
    predictions, targets, own = draw(*size)
    together = loss(predictions, targets, own)
    alone = [loss(predictions[[k]], targets, own[[k]])[0] for k in range(len(own))]
    torch.testing.assert_close(together, torch.stack(alone))


@varied
@given(sizes, st.floats(-5, 5), st.floats(0.1, 10))
def test_one_scale_for_both_changes_nothing(size, shift, factor):
    predictions, targets, own = draw(*size)
    moved = loss(factor * predictions + shift, factor * targets + shift, own)
    torch.testing.assert_close(moved, loss(predictions, targets, own), atol=1e-9, rtol=0)


def test_gradients_are_those_of_differences():
    predictions, targets, own = draw(2, 8, 3, 0)
    leaf = torch.from_numpy(predictions).requires_grad_()
    counted = torch.from_numpy(targets), torch.from_numpy(own)
    assert torch.autograd.gradcheck(lambda x: ccc_loss(x, *counted), leaf)


def test_it_goes_from_0_to_2():
    targets = np.array([[1.0], [2.0], [4.0], [5.0]])
    own = np.ones((1, 4), bool)
    assert loss(targets[None], targets, own) == pytest.approx(0)
    assert loss(6 - targets[None], targets, own) == pytest.approx(2)
    assert loss(np.full((1, 4, 1), 2.5), targets, own) == pytest.approx(1)


def test_a_shift_costs_what_lin_says():
    """CCC of y + b and y is 2 s^2 / (2 s^2 + b^2), though the correlation is 1."""
    y = np.array([[1.0], [2.0], [4.0], [5.0]])
    expected = 2 * y.var() / (2 * y.var() + 0.49)
    assert loss(y[None] + 0.7, y, np.ones((1, 4), bool)) == pytest.approx(1 - expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.1, 2.0])
@pytest.mark.parametrize("offset", [0.0, 1e-6, 0.5])
def test_constant_targets_have_the_loss_1_and_no_gradient(dtype, value, offset):
    """The mean of seven times 0.1 is not 0.1, by rounding, and nothing comes of it."""
    targets = torch.full((7, 1), value, dtype=dtype)
    assert (targets.sum() / 7 == targets[0]) == (value == 2)
    leaf = (targets[None] + offset).clone().requires_grad_()
    found = ccc_loss(leaf, targets, torch.ones(1, 7))
    found.sum().backward()
    assert found.item() == 1
    assert (leaf.grad == 0).all()


def test_a_batch_without_two_utterances_of_a_model_has_no_loss():
    predictions, targets = np.ones((2, 3, 1)), np.array([[1.0], [2.0], [3.0]])
    own = np.array([[True, False, False], [False, False, False]])
    assert loss(predictions, targets, own).tolist() == [0, 0]


@pytest.mark.parametrize("targets", [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])
def test_a_prediction_that_is_no_number_is_not_hidden(targets):
    predictions = np.array([[[1.0], [np.nan], [2.0]]])
    assert loss(predictions, np.array(targets)[:, None], np.ones((1, 3), bool)).isnan()


def test_float32_does_not_cancel_far_from_zero():
    rng = np.random.default_rng(0)
    targets = 100 + rng.standard_normal((50, 1))
    predictions = targets[None] + 0.5 * rng.standard_normal((1, 50, 1))
    rounded = predictions.astype(np.float32), targets.astype(np.float32)
    own = np.ones((1, 50), bool)
    exact = loss(*(x.astype(np.float64) for x in rounded), own)
    torch.testing.assert_close(loss(*rounded, own).double(), exact, rtol=1e-5, atol=0)


def test_16_bits_are_computed_with_in_32():
    predictions, targets, own = map(torch.from_numpy, draw(2, 8, 2, 0))
    half = predictions.bfloat16()
    found = ccc_loss(half, targets, own)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, ccc_loss(half.float(), targets, own), rtol=0, atol=0)
