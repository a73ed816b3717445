"""Pooling of frames into means, or into means and deviations, of what each model of a stack sees.

Letters: K stacked models, B utterances, T frames, D dimension, L layers, Q queries of a model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from embedcache.errors import UsageError
from heads.stacked import Standardise, even_weights, pool

POOLING = ("auto", "mean", "mean-std")

WeightsOf = Callable[[Tensor, Tensor], Tensor]


def pool_seen(
    weights_of: WeightsOf, frames: Tensor, mask: Tensor, standardise: Standardise, deviations: bool
) -> Tensor:
    """Weighted means of what each model sees and, if asked for, their weighted deviations.

    sqrt(sum_t w_t (h_t - m)^2) with m = sum_t w_t h_t, which is linear in the frames and their
    squares, so that queries of all models share two matrix products: attentive statistics pooling,
    K. Okabe, T. Koshinaka, K. Shinoda (2018), Interspeech, arXiv 1803.10963. Deviations are given
    as logarithms, which spread about as widely as the means do.

    Args:
        weights_of: A head's `frame_weights`: of each model's queries, they sum to one, and padding
            has none. The same constant added to all frames of a clip must not change them.
        frames: Of one layer where deviations are asked for.
        mask: What is no padding.
        standardise: What the models see of frames.
        deviations: Whether they are asked for.

    Shape:
        frames: [B, T, L D], mask: [B, T]. Weights: [B, K Q, T].
        Output: [K, B, Q, D], or [K, B, Q, 2 D].
    """
    models = len(standardise.mean)
    if not deviations:
        weights = weights_of(frames, mask).to(frames.dtype)
        means: Tensor = standardise(_by_model(pool(weights, frames), models))
        return means
    # Around the clip's own mean, so that a large mean does not swallow a small deviation. All that
    # follows takes these frames, so that memory need not hold the others too.
    even = even_weights(mask)[:, None].to(frames.dtype)
    centre = pool(even, frames).to(frames.dtype)  # [B, 1, L D]
    frames = (frames - centre).masked_fill_(~mask[:, :, None], 0.0)
    weights = weights_of(frames, mask).to(frames.dtype)
    moved, squares = pool(weights, frames), pool(weights, frames.square())
    means = standardise(_by_model(moved + centre.float(), models))
    variances = _by_model(squares - moved.square(), models)
    return torch.cat([means, standardise.log_deviations(variances)], dim=-1)


def _by_model(pooled: Tensor, models: int) -> Tensor:
    """[B, K Q, D] -> [K, B, Q, D]."""
    return pooled.view(len(pooled), models, -1, pooled.shape[-1]).transpose(0, 1)


def takes_deviations(pooling: str, head: str, layers: int) -> bool:
    """Whether a head's `pooling` takes deviations beside means.

    `auto` takes them of one layer. Several layers, as `--layer weighted` has, are summed up after
    they are pooled, and the deviation of a sum does not follow from theirs.

    Raises:
        UsageError: `mean-std` is asked for of several layers, or the word is unknown.
    """
    if pooling not in POOLING:
        raise UsageError(f"{head}: --set pooling={pooling}: give {', '.join(POOLING)}")
    if pooling == "mean-std" and layers > 1:
        raise UsageError(
            f"--layer weighted weighs means of layers: {head} with --set pooling=mean-std takes "
            "one layer, or --layer best"
        )
    return pooling == "mean-std" or (pooling == "auto" and layers == 1)
