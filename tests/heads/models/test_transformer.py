"""The encoder is torch's own, of windows of frames; pooling is by a learned query or the mean."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from embedcache.errors import UsageError
from heads.models.transformer import Config, Head
from heads.sequences import sinusoids
from heads.stacked import Stack, Standardise

DIM = 5


def build(config, models=2):
    torch.manual_seed(0)
    standardise = Standardise(torch.randn(models, DIM), torch.rand(models, DIM) + 0.5)
    stack = Stack([torch.Generator().manual_seed(k) for k in range(models)], [0.4] * models)
    head = Head(config, DIM, 3, standardise, stack).eval()
    for name, parameter in head.named_parameters():
        if "norm" in name:
            nn.init.normal_(parameter)
    return head


def torch_encoder(head, k, config):
    """Model k's encoder as `nn.TransformerEncoder`; its keys' bias, which does nothing, is zero."""
    layer = nn.TransformerEncoderLayer(
        config.width, config.heads, config.feedforward,
        activation="gelu", batch_first=True, norm_first=True,
    )  # fmt: skip
    norm = nn.LayerNorm(config.width)
    theirs = nn.TransformerEncoder(layer, config.blocks, norm, enable_nested_tensor=False).eval()
    pairs = [(norm, head.norm)]
    for block, own in zip(theirs.layers, head.blocks, strict=True):
        block.self_attn.in_proj_weight.data = own.project.weight[k].T
        nn.init.zeros_(block.self_attn.in_proj_bias)
        pairs += [(block.norm1, own.attention_norm), (block.norm2, own.perceptron_norm)]
        for linear, stacked in (
            (block.self_attn.out_proj, own.output),
            (block.linear1, own.widen),
            (block.linear2, own.narrow),
        ):
            linear.weight.data, linear.bias.data = stacked.weight[k].T, stacked.bias[k, 0]
    for one, stacked in pairs:
        one.weight.data, one.bias.data = stacked.weight[k], stacked.bias[k]
    return theirs


@pytest.mark.parametrize("subsample", [1, 3])
def test_the_encoder_is_torchs(subsample):
    config = Config(blocks=2, heads=2, width=8, feedforward=12, subsample=subsample)
    head, frames = build(config), torch.randn(3, 12, DIM)
    mask = torch.arange(12) < torch.tensor([12, 3, 6])[:, None]
    found, shown = head.encode(frames, mask)
    means = frames.unflatten(1, (-1, subsample)).mean(dim=2)  # lengths are multiples
    assert torch.equal(shown, mask[:, ::subsample])
    for k in range(2):
        seen = (means - head.standardise.mean[k]) / head.standardise.deviation[k]
        x = seen @ head.project.weight[k] + head.project.bias[k]
        x = x + sinusoids(x.shape[1], 8, x.device)
        expected = torch_encoder(head, k, config)(x, src_key_padding_mask=~shown)
        torch.testing.assert_close(found[k][shown], expected[shown], rtol=1e-4, atol=1e-5)


def test_pooling_is_by_a_learned_query_or_the_mean():
    frames, mask = torch.randn(2, 7, DIM), torch.ones(2, 7, dtype=torch.bool)
    for pooling in ("query", "mean"):
        head = build(Config(width=8, subsample=1, pooling=pooling))
        encoded, _ = head.encode(frames, mask)
        weights = torch.full((2, 2, 7), 1 / 7)
        if pooling == "query":
            weights = torch.einsum("kbtw,kw->kbt", encoded, head.query).softmax(dim=-1)
        torch.testing.assert_close(head.frame_weights(frames, mask), weights.transpose(0, 1))
        pooled = (weights[..., None] * encoded).sum(dim=2)
        torch.testing.assert_close(head(frames, mask), head.classifier(pooled))


def test_frames_of_a_window_share_its_weight():
    head = build(Config(width=8, subsample=4))
    mask = torch.ones(2, 10, dtype=torch.bool)
    weights = head.frame_weights(torch.randn(2, 10, DIM), mask)
    for start, stop in ((0, 4), (4, 8), (8, 10)):
        window = weights[..., start:stop]
        assert torch.equal(window, window[..., :1].expand_as(window))
    assert not torch.equal(weights[..., 0], weights[..., 4])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"width": 20}, "transformer: width 20 must be even, and a multiple of heads 8"),
        ({"width": 9, "heads": 3}, "transformer: width 9 must be even, and a multiple of heads 3"),
        ({"heads": 0}, "transformer: --set heads=0: give 1 or more"),
        ({"subsample": 0}, "transformer: --set subsample=0: give 1 or more"),
        ({"blocks": -1}, "transformer: --set blocks=-1: give 1 or more"),
        ({"feedforward": 0}, "transformer: --set feedforward=0: give 1 or more"),
        ({"pooling": "max"}, "transformer: --set pooling=max: give query or mean"),
    ],
)
def test_settings_outside_their_range_are_refused(changes, text):
    with pytest.raises(UsageError, match=text):
        Config(**changes)
