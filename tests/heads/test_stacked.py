"""Stacked blocks are the torch blocks that they stand for, once per model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from embedcache.errors import UsageError
from heads.stacked import (
    Stack,
    StackedDropout,
    StackedLinear,
    StackedPerceptron,
    Standardise,
    attention_weights,
    keep_models,
    run_some,
    uniform,
)

varied = settings(deadline=None, max_examples=40)
sizes = st.tuples(*[st.integers(1, 6)] * 4, st.integers(0, 2**32 - 1))


def stack(*seeds, dropout=0.5):
    return Stack([torch.Generator().manual_seed(seed) for seed in seeds], [dropout] * len(seeds))


def as_linear(stacked, k):
    """Model k of a StackedLinear as nn.Linear."""
    linear = nn.Linear(*stacked.weight.shape[1:])
    with torch.no_grad():
        linear.weight.copy_(stacked.weight[k].T)
        linear.bias.copy_(stacked.bias[k, 0])
    return linear


@varied
@given(sizes)
def test_each_model_is_an_affine_map_of_torch(size):
    models, count, inputs, outputs, seed = size
    torch.manual_seed(seed)
    stacked = StackedLinear(inputs, outputs, stack(*range(models)))
    x = torch.randn(models, count, inputs)
    for k, y in enumerate(stacked(x)):
        torch.testing.assert_close(y, as_linear(stacked, k)(x[k]))


def test_perceptron_is_linear_relu_linear():
    stacked = StackedPerceptron((4, 7, 5, 3), stack(0, 1)).eval()
    x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    linears = [block for block in stacked.layers if isinstance(block, StackedLinear)]
    for k in range(2):
        first, second, last = (as_linear(linear, k) for linear in linears)
        expected = last(second(first(x[k]).relu()).relu())
        torch.testing.assert_close(stacked(x)[k], expected)


def test_perceptron_without_hidden_layers_is_linear():
    stacked = StackedPerceptron((4, 3), stack(0))
    x = torch.randn(1, 9, 4)
    torch.testing.assert_close(stacked(x)[0], as_linear(stacked.layers[0], 0)(x[0]))


@pytest.mark.parametrize("inputs", [3, 64])
def test_weights_begin_as_those_of_torch_do(inputs):
    """nn.Linear: weights and biases from U(-1 / sqrt(D), 1 / sqrt(D))."""
    torch.manual_seed(0)
    theirs = nn.Linear(inputs, 3000)
    ours = StackedLinear(inputs, 3000, stack(5))
    bound = inputs**-0.5
    for a, b in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        a, b = a.detach().numpy().ravel(), b.detach().numpy().ravel()
        assert 0.99 * bound < np.abs(a).max() <= bound
        assert stats.kstest(a, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
        assert stats.ks_2samp(a, b).pvalue > 1e-3


def test_a_models_numbers_are_its_generators_alone():
    alone = uniform((3, 2), 1.0, stack(7))
    among = uniform((3, 2), 1.0, stack(1, 7, 2))
    assert torch.equal(alone[0], among[1])
    assert not torch.equal(among[0], among[1])


# Dropout


def test_dropout_keeps_the_expectation():
    x = torch.ones(2, 400, 500)
    y = StackedDropout(stack(0, 1, dropout=0.3))(x)
    assert sorted(set(y.unique().tolist())) == pytest.approx([0, 1 / 0.7])
    dropped = int((y == 0).sum())
    low, high = stats.binom.interval(1 - 1e-6, x.numel(), 0.3)
    assert low <= dropped <= high


def test_dropout_of_a_model_does_not_depend_on_its_neighbours():
    x = torch.randn(3, 20, 30)
    among = StackedDropout(stack(4, 5, 6, dropout=0.5))(x)
    alone = StackedDropout(stack(5, dropout=0.5))(x[1:2])
    assert torch.equal(among[1], alone[0])


def test_dropout_of_neighbours_is_independent():
    kept = StackedDropout(stack(0, 1, dropout=0.5))(torch.ones(2, 200, 500)) > 0
    both = int((kept[0] & kept[1]).sum())
    low, high = stats.binom.interval(1 - 1e-6, kept[0].numel(), 0.25)
    assert low <= both <= high


def test_dropout_draws_anew_each_time():
    dropout, x = StackedDropout(stack(0, dropout=0.5)), torch.ones(1, 10, 10)
    assert not torch.equal(dropout(x), dropout(x))


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_dropout_leaves_all_in_place(p, training):
    x = torch.randn(2, 5, 5)
    assert torch.equal(StackedDropout(stack(0, 1, dropout=p)).train(training)(x), x)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_dropout_is_a_share(p):
    with pytest.raises(UsageError, match=rf"--set dropout={p}: give a share from 0 to below 1"):
        StackedDropout(stack(0, dropout=p))


# Standardisation


@pytest.mark.parametrize("shape", [(3, 4), (3, 9, 4), (3, 2, 5, 4)])
def test_standardise_is_per_model_and_dimension(shape):
    rng = np.random.default_rng(0)
    mean, deviation = rng.standard_normal((3, 4)), rng.uniform(0.5, 2, (3, 4))
    x = rng.standard_normal(shape)
    expected = np.stack([(x[k] - mean[k]) / deviation[k] for k in range(3)])
    found = Standardise(torch.from_numpy(mean), torch.from_numpy(deviation))(torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), expected)


def test_standardise_commutes_with_a_weighted_mean():
    torch.manual_seed(0)
    standardise = Standardise(torch.randn(1, 4), torch.rand(1, 4) + 0.5)
    frames, weights = torch.randn(1, 10, 4), torch.rand(10).softmax(0)
    before = (standardise(frames) * weights[:, None]).sum(dim=1)
    torch.testing.assert_close(standardise((frames * weights[:, None]).sum(dim=1)), before)


def test_standardise_is_saved_with_the_model_and_not_trained():
    standardise = Standardise(torch.zeros(1, 4), torch.ones(1, 4))
    assert set(standardise.state_dict()) == {"mean", "deviation"}
    assert list(standardise.parameters()) == []


# Softmax


@varied
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_attention_weights_are_the_softmax_of_what_is_there(count, queries, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 8, count)
    frames = torch.from_numpy(rng.standard_normal((count, 8, 5)))
    asked = torch.from_numpy(rng.standard_normal((queries, 5)))
    mask = torch.arange(8) < torch.from_numpy(lengths)[:, None]
    found = attention_weights(frames, mask, asked)
    for b, length in enumerate(lengths):
        own = (frames[b, :length] @ asked.T).T.softmax(-1)
        torch.testing.assert_close(found[b, :, :length], own)
        assert (found[b, :, length:] == 0).all()


# Layers


def layered(models=2, layers=3, dim=4):
    torch.manual_seed(0)
    made = Standardise(
        torch.randn(models, layers * dim), torch.rand(models, layers * dim) + 0.5, layers
    )
    with torch.no_grad():
        made.layer_scores.copy_(torch.randn(models, layers))
    return made


def test_layers_are_standardised_weighed_and_summed():
    standardise, x = layered(), torch.randn(2, 5, 12)
    weights = standardise.layer_scores.softmax(dim=-1)
    found = standardise(x)
    for k in range(2):
        seen = ((x[k] - standardise.mean[k]) / standardise.deviation[k]).view(5, 3, 4)
        expected = sum(weights[k, n] * seen[:, n] for n in range(3))
        torch.testing.assert_close(found[k], expected)


def test_a_query_of_what_is_seen_is_one_of_the_frames_but_for_a_constant():
    standardise, frames = layered(), torch.randn(6, 12)
    queries = torch.randn(2, 2, 3, 4)
    seen = standardise(frames.expand(2, 6, 12))  # [K, 6, D]
    spread = standardise.queries(queries)
    assert spread.shape == (2, 2, 3, 12)
    for k in range(2):
        plain = torch.einsum("td,qhd->qht", seen[k], queries[k])
        ours = torch.einsum("td,qhd->qht", frames, spread[k])
        difference = ours - plain
        torch.testing.assert_close(
            difference, difference[..., :1].expand_as(difference), atol=1e-4, rtol=0
        )


def test_one_layer_has_nothing_to_weigh():
    standardise = Standardise(torch.zeros(2, 4), torch.ones(2, 4))
    assert standardise.layer_scores is None
    assert standardise.layer_weights().tolist() == [[1.0], [1.0]]


# Some of the models


def test_those_that_are_kept_are_as_they_were():
    whole = StackedPerceptron((4, 6, 3), stack(0, 1, 2, dropout=0.4)).train()
    part = StackedPerceptron((4, 6, 3), stack(0, 1, 2, dropout=0.4)).train()
    keep_models(part, [2, 0])
    x = torch.randn(3, 5, 4)
    torch.testing.assert_close(part(x[[2, 0]]), whole(x)[[2, 0]])  # dropout is their own, too


def test_some_models_run_without_the_others():
    whole = StackedPerceptron((4, 6, 3), stack(0, 1, 2)).eval()
    x = torch.randn(3, 5, 4)

    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.classifier = whole

        def forward(self, frames, mask):
            return self.classifier(frames)

    head = Head()
    found = run_some(head, head.state_dict(), slice(1, 3), x[1:3], None)
    torch.testing.assert_close(found, whole(x)[1:3])
