"""Losses on distributions, for stacked models: one value per model and utterance.

Letters: K stacked models, B utterances, C classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from embedcache.errors import SerError, unknown_name

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

CLASS_WEIGHTS = ("none", "balanced")


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """-sum_c w_c t_c log p_c, for hard (one-hot) and soft targets alike.

    Shape:
        logits: [K, B, C], targets: [B, C], weights: [K, C]. Output: [K, B].
    """
    return -(weights[:, None] * targets * logits.log_softmax(dim=-1)).sum(dim=-1)


def kl(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """sum_c w_c t_c (log t_c - log p_c): cross-entropy less the target's own entropy.

    Shape:
        logits: [K, B, C], targets: [B, C], weights: [K, C]. Output: [K, B].
    """
    entropy: Tensor = torch.special.entr(targets)  # -t log t, 0 where t is 0
    return cross_entropy(logits, targets, weights) - (weights[:, None] * entropy).sum(dim=-1)


LOSSES: dict[str, Loss] = {"cross-entropy": cross_entropy, "kl": kl}


def find_loss(name: str) -> Loss:
    """A loss by name.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    return LOSSES[name]


def class_weights(
    kind: str, targets: npt.NDArray[np.float64], train: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Weights per model and class.

    Args:
        kind: `none`, or `balanced`: inverse frequency, n / (C n_c), which has mean 1 over a
            model's training utterances.
        targets: Distributions.
        train: Which utterances train which model.

    Shape:
        targets: [N, C], train: [K, N]. Output: [K, C].

    Raises:
        UsageError: There is no such kind.
        SerError: A class has no training utterance in a model.
    """
    if kind not in CLASS_WEIGHTS:
        raise unknown_name("--class-weights", kind, CLASS_WEIGHTS)
    counts = train.astype(np.float64) @ targets
    if (counts == 0).any():
        model, label = np.argwhere(counts == 0)[0].tolist()
        raise SerError(f"class {label} has no training utterance in model {model}")
    if kind == "none":
        return np.ones_like(counts)
    weights: npt.NDArray[np.float64] = counts.sum(axis=1, keepdims=True) / (
        counts.shape[1] * counts
    )
    return weights
