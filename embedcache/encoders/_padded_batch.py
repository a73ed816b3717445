"""Clips of different lengths as one tensor, on its way to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


def padded_batch(
    clips: Sequence[npt.NDArray[np.float32]], device: str
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Clips padded with zeros at their ends, and the attention mask, where there is padding.

    Args:
        clips: [T, ...] each: samples, or what is taken in their place.
        device: Where the model is. For a GPU the batch lies where it can be copied from while
            that computes.

    Returns:
        [B, T, ...] on the host; `attention_mask` [B, T] on the device, or nothing.
    """
    import torch

    lengths = [len(clip) for clip in clips]
    shape = len(clips), max(lengths), *clips[0].shape[1:]
    pinned = device != "cpu"
    batch = torch.zeros(shape, pin_memory=pinned)
    rows = batch.numpy()
    for row, clip in zip(rows, clips, strict=True):
        row[: len(clip)] = clip
    if len(set(lengths)) == 1:
        return batch, {}
    return batch, {"attention_mask": own_steps(lengths, device).long()}


def own_steps(lengths: Sequence[int], device: str | torch.device) -> torch.Tensor:
    """Which steps of a padded batch are a clip's own, [B, T]; the device is not waited for."""
    import torch

    # From memory that can be copied from at any time: an ordinary tensor's copy would wait for all
    # that the device has still to do.
    counts = torch.tensor(lengths, pin_memory=torch.device(device).type == "cuda")
    counts = counts.to(device, non_blocking=True)
    return torch.arange(max(lengths), device=device) < counts[:, None]
