"""Where frames lie while heads train, and in which precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from heads.data import Scale, moments

if TYPE_CHECKING:
    from heads.data import FrameSet

_LARGE = 1e9  # bytes of float32 frames from which half of the bits and a matrix unit pay
_SHARE = 0.5  # of the memory that is free


def placed(frames: FrameSet, precision: str, device: str, deep: bool = False) -> FrameSet:
    """Frames in the precision of training, on its device where they fit there.

    Where they do not, each batch is read from the cache. In bfloat16 frames are brought to zero
    mean and unit deviation first: eight bits cannot hold a small variance beside a large mean. That
    shift is the same for all models, and each is still standardised by its own training part.

    Args:
        frames: In float32.
        precision: `auto`, `float32` or `bfloat16`.
        device: Of `torch`.
        deep: Whether heads multiply each frame by many weights, so that half of the bits pays
            however few the frames are.
    """
    size = 4.0 * float(frames.lengths.sum()) * frames.dim
    if precision == "auto":
        pays = (deep or size >= _LARGE) and _multiplies_halves(device)
        precision = "bfloat16" if pays else "float32"
    if precision == "bfloat16":
        if frames.scale is None:
            everyone = np.ones((1, len(frames.lengths)), bool)
            rows = np.zeros(len(frames.lengths), np.int64)
            frames = replace(frames, scale=Scale(*moments(frames, everyone), rows))
        frames = replace(frames, dtype=torch.bfloat16)
        size /= 2
    return frames.resident(device) if size <= _SHARE * free_bytes(device) else frames


def _multiplies_halves(device: str) -> bool:
    """Whether the device has units for bfloat16 matrix products."""
    if device != "cpu":
        return True
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())


def free_bytes(device: str) -> float:
    """Bytes of memory that are free on a device."""
    if device != "cpu":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + unused)
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":") for line in lines)
        return 1024.0 * int(fields["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return 4e9  # not Linux
