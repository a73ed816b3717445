"""Masking: what is hidden has no influence, and what is not hidden is as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.plugins import plugins
from heads.masking import draw_spans, masked
from heads.models import load_head
from heads.stacked import Stack, Standardise

HEADS = sorted(name for name in plugins("heads.models") if hasattr(load_head(name), "Head"))
varied = settings(deadline=None, max_examples=60)


def build(name, models=3, dim=6, classes=4, means=False):
    module = load_head(name)
    config = module.Config()
    if means and getattr(config, "pooling", "") == "auto":
        config = replace(config, pooling="mean")
    torch.manual_seed(0)
    standardise = Standardise(torch.randn(models, dim), torch.rand(models, dim) + 0.5)
    stack = Stack([torch.Generator().manual_seed(k) for k in range(models)], [0.3] * models)
    return module.Head(config, dim, classes, standardise, stack).eval()


def batch(dim=6):
    torch.manual_seed(1)
    mask = torch.arange(9) < torch.tensor([9, 5, 7])[:, None]
    return torch.randn(3, 9, dim), mask


@varied
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=8),
    st.floats(0, 0.8),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
)
def test_spans_lie_inside_their_rows_and_never_hide_all(lengths, share, span, seed):
    hidden = draw_spans(np.array(lengths), share, span, np.random.default_rng(seed))
    assert hidden.shape == (len(lengths), max(lengths))
    for row, length in zip(hidden, lengths, strict=True):
        assert not row[length:].any()
        assert abs(row[:length].sum() - share * length) < 1 or length == 1 or share * length < 1
        assert not row[:length].all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("span", [1, 10, 37])
def test_the_share_is_hidden_and_every_position_equally_often(share, span):
    hidden = draw_spans(np.full(4000, 50), share, span, np.random.default_rng(0))
    assert hidden.mean() == pytest.approx(share, abs=0.002)
    by_position = hidden.mean(axis=0)
    assert np.abs(by_position - share).max() < 5 * np.sqrt(share * (1 - share) / 4000) + 1e-9


def test_what_is_hidden_lies_in_spans():
    """Ends of spans, round the circle: about two for each ten hidden positions."""
    hidden = draw_spans(np.full(500, 200), 0.2, 10, np.random.default_rng(0))
    ends = (hidden != np.roll(hidden, 1, axis=1)).sum() / 2
    assert hidden.sum() / ends >= 10


def test_short_rows_get_their_share_on_average():
    hidden = draw_spans(np.full(20_000, 4), 0.1, 10, np.random.default_rng(0))
    assert hidden.mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("name", HEADS)
def test_hidden_frames_have_no_influence(name):
    head, (frames, mask) = build(name), batch()
    hidden = np.zeros((3, 9), bool)
    hidden[:, 2:4] = True
    none = np.zeros((3, 6), bool)
    other = frames.clone()
    other[:, 2:4] = 100.0
    with torch.no_grad():
        with masked(head, frames, mask, hidden, none) as given_:
            first = head(*given_)
        with masked(head, other, mask, hidden, none) as given_:
            second = head(*given_)
        untouched = head(frames, mask)
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, untouched)


@pytest.mark.parametrize("name", HEADS)
def test_a_hidden_dimension_has_each_models_own_mean(name):
    """As if the frames of model k had held its mean there: the reference sets them so.

    Pooled are means: a hidden dimension's deviation is not that of frames which all are the same.
    """
    head, (frames, mask) = build(name, means=True), batch()
    features = np.zeros((3, 6), bool)
    features[0, 1], features[2, 3:5] = True, True
    with torch.no_grad():
        with masked(head, frames, mask, np.zeros((3, 9), bool), features) as given_:
            found = head(*given_)
        for k, mean in enumerate(head.standardise.mean):
            filled = torch.where(torch.from_numpy(features)[:, None], mean, frames)
            torch.testing.assert_close(found[k], head(filled, mask)[k], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_afterwards_the_head_is_as_it_was(name):
    head, (frames, mask) = build(name), batch()
    with torch.no_grad():
        before = head(frames, mask)
        everything = np.ones((3, 6), bool)
        with (
            pytest.raises(ZeroDivisionError),
            masked(head, frames, mask, np.zeros((3, 9), bool), everything),
        ):
            raise ZeroDivisionError
        torch.testing.assert_close(head(frames, mask), before)
