"""Losses on distributions, for stacked models: one value per model and utterance.

A loss on soft targets is the mean of the loss on hard ones over the annotators' votes (KL less what
no prediction can change), so every vote counts as a training example of its own. Smoothing of the
targets is in `heads.labels`.

Logits of 16 bits are computed with in 32.

Letters: K stacked models, B utterances, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from embedcache.errors import SerError, UsageError, unknown_name

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

CLASS_WEIGHTS = ("none", "balanced", "effective")
FOCAL_GAMMA = 2.0  # the best of Lin et al.
EFFECTIVE_BETA = 0.999  # of the values of Cui et al., the one for classes of hundreds


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """-sum_c w_c t_c log p_c, for hard (one-hot) and soft targets alike.

    Shape:
        logits: [K, B, C], targets: [B, C], weights: [K, C]. Output: [K, B].
    """
    return -(weights[:, None] * targets * _log_softmax(logits)).sum(dim=-1)


def kl(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """sum_c w_c t_c (log t_c - log p_c): cross-entropy less the target's own entropy.

    Shape:
        logits: [K, B, C], targets: [B, C], weights: [K, C]. Output: [K, B].
    """
    entropy: Tensor = torch.special.entr(targets)  # -t log t, 0 where t is 0
    return cross_entropy(logits, targets, weights) - (weights[:, None] * entropy).sum(dim=-1)


def focal(
    logits: Tensor, targets: Tensor, weights: Tensor, gamma: float | Tensor = FOCAL_GAMMA
) -> Tensor:
    """-sum_c w_c t_c (1 - p_c)^gamma log p_c: what is nearly certain already counts less.

    On a hard target it is the focal loss of Lin et al. (2017, arXiv 1708.02002), with w as their
    alpha; on a soft one the mean of that over the votes. With gamma 0 it is cross-entropy. With
    gamma above 0 it is not least where the prediction is the target (Charoenphakdee et al. 2021,
    arXiv 2011.09172): probabilities need `heads.temperature` before they are read as such.

    Args:
        logits: Predictions.
        targets: Distributions.
        weights: Class weights.
        gamma: 0 or more; one for all models, or one each.

    Shape:
        logits: [K, B, C], targets: [B, C], weights: [K, C], gamma: [] or [K]. Output: [K, B].
    """
    log_p = _log_softmax(logits)
    # 1 - p without cancellation. The slope of x^gamma at 0 is infinite for gamma < 1: x is kept off
    # it, where clamping passes no gradient on, which is also the loss's limit.
    missing = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)
    power = gamma.to(log_p).view(-1, 1, 1) if isinstance(gamma, Tensor) else gamma
    return -(weights[:, None] * targets * missing**power * log_p).sum(dim=-1)


LOSSES: dict[str, Loss] = {"cross-entropy": cross_entropy, "kl": kl, "focal": focal}


def find_loss(name: str, gamma: float | None = None) -> Loss:
    """A loss by name.

    Args:
        name: One of `LOSSES`.
        gamma: Of the focal loss; None for its default.

    Raises:
        UsageError: There is none of that name, or gamma does not fit it.
    """
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    if gamma is None:
        return LOSSES[name]
    if name != "focal":
        raise UsageError(f"gamma={gamma}: the loss {name} has none; leave it out, or give focal")
    if not 0 <= gamma < np.inf:
        raise UsageError(f"gamma={gamma}: give 0, which is cross-entropy, or more")
    return partial(focal, gamma=gamma)


def class_weights(
    kind: str,
    targets: npt.NDArray[np.float64],
    train: npt.NDArray[np.bool_],
    beta: float = EFFECTIVE_BETA,
) -> npt.NDArray[np.float64]:
    """Weights per model and class, with mean 1 over a model's training utterances.

    Args:
        kind: `none`; `balanced`, inverse frequency, n / (C n_c), as in scikit-learn; `effective`,
            inverse effective number, (1 - beta) / (1 - beta^n_c) (Cui et al. 2019, arXiv
            1901.05555). They scale theirs to the sum C; with mean 1 the learning rate means the
            same for every kind, beta 0 is `none`, and beta towards 1 is `balanced`.
        targets: Distributions.
        train: Which utterances train which model.
        beta: Of `effective`; an example adds beta times what the one before it added.

    Shape:
        targets: [N, C], train: [K, N]. Output: [K, C].

    Raises:
        UsageError: There is no such kind, or beta is not from 0 to below 1.
        SerError: A class has no training utterance in a model.
    """
    if kind not in CLASS_WEIGHTS:
        raise unknown_name("--class-weights", kind, CLASS_WEIGHTS)
    if not 0 <= beta < 1:
        raise UsageError(f"beta={beta}: give 0, which weighs all classes alike, to below 1")
    counts = train.astype(np.float64) @ targets
    if (counts == 0).any():
        model, label = np.argwhere(counts == 0)[0].tolist()
        raise SerError(f"class {label} has no training utterance in model {model}")
    if kind == "none":
        return np.ones_like(counts)
    total = counts.sum(axis=1, keepdims=True)
    if kind == "balanced":
        weights: npt.NDArray[np.float64] = total / (counts.shape[1] * counts)
        return weights
    with np.errstate(divide="ignore"):  # beta 0 has the logarithm -inf, and every number is 1
        inverse = -1 / np.expm1(counts * np.log(beta))
    effective: npt.NDArray[np.float64] = inverse * total / (counts * inverse).sum(1, keepdims=True)
    return effective


def _log_softmax(logits: Tensor) -> Tensor:
    """Logarithms of probabilities, at least in 32 bits."""
    return logits.log_softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
