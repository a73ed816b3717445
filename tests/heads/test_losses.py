"""Losses and class weights agree with torch and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from embedcache.errors import SerError, UsageError
from heads.losses import LOSSES, class_weights, cross_entropy, find_loss, kl

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


def test_losses_are_found_by_their_names():
    assert {name: find_loss(name) for name in LOSSES} == LOSSES
    with pytest.raises(UsageError, match="unknown loss 'cross_entropy': did you mean"):
        find_loss("cross_entropy")


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


def test_no_weights_are_ones():
    found = class_weights("none", np.eye(3)[[0, 0, 1, 2]], np.ones((2, 4), bool))
    np.testing.assert_array_equal(found, np.ones((2, 3)))


def test_kinds_of_class_weights_are_known():
    with pytest.raises(UsageError, match="unknown --class-weights 'balance': did you mean 'bala"):
        class_weights("balance", np.eye(2), np.ones((1, 2), bool))


@pytest.mark.parametrize("kind", ["none", "balanced"])
def test_a_class_without_training_utterance_has_no_weight(kind):
    train = np.array([[True, True], [True, False]])
    with pytest.raises(SerError, match="class 1 has no training utterance in model 1"):
        class_weights(kind, np.eye(2), train)
