"""Windows of frames, and blocks of heads that look at frames in their order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from embedcache.errors import UsageError
from heads.sequences import (
    ClipDropout,
    StackedNorm,
    check_sizes,
    frames_precision,
    query_weights,
    sinusoids,
    spread,
    subsample,
    weighted_mean,
)
from heads.stacked import Stack

varied = settings(deadline=None, max_examples=40)
shapes = st.tuples(
    st.integers(1, 4), st.integers(1, 23), st.integers(1, 9), st.integers(0, 2**32 - 1)
)


def stack(*seeds, dropout=0.5):
    return Stack([torch.Generator().manual_seed(seed) for seed in seeds], [dropout] * len(seeds))


def with_holes(batch, time, seed):
    """Frames [B, T, 3], and a mask that leaves each clip a frame at least."""
    rng = np.random.default_rng(seed)
    mask = rng.random((batch, time)) < rng.random()
    mask[np.arange(batch), rng.integers(0, time, batch)] = True
    frames = rng.standard_normal((batch, time, 3)).astype(np.float32)
    return torch.from_numpy(frames), torch.from_numpy(mask)


@varied
@given(shapes)
def test_subsampling_is_the_mean_of_each_windows_frames(shape):
    batch, time, size, seed = shape
    frames, mask = with_holes(batch, time, seed)
    means, shown = subsample(frames, mask, size)
    assert means.shape == (batch, -(-time // size), 3)
    for b in range(batch):
        for w in range(means.shape[1]):
            window = slice(w * size, (w + 1) * size)
            there = frames[b, window][mask[b, window]]
            assert shown[b, w] == (len(there) > 0)
            expected = there.mean(dim=0) if len(there) else torch.zeros(3)
            torch.testing.assert_close(means[b, w], expected)


def test_subsampling_by_one_changes_nothing_that_is_shown():
    frames, mask = with_holes(3, 11, 0)
    means, shown = subsample(frames, mask, 1)
    assert torch.equal(shown, mask) and torch.equal(means[mask], frames[mask])


@varied
@given(shapes)
def test_a_mean_weighted_by_window_is_the_mean_weighted_by_frame(shape):
    """So the weights that pictures show are those that pooling used."""
    batch, time, size, seed = shape
    frames, mask = with_holes(batch, time, seed)
    means, shown = subsample(frames, mask, size)
    generator = torch.Generator().manual_seed(seed % 1000)
    weights = torch.rand(2, *shown.shape, generator=generator) * shown
    each = spread(weights, mask, size)
    torch.testing.assert_close(each.sum(dim=-1), weights.sum(dim=-1))
    assert (each[:, ~mask] == 0).all()
    pooled = weighted_mean(weights, means.expand(2, -1, -1, -1))
    torch.testing.assert_close(torch.einsum("kbt,btd->kbd", each, frames), pooled)


def test_a_windows_weight_is_spread_evenly():
    mask = torch.tensor([[True, True, False, True, True]])
    found = spread(torch.tensor([[0.2, 0.3, 0.5]]), mask, 2)
    torch.testing.assert_close(found, torch.tensor([[0.1, 0.1, 0.0, 0.3, 0.5]]))


def test_query_weights_are_a_softmax_over_what_is_shown():
    x, query = torch.randn(2, 3, 11, 4), torch.randn(2, 4)
    _, mask = with_holes(3, 11, 0)
    found = query_weights(x, mask, query)
    for k in range(2):
        for b in range(3):
            there = mask[b]
            expected = (x[k, b, there] @ query[k]).softmax(dim=0)
            torch.testing.assert_close(found[k, b, there], expected)
            assert (found[k, b, ~there] == 0).all()


@pytest.mark.parametrize(("time", "width"), [(1, 2), (50, 8), (700, 256)])
def test_positions_are_the_papers(time, width):
    """PE(t, 2 i) = sin(t / 10000^(2 i / W)), PE(t, 2 i + 1) the cosine."""
    angles = np.arange(time)[:, None] / 10000 ** (np.arange(0, width, 2) / width)
    found = sinusoids(time, width, torch.device("cpu"))
    np.testing.assert_allclose(found[:, 0::2], np.sin(angles), atol=1e-3)
    np.testing.assert_allclose(found[:, 1::2], np.cos(angles), atol=1e-3)


def test_each_norm_is_a_layer_norm():
    norm, x = StackedNorm(6, stack(0, 1)), 5 * torch.randn(2, 3, 4, 6) + 1
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    for k in range(2):
        theirs = nn.LayerNorm(6)
        theirs.load_state_dict({"weight": norm.weight[k], "bias": norm.bias[k]})
        torch.testing.assert_close(norm(x)[k], theirs(x[k]))


def test_a_value_is_dropped_in_all_frames_of_a_clip_or_in_none():
    dropped = ClipDropout(stack(0, 1))(torch.ones(2, 30, 7, 40))
    assert torch.equal(dropped, dropped[:, :, :1].expand_as(dropped))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped[:, :, 0] == 0).float().mean() == pytest.approx(0.5, abs=0.04)
    assert not torch.equal(dropped[0], dropped[1])


def test_dropout_does_not_depend_on_the_length():
    short, long = (ClipDropout(stack(0))(torch.ones(1, 5, time, 9)) for time in (3, 60))
    assert torch.equal(short[:, :, 0], long[:, :, 0])


@pytest.mark.parametrize(
    ("dtype", "expected"), [(torch.float32, torch.float32), (torch.bfloat16, torch.bfloat16)]
)
def test_products_are_in_the_precision_of_the_frames(dtype, expected):
    a = torch.randn(2, 3, 3)
    with frames_precision(torch.zeros(1, dtype=dtype)):
        assert torch.bmm(a, a).dtype == expected
    assert torch.bmm(a, a).dtype == torch.float32


def test_sizes_below_one_are_refused():
    check_sizes("transformer", blocks=1, width=8)
    with pytest.raises(UsageError, match="^transformer: --set width=0: give 1 or more$"):
        check_sizes("transformer", blocks=1, width=0)
