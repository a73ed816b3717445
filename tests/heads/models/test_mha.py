"""Multi-head attention pooling is `nn.MultiheadAttention` with learned queries."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from embedcache.errors import UsageError
from heads.models.mha import Config, Head
from heads.stacked import Stack, Standardise


def fold(ours, k, theirs, queries):
    """Give model k the weights of torch's attention for some queries [Q, width].

    q . (W_k h) / sqrt(d) = (W_k^T q / sqrt(d)) . h; the key's bias adds the same to each score.
    """
    width, heads = theirs.embed_dim, theirs.num_heads
    size = width // heads
    query_bias, _, value_bias = theirs.in_proj_bias.split(width)
    if theirs.in_proj_weight is None:
        weights = theirs.q_proj_weight, theirs.k_proj_weight, theirs.v_proj_weight
    else:  # torch keeps the three in one where frames are as wide as the values
        weights = theirs.in_proj_weight.split(width)
    projected = (queries @ weights[0].T + query_bias).view(-1, heads, size)
    keys, values = (weight.view(heads, size, -1) for weight in weights[1:])
    with torch.no_grad():
        ours.query[k] = torch.einsum("qhv,hvd->qhd", projected, keys) / size**0.5
        ours.value[k] = values.transpose(1, 2)
        ours.value_bias[k] = value_bias
        ours.output.weight[k] = theirs.out_proj.weight.T
        ours.output.bias[k] = theirs.out_proj.bias


@pytest.mark.parametrize(
    ("dim", "heads", "queries", "width"),
    [(6, 1, 1, 4), (6, 2, 1, 8), (7, 4, 3, 12), (16, 4, 2, 16), (5, 8, 4, 32)],
)
def test_attend_is_multihead_attention(dim, heads, queries, width):
    torch.manual_seed(dim)
    models, lengths = 2, torch.tensor([9, 1, 4, 6, 2])
    frames, mask = torch.randn(5, 9, dim), torch.arange(9) < lengths[:, None]
    standardise = Standardise(torch.randn(models, dim), torch.rand(models, dim) + 0.5)
    stack = Stack([torch.Generator().manual_seed(k) for k in range(models)], [0.0] * models)
    config = Config(heads=heads, queries=queries, width=width, pooling="mean")
    ours = Head(config, dim, 3, standardise, stack)
    expected, learned = [], torch.randn(models, queries, width)
    for k in range(models):
        theirs = nn.MultiheadAttention(width, heads, kdim=dim, vdim=dim, batch_first=True).eval()
        nn.init.normal_(theirs.in_proj_bias)
        nn.init.normal_(theirs.out_proj.bias)
        fold(ours, k, theirs, learned[k])
        # As this sees them: standardised beforehand.
        seen = (frames - standardise.mean[k]) / standardise.deviation[k]
        query = learned[k].expand(5, -1, -1)
        output, weights = theirs(
            query, seen, seen, key_padding_mask=~mask, average_attn_weights=False
        )  # fmt: skip
        expected.append(output)
        found = ours.frame_weights(frames, mask).view(5, models, queries, heads, 9)[:, k]
        torch.testing.assert_close(found.transpose(1, 2), weights, rtol=1e-4, atol=1e-5)
    found = ours.attend(frames, mask)
    assert found.shape == (models, 5, queries, width)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", [{"heads": 3}, {"heads": 0}, {"queries": 0}, {"width": 0}])
def test_heads_share_the_width(changes):
    with pytest.raises(UsageError, match=r"mha: width \d+ must be a multiple of heads \d, and que"):
        Config(**changes)
