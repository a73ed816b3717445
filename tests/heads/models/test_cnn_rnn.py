"""Convolutions and the GRU are torch's own, of each clip alone; pooling is by its formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from embedcache.errors import UsageError
from heads.models import load_head
from heads.stacked import Stack, Standardise

cnn_rnn = load_head("cnn-rnn")
DIM, LENGTHS = 5, (13, 1, 6, 10)


def build(models=2, **settings):
    torch.manual_seed(0)
    standardise = Standardise(torch.randn(models, DIM), torch.rand(models, DIM) + 0.5)
    stack = Stack([torch.Generator().manual_seed(k) for k in range(models)], [0.4] * models)
    config = cnn_rnn.Config(**{"channels": (6, 4), "rnn": 3} | settings)
    return cnn_rnn.Head(config, DIM, 3, standardise, stack).eval()


def batch():
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return torch.randn(len(LENGTHS), max(LENGTHS), DIM), mask


def torch_gru(rnn, k):
    """Model k's GRU as `nn.GRU`."""
    theirs = nn.GRU(rnn.forward_input.shape[-1], rnn.width, batch_first=True, bidirectional=True)
    for suffix, direction in (("", "forward"), ("_reverse", "backward")):
        for label, name in (
            ("weight_ih", "input"),
            ("weight_hh", "state"),
            ("bias_ih", "input_bias"),
            ("bias_hh", "state_bias"),
        ):
            own = getattr(rnn, f"{direction}_{name}")[k]
            getattr(theirs, f"{label}_l0{suffix}").data = own.data
    return theirs


def reference(head, k, frames, stride):
    """What torch's modules make of one clip's frames [T, D]: [T / S, 2 W]."""
    x = (frames - head.standardise.mean[k]) / head.standardise.deviation[k]
    for convolution in head.convolutions:
        own = nn.Conv1d(x.shape[-1], convolution.weight.shape[1], 5, stride, padding=2)
        own.weight.data, own.bias.data = convolution.weight[k].data, convolution.bias[k].data
        x = nn.functional.layer_norm(own(x.T[None])[0].T, own.bias.shape).relu()
    return torch_gru(head.rnn, k)(x[None])[0][0]


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_each_clip_goes_through_torchs_convolutions_and_gru(stride):
    head, (frames, mask) = build(subsample=1, stride=stride), batch()
    encoded, shown = head.encode(frames, mask)
    for k in range(2):
        for b, length in enumerate(LENGTHS):
            expected = reference(head, k, frames[b, :length], stride)
            assert shown[b].sum() == len(expected)
            torch.testing.assert_close(encoded[k, b, : len(expected)], expected)


def test_the_gru_passes_over_frames_that_are_hidden():
    head, x = build(), torch.randn(2, 1, 9, 4)
    shown = torch.tensor([[False, True, True, False, False, True, True, False, True]])
    found = head.rnn(x, shown)
    torch.testing.assert_close(found[:, :, shown[0]], head.rnn(x[:, :, shown[0]], shown[:, :5] | 1))


@pytest.mark.parametrize("pooling", ["attention", "mean", "max"])
def test_pooling_is_by_its_formula(pooling):
    head, (frames, mask) = build(subsample=1, stride=1, pooling=pooling), batch()
    encoded, _ = head.encode(frames, mask)
    weights = head.frame_weights(frames, mask)
    logits = head(frames, mask)
    for k in range(2):
        for b, length in enumerate(LENGTHS):
            x = encoded[k, b, :length]
            if pooling == "max":
                pooled, places = x.max(dim=0)
                expected = torch.bincount(places, minlength=length) / x.shape[1]
            else:
                expected = torch.full((length,), 1 / length)
                if pooling == "attention":
                    expected = (x @ head.query[k]).softmax(dim=0)
                pooled = expected @ x
            torch.testing.assert_close(weights[b, k, :length], expected)
            classifier = head.classifier.layers[0]
            answer = pooled @ classifier.weight[k] + classifier.bias[k, 0]
            torch.testing.assert_close(logits[k, b], answer)


def test_frames_of_a_window_share_its_weight():
    """Two averaged, and two strides of two: eight frames."""
    weights = build(subsample=2).frame_weights(
        torch.randn(1, 20, DIM), torch.ones(1, 20, dtype=torch.bool)
    )
    for start, stop in ((0, 8), (8, 16), (16, 20)):
        window = weights[..., start:stop]
        assert torch.equal(window, window[..., :1].expand_as(window))
    assert not torch.equal(weights[..., 0], weights[..., 8])


def test_without_convolutions_the_gru_sees_the_frames():
    head, (frames, mask) = build(subsample=1, channels=()), batch()
    encoded, _ = head.encode(frames, mask)
    seen = (frames[0] - head.standardise.mean[1]) / head.standardise.deviation[1]
    torch.testing.assert_close(encoded[1, 0], torch_gru(head.rnn, 1)(seen[None])[0][0])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kernel": 4}, "cnn-rnn: --set kernel=4: give an odd number"),
        ({"kernel": -1}, "cnn-rnn: --set kernel=-1: give 1 or more"),
        ({"stride": 0}, "cnn-rnn: --set stride=0: give 1 or more"),
        ({"subsample": 0}, "cnn-rnn: --set subsample=0: give 1 or more"),
        ({"rnn": 0}, "cnn-rnn: --set rnn=0: give 1 or more"),
        ({"pooling": "last"}, "cnn-rnn: --set pooling=last: give attention, mean, max"),
    ],
)
def test_settings_outside_their_range_are_refused(changes, text):
    with pytest.raises(UsageError, match=text):
        cnn_rnn.Config(**changes)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_gradients_of_a_single_window_in_half_precision_are_those_of_its_values(stride):
    """Where nothing fills them in, they are what memory held before; so it holds NaN here."""
    gradients = []
    frames = torch.randn(2, 3, DIM).bfloat16()
    for given in (frames, frames.float()):
        head = build(subsample=4, stride=stride, channels=(128, 128))
        for _ in range(10):
            for size in (100, 1000, 10_000, 100_000):
                torch.full((size,), torch.nan)
            head.zero_grad()
            head(given, torch.ones(2, 3, dtype=torch.bool)).square().sum().backward()
        gradients.append([convolution.weight.grad for convolution in head.convolutions])
    for half, whole in zip(*gradients, strict=True):
        assert (half - whole).norm() < 0.1 * whole.norm()
