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
    batch = torch.zeros(shape, pin_memory=device != "cpu")
    rows = batch.numpy()
    for row, clip in zip(rows, clips, strict=True):
        row[: len(clip)] = clip
    if len(set(lengths)) == 1:
        return batch, {}
    # Made where it is used: a copy from here would wait for all that the device has still to do.
    own = torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]
    return batch, {"attention_mask": own.long()}
