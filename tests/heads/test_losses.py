"""Losses and class weights agree with torch and scikit-learn."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from embedcache.errors import SerError, UsageError
from heads.labels import smooth
from heads.losses import (
    CLASS_WEIGHTS,
    LOSSES,
    class_weights,
    cross_entropy,
    find_loss,
    focal,
    kl,
)

varied = settings(deadline=None, max_examples=50)
sizes = st.tuples(
    st.integers(1, 4), st.integers(1, 9), st.integers(2, 6), st.integers(0, 2**32 - 1)
)


def draw(models, count, classes, seed):
    """Logits [K, B, C]; targets [B, C], every second one-hot; weights [K, C]."""
    rng = np.random.default_rng(seed)
    targets = rng.dirichlet(np.ones(classes), count)
    targets[::2] = np.eye(classes)[rng.integers(0, classes, len(targets[::2]))]
    arrays = (3 * rng.standard_normal((models, count, classes)), targets)
    weights = rng.uniform(0.2, 3, (models, classes))
    return *map(torch.from_numpy, arrays), torch.from_numpy(weights)


@varied
@given(sizes)
def test_cross_entropy_is_that_of_torch(size):
    logits, targets, weights = draw(*size)
    found = cross_entropy(logits, targets, weights)
    for k, one in enumerate(found):
        expected = functional.cross_entropy(
            logits[k], targets, weight=weights[k], reduction="none"
        )  # fmt: skip
        torch.testing.assert_close(one, expected)


@varied
@given(sizes)
def test_kl_is_that_of_torch(size):
    logits, targets, weights = draw(*size)
    found = kl(logits, targets, weights)
    for k, one in enumerate(found):
        pointwise = functional.kl_div(logits[k].log_softmax(-1), targets, reduction="none")
        torch.testing.assert_close(one, (weights[k] * pointwise).sum(-1))


@varied
@given(sizes)
def test_kl_and_cross_entropy_have_the_same_gradient(size):
    logits, targets, weights = draw(*size)
    gradients = []
    for loss in (cross_entropy, kl):
        leaf = logits.clone().requires_grad_()
        loss(leaf, targets, weights).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


def test_kl_is_zero_where_the_prediction_is_the_target():
    _, targets, _ = draw(1, 8, 4, 0)
    logits = torch.where(targets > 0, targets.log(), torch.tensor(-1e9, dtype=torch.float64))
    found = kl(logits[None], targets, torch.ones(1, 4, dtype=torch.float64))
    torch.testing.assert_close(found, torch.zeros_like(found))


# Focal loss


def focal_by_its_formula(logits, targets, weights, gamma):
    """Of one model, class by class, in numpy."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    total = np.zeros(len(targets))
    for c in range(targets.shape[1]):
        p = shares[:, c]
        total -= weights[c] * targets[:, c] * (1 - p) ** gamma * np.log(p)
    return total


@varied
@given(sizes, st.floats(0, 5))
def test_focal_loss_is_its_formula(size, gamma):
    logits, targets, weights = draw(*size)
    found = focal(logits, targets, weights, gamma)
    for k, one in enumerate(found):
        arrays = (x.numpy() for x in (logits[k], targets, weights[k]))
        np.testing.assert_allclose(one, focal_by_its_formula(*arrays, gamma), atol=1e-12)


@varied
@given(sizes)
def test_focal_loss_with_gamma_0_is_cross_entropy_and_has_its_gradient(size):
    logits, targets, weights = draw(*size)
    values, gradients = [], []
    zeros = torch.zeros(len(logits), dtype=torch.float64)
    for loss in (cross_entropy, find_loss("focal", 0), partial(focal, gamma=zeros)):
        leaf = logits.clone().requires_grad_()
        values.append(loss(leaf, targets, weights))
        values[-1].sum().backward()
        gradients.append(leaf.grad)
    for value, gradient in zip(values, gradients, strict=True):
        torch.testing.assert_close(value, values[0])
        torch.testing.assert_close(gradient, gradients[0])


@varied
@given(sizes, st.floats(0.1, 5))
def test_focal_loss_of_a_hard_target_is_that_of_lin(size, gamma):
    """-alpha_t (1 - p_t)^gamma log p_t, with the true class's probability alone."""
    logits, targets, weights = draw(*size)
    truth = targets.argmax(dim=-1)
    found = focal(logits, functional.one_hot(truth, targets.shape[1]).double(), weights, gamma)
    p = logits.softmax(dim=-1)[:, torch.arange(len(truth)), truth]
    torch.testing.assert_close(found, -weights[:, truth] * (1 - p) ** gamma * p.log())


@varied
@given(sizes, st.floats(0, 3), st.floats(0, 3))
def test_a_larger_gamma_never_raises_the_focal_loss(size, first, second):
    low, high = sorted((first, second))
    smaller, larger = (focal(*draw(*size), gamma) for gamma in (high, low))
    assert (smaller <= larger + 1e-12).all()
    assert (smaller >= 0).all()


