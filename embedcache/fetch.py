"""Frames from where they were computed to where they are stored, cast and checked on the way.

Frames on a GPU are cast there and copied while it computes what comes next: nobody waits for them
before they are asked for.

Letters: L layers, T frames, D dimension.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from embedcache.errors import ClipError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from embedcache.encoders import Frames

StoredFrames = npt.NDArray[np.floating[Any]]
Fetched = StoredFrames | ClipError


def fetch(
    frames: Sequence[Frames] | Sequence[torch.Tensor], dtype: np.dtype[Any]
) -> Callable[[], list[Fetched]]:
    """Begin to bring the frames of a batch over.

    Args:
        frames: Of each clip, [L, T, D]: all arrays, or all tensors on one device.
        dtype: That they are stored in.

    Returns:
        What waits for them: the frames of each clip in `dtype`, or why they cannot be stored.
    """
    if isinstance(frames[0], np.ndarray):
        arrays = cast("Sequence[Frames]", frames)
        found = [_refused(_peak(one), dtype) or one.astype(dtype, copy=False) for one in arrays]
        return lambda: found
    return _fetch_tensors(cast("Sequence[torch.Tensor]", frames), dtype)


def _peak(frames: Frames) -> float:
    """Largest absolute value, NaN where there is one."""
    return float(np.abs(frames).max(initial=0.0))


def _refused(peak: float, dtype: np.dtype[Any]) -> ClipError | None:
    """Why frames with this largest absolute value cannot be stored; None where they can."""
    if not np.isfinite(peak):
        return ClipError("content", "the encoder gave frames that are NaN or infinite")
    if peak > float(np.finfo(dtype).max):
        return ClipError(
            "content",
            f"a frame value of {peak:.3g} does not fit {dtype}; use --store-dtype float32",
        )
    return None


def _fetch_tensors(
    frames: Sequence[torch.Tensor], dtype: np.dtype[Any]
) -> Callable[[], list[Fetched]]:
    """One cast and one copy for a whole batch, on a stream of their own where there are streams."""
    import torch

    counts = [one.shape[1] for one in frames]
    flat = torch.cat(list(frames), dim=1)  # [L, all T, D]
    peaks = flat.abs().amax(dim=(0, 2)).float()  # of each frame; NaN stays NaN
    arrived = _begin_copies((flat.to(getattr(torch, dtype.name)), peaks))

    def wait() -> list[Fetched]:
        whole, largest = (copy.numpy() for copy in arrived())
        edges = np.cumsum([0, *counts]).tolist()
        return [
            _refused(_peak(largest[start:end]), dtype) or whole[:, start:end]
            for start, end in pairwise(edges)
        ]

    return wait


def _begin_copies(tensors: Sequence[torch.Tensor]) -> Callable[[], Sequence[torch.Tensor]]:
    """Begin to copy tensors to the host, behind all that their device has been asked for so far."""
    import torch

    device = tensors[0].device
    if device.type != "cuda":
        return lambda: [tensor.cpu() for tensor in tensors]
    stream = _copy_stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    copies = []
    with torch.cuda.stream(stream):
        for tensor in tensors:
            copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            copies.append(copy.copy_(tensor, non_blocking=True))
            tensor.record_stream(stream)  # its memory is not given out again before
    done = torch.cuda.Event()  # type: ignore[no-untyped-call] # as torch has it
    done.record(stream)

    def wait() -> Sequence[torch.Tensor]:
        done.synchronize()
        return copies

    return wait


_streams: dict[torch.device, torch.cuda.Stream] = {}


def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    import torch

    if device not in _streams:
        _streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return _streams[device]
