"""Pooling of mlp and attention, by their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from embedcache.encoders import ColumnRoles
from embedcache.errors import UsageError
from heads.models import attention, mlp
from heads.stacked import Stack, Standardise


def build(module, dim=4):
    torch.manual_seed(0)
    standardise = Standardise(torch.randn(2, dim), torch.rand(2, dim) + 0.5)
    stack = Stack([torch.Generator().manual_seed(k) for k in range(2)], [0.3, 0.3])
    return module.Head(module.Config(), dim, 3, standardise, stack).eval()


def explicit(head, k, frames):
    return (frames - head.standardise.mean[k]) / head.standardise.deviation[k]


def test_mlp_sees_the_mean_of_the_standardised_frames():
    head, frames = build(mlp), torch.randn(1, 6, 4)
    means = torch.stack([explicit(head, k, frames).mean(dim=1) for k in range(2)])
    found = head(frames, torch.ones(1, 6, dtype=torch.bool))
    torch.testing.assert_close(found, head.classifier(means))


def test_mlp_sees_the_mean_over_time_and_the_deviation_if_asked():
    frames = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    mean = mlp.reducer(mlp.Config(), ColumnRoles())
    np.testing.assert_allclose(mean(frames), frames.mean(axis=0)[None], rtol=1e-6)
    np.testing.assert_array_equal(mean(frames[:1]), frames[:1])
    both = mlp.reducer(mlp.Config(pooling="mean-std"), ColumnRoles())(frames)
    np.testing.assert_allclose(both[0], [*frames.mean(axis=0), *frames.std(axis=0)], rtol=1e-5)


def test_mlp_weighs_layers_of_means_only():
    standardise = Standardise(torch.zeros(1, 8), torch.ones(1, 8), layers=2)
    stack = Stack([torch.Generator()], [0.0])
    with pytest.raises(UsageError, match="weighs means of layers: mlp with --set pooling=mean-std"):
        mlp.Head(mlp.Config(pooling="mean-std"), 4, 3, standardise, stack)
    with pytest.raises(UsageError, match="--set pooling=max: give mean, mean-std, functionals"):
        mlp.Config(pooling="max")


def test_attention_pools_by_a_softmax_of_scores():
    """sum_t alpha_t h_t with alpha = softmax(w . h_t), on standardised frames."""
    head, frames = build(attention), torch.randn(1, 6, 4)
    pooled = []
    for k in range(2):
        h = explicit(head, k, frames[0])
        pooled.append((h @ head.query[k]).softmax(dim=0) @ h)
    found = head(frames, torch.ones(1, 6, dtype=torch.bool))
    torch.testing.assert_close(found[:, 0], head.classifier(torch.stack(pooled)[:, None])[:, 0])