def test_each_model_may_have_its_own_gamma():
    logits, targets, weights = draw(3, 6, 4, 0)
    found = focal(logits, targets, weights, torch.tensor([0.0, 0.7, 2.0]))
    for k, gamma in enumerate((0.0, 0.7, 2.0)):
        alone = focal(logits[[k]], targets, weights[[k]], gamma)[0]
        torch.testing.assert_close(found[k], alone, rtol=1e-6, atol=0)  # gamma is in float32


def test_focal_loss_is_not_least_at_the_target():
    """Its probabilities are no shares of votes: at its minimum they are flatter than those."""
    target = np.array([[0.8, 0.2]])
    one = torch.ones(1, 2, dtype=torch.float64)

    def least(loss):
        def value(x):
            logits = torch.tensor([[[x, 0.0]]], dtype=torch.float64)
            return float(loss(logits, torch.from_numpy(target), one))

        return expit(minimize_scalar(value, bounds=(-10, 10), options={"xatol": 1e-9}).x)

    assert least(cross_entropy) == pytest.approx(0.8, abs=1e-6)
    assert 0.5 < least(focal) < 0.75


# All of them


@varied
@given(sizes, st.sampled_from(["cross-entropy", "focal"]))
def test_the_loss_on_soft_targets_is_the_mean_over_votes(size, name):
    _, count, classes, seed = size
    logits, _, weights = draw(*size)
    votes = np.random.default_rng(seed).integers(0, classes, (count, 5))
    rows = np.eye(classes)[votes]  # [B, votes, C]
    soft = LOSSES[name](logits, torch.from_numpy(rows.mean(axis=1)), weights)
    hard = [LOSSES[name](logits, torch.from_numpy(rows[:, v]), weights) for v in range(5)]
    torch.testing.assert_close(soft, torch.stack(hard).mean(dim=0))


@varied
@given(sizes, st.floats(0, 0.9))
def test_smoothed_targets_are_the_label_smoothing_of_torch(size, share):
    logits, targets, weights = draw(*size)
    smoothed = torch.from_numpy(smooth(targets.numpy(), share))
    found = cross_entropy(logits, smoothed, weights)
    for k, one in enumerate(found):
        expected = functional.cross_entropy(
            logits[k], targets, weight=weights[k], reduction="none", label_smoothing=share
        )  # fmt: skip
        torch.testing.assert_close(one, expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_differences(name, gamma):
    logits, targets, weights = draw(2, 5, 4, 1)
    loss = partial(focal, gamma=gamma) if name == "focal" else LOSSES[name]
    leaf = logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, targets, weights), leaf)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("name", LOSSES)
def test_certainty_has_finite_losses_and_gradients(name, gamma):
    """Logits apart by thousands: right, wrong, and with a target between."""
    loss = partial(focal, gamma=gamma) if name == "focal" else LOSSES[name]
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
    leaf = torch.tensor([[5e3, -5e3, 0.0]]).expand(1, 3, 3).clone().requires_grad_()
    found = loss(leaf, targets, torch.ones(1, 3))
    found.sum().backward()
    assert found[0, 0] == 0
    torch.testing.assert_close(found[0, 1], torch.tensor(1e4))
    assert leaf.grad.isfinite().all()
    assert (leaf.grad[0, 0] == 0).all()
    assert leaf.grad[0, 1].abs().max() >= 0.5  # and an error still moves the model


