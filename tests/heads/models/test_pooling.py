"""Pooling of mlp and attention, by their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from embedcache.encoders import ColumnRoles
from embedcache.errors import UsageError
from heads.models import attention, mha, mlp
from heads.pooling import pool_seen
from heads.stacked import Stack, Standardise


def build(module, pooling, dim=4):
    torch.manual_seed(0)
    standardise = Standardise(torch.randn(2, dim), torch.rand(2, dim) + 0.5)
    stack = Stack([torch.Generator().manual_seed(k) for k in range(2)], [0.3, 0.3])
    return module.Head(module.Config(pooling=pooling), dim, 3, standardise, stack).eval()


def explicit(head, k, frames):
    return (frames - head.standardise.mean[k]) / head.standardise.deviation[k]


def log_deviation(weights, h):
    """ln of the deviation around the weighted mean: weights [T], h [T, D]."""
    variance = weights @ (h - weights @ h).square()
    return 0.5 * (variance + 0.001).log()


def test_mlp_sees_the_mean_of_the_standardised_frames():
    head, frames = build(mlp, "mean"), torch.randn(1, 6, 4)
    means = torch.stack([explicit(head, k, frames).mean(dim=1) for k in range(2)])
    found = head(frames, torch.ones(1, 6, dtype=torch.bool))
    torch.testing.assert_close(found, head.classifier(means))


@pytest.mark.parametrize("pooling", ["auto", "mean-std"])
def test_mlp_sees_the_mean_and_the_deviation_of_one_layer(pooling):
    head, frames = build(mlp, pooling), torch.randn(1, 6, 4)
    even = torch.full((6,), 1 / 6)
    seen = [explicit(head, k, frames[0]) for k in range(2)]
    both = torch.stack([torch.cat([even @ h, log_deviation(even, h)]) for h in seen])
    found = head(frames, torch.ones(1, 6, dtype=torch.bool))
    torch.testing.assert_close(found, head.classifier(both[:, None]))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_mlp_keeps_no_more_of_a_clip_than_two_frames_with_its_mean_and_deviation(count):
    frames = np.random.default_rng(0).normal(50, 2, (count, 3)).astype(np.float32)
    mean = mlp.reducer(mlp.Config(pooling="mean"), ColumnRoles())(frames)
    np.testing.assert_allclose(mean, frames.mean(axis=0)[None], rtol=1e-6)
    for pooling in ("auto", "mean-std"):
        both = mlp.reducer(mlp.Config(pooling=pooling), ColumnRoles())(frames)
        assert both.shape == (2, 3)
        np.testing.assert_allclose(both.mean(axis=0), frames.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(both.std(axis=0), frames.std(axis=0), rtol=1e-4)


def test_mlp_with_functionals_takes_one_layer():
    standardise = Standardise(torch.zeros(1, 8), torch.ones(1, 8), layers=2)
    stack = Stack([torch.Generator()], [0.0])
    with pytest.raises(UsageError, match="layers: mlp with --set pooling=functionals takes one"):
        mlp.Head(mlp.Config(pooling="functionals"), 4, 3, standardise, stack)
    with pytest.raises(
        UsageError, match="--set pooling=max: give auto, mean, mean-std, functional"
    ):
        mlp.Config(pooling="max")


@pytest.mark.parametrize("module", [mlp, attention, mha])
def test_deviations_are_of_one_layer(module):
    standardise = Standardise(torch.zeros(1, 8), torch.ones(1, 8), layers=2)
    stack = Stack([torch.Generator()], [0.0])
    with pytest.raises(UsageError, match="weighs means of layers: [a-z]+ with --set pooling=mean-"):
        module.Head(module.Config(pooling="mean-std"), 4, 3, standardise, stack)


@pytest.mark.parametrize("module", [attention, mha])
def test_an_unknown_pooling_is_named_with_those_there_are(module):
    with pytest.raises(UsageError, match="--set pooling=max: give auto, mean, mean-std$"):
        module.Config(pooling="max")


def test_attention_pools_by_a_softmax_of_scores():
    """sum_t alpha_t h_t with alpha = softmax(w . h_t), on standardised frames."""
    head, frames = build(attention, "mean"), torch.randn(1, 6, 4)
    pooled = []
    for k in range(2):
        h = explicit(head, k, frames[0])
        pooled.append((h @ head.query[k]).softmax(dim=0) @ h)
    found = head(frames, torch.ones(1, 6, dtype=torch.bool))
    torch.testing.assert_close(found[:, 0], head.classifier(torch.stack(pooled)[:, None])[:, 0])


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_attention_takes_the_deviation_by_its_own_weights(offset):
    """Also where frames lie a thousand deviations from zero, and some are padding or hidden."""
    head, frames = build(attention, "auto"), torch.randn(1, 9, 4).double() + offset
    head.standardise.mean += offset
    mask = torch.tensor([[True, False, True, True, True, False, True, True, False]])
    both = []
    for k in range(2):
        h = explicit(head, k, frames[0, mask[0]])
        alpha = (h @ head.query[k].double()).softmax(dim=0)
        both.append(torch.cat([alpha @ h, log_deviation(alpha, h)]).float())
    found = head(frames.float(), mask)[:, 0]
    expected = head.classifier(torch.stack(both)[:, None])[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 if offset else 1e-5)


def test_hidden_dimensions_have_the_deviation_of_all_frames():
    """They are zero throughout then, which would else be told as no deviation at all."""
    head = build(attention, "mean-std")
    frames = torch.randn(1, 6, 4)
    frames[..., 1] = 0.0
    head.standardise.hidden = torch.tensor([[False, True, False, False]])
    mask = torch.ones(1, 6, dtype=torch.bool)
    seen = pool_seen(head.frame_weights, frames, mask, head.standardise, True)
    hidden = torch.zeros(2, 1, 1, 8, dtype=torch.bool)
    hidden[..., [1, 5]] = True
    assert (seen[hidden] == 0).all() and (seen[~hidden] != 0).all()


def test_mha_projects_values_from_mean_and_deviation_of_each_head():
    head, frames = build(mha, "auto"), torch.randn(1, 6, 4)
    mask = torch.ones(1, 6, dtype=torch.bool)
    weights = head.frame_weights(frames, mask)[0].view(2, 4, 6)
    for k in range(2):
        h = explicit(head, k, frames[0])
        both = [torch.cat([alpha @ h, log_deviation(alpha, h)]) for alpha in weights[k]]
        values = torch.cat([one @ value for one, value in zip(both, head.value[k], strict=True)])
        expected = (values + head.value_bias[k]) @ head.output.weight[k] + head.output.bias[k, 0]
        torch.testing.assert_close(head.attend(frames, mask)[k, 0, 0], expected)