@varied
@given(sizes, st.sampled_from(sorted(LOSSES)))
def test_float32_is_near_float64(size, name):
    logits, targets, weights = draw(*size)
    exact = LOSSES[name](10 * logits, targets, weights)
    single = LOSSES[name](10 * logits.float(), targets.float(), weights.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", LOSSES)
def test_16_bit_logits_lose_nothing_more(name, dtype):
    logits, targets, weights = (x.float() for x in draw(2, 5, 4, 3))
    found = LOSSES[name](logits.to(dtype), targets, weights)
    expected = LOSSES[name](logits.to(dtype).float(), targets, weights)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_models_do_not_touch_each_other(name):
    logits, targets, weights = draw(3, 5, 4, 4)
    leaf = logits.clone().requires_grad_()
    found = LOSSES[name](leaf, targets, weights)
    found[1].sum().backward()
    assert (leaf.grad[[0, 2]] == 0).all()
    assert (leaf.grad[1] != 0).any()
    alone = LOSSES[name](logits[[1]], targets, weights[[1]])
    torch.testing.assert_close(found[1], alone[0], rtol=0, atol=0)


def test_losses_are_found_by_their_names():
    assert {name: find_loss(name) for name in LOSSES} == LOSSES
    drawn = draw(2, 4, 3, 0)
    torch.testing.assert_close(find_loss("focal", 1.5)(*drawn), focal(*drawn, 1.5))
    with pytest.raises(UsageError, match="unknown loss 'cross_entropy': did you mean"):
        find_loss("cross_entropy")


def test_gamma_is_of_the_focal_loss_and_not_negative():
    with pytest.raises(UsageError, match="gamma=2.0: the loss kl has none; leave it out, or give"):
        find_loss("kl", 2.0)
    for gamma in (-1.0, np.nan, np.inf):
        with pytest.raises(UsageError, match=f"gamma={gamma}: give 0, which is cross-entropy, or"):
            find_loss("focal", gamma)


# Class weights


@varied
@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_balanced_weights_are_those_of_scikit_learn(classes, models, seed):
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), rng.integers(0, classes, 30)])
    train = rng.random((models, len(truth))) < 0.7
    train[:, :classes] = True  # each class trains each model
    found = class_weights("balanced", np.eye(classes)[truth], train)
    for weights, own in zip(found, train, strict=True):
        expected = compute_class_weight("balanced", classes=np.arange(classes), y=truth[own])
        np.testing.assert_allclose(weights, expected)
        assert weights[truth[own]].mean() == pytest.approx(1.0)


def test_soft_targets_count_by_their_shares():
    found = class_weights("balanced", np.array([[0.75, 0.25], [0.75, 0.25]]), np.ones((1, 2), bool))
    np.testing.assert_allclose(found, [[2 / (2 * 1.5), 2 / (2 * 0.5)]])


@varied
@given(st.integers(2, 5), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_balanced_weights_of_soft_targets_are_those_of_weighted_rows(classes, count, seed):
    targets = np.random.default_rng(seed).dirichlet(np.ones(classes), count)
    found = class_weights("balanced", targets, np.ones((1, count), bool))[0]
    expected = compute_class_weight(
        "balanced",
        classes=np.arange(classes),
        y=np.tile(np.arange(classes), count),
        sample_weight=targets.ravel(),
    )
    np.testing.assert_allclose(found, expected)


@varied
@given(
    st.lists(st.integers(1, 200), min_size=2, max_size=5),
    st.one_of(st.just(0.0), st.floats(0.01, 0.9999)),
)
def test_effective_weights_are_inverse_effective_numbers(numbers, beta):
    """The effective number is what its definition adds up: 1 + beta + beta^2 + ... of n terms."""
    truth = np.repeat(np.arange(len(numbers)), numbers)
    train = np.ones((1, len(truth)), bool)
    found = class_weights("effective", np.eye(len(numbers))[truth], train, beta)[0]
    effective = np.array([sum(beta**i for i in range(n)) for n in numbers])
    np.testing.assert_allclose(found * effective, (found * effective)[0])
    assert found[truth].mean() == pytest.approx(1.0)


@varied
@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_effective_weights_lie_between_none_and_balanced(classes, models, seed):
    rng = np.random.default_rng(seed)
    targets = rng.dirichlet(np.ones(classes), 30)
    train = rng.random((models, 30)) < 0.7
    train[:, 0] = True
    none, balanced, middle = (class_weights(kind, targets, train) for kind in CLASS_WEIGHTS)
    first = class_weights("effective", targets, train, 0.0)
    last = class_weights("effective", targets, train, 1 - 1e-12)
    np.testing.assert_allclose(first, none)
    np.testing.assert_allclose(last, balanced, rtol=1e-9)
    spread = [(w.max(axis=1) / w.min(axis=1)) for w in (none, middle, balanced)]
    assert (spread[0] <= spread[1] + 1e-12).all()
    assert (spread[1] <= spread[2] + 1e-12).all()


@pytest.mark.parametrize("beta", [-0.1, 1.0, np.nan])
def test_beta_is_from_0_to_below_1(beta):
    with pytest.raises(UsageError, match=f"beta={beta}: give 0, which weighs all classes alike, t"):
        class_weights("effective", np.eye(2), np.ones((1, 2), bool), beta)


def test_no_weights_are_ones():
    found = class_weights("none", np.eye(3)[[0, 0, 1, 2]], np.ones((2, 4), bool))
    np.testing.assert_array_equal(found, np.ones((2, 3)))


def test_kinds_of_class_weights_are_known():
    with pytest.raises(UsageError, match="unknown --class-weights 'balance': did you mean 'bala"):
        class_weights("balance", np.eye(2), np.ones((1, 2), bool))


@pytest.mark.parametrize("kind", CLASS_WEIGHTS)
def test_a_class_without_training_utterance_has_no_weight(kind):
    train = np.array([[True, True], [True, False]])
    with pytest.raises(SerError, match="class 1 has no training utterance in model 1"):
        class_weights(kind, np.eye(2), train)
