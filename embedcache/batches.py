"""Batches: which clips are encoded together, and where a long one is cut.

Batches follow from the clips' lengths and the limits alone, so the same clips give the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from embedcache.audio.conditioning import Conditioning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.encoders import EncoderSpec

# What a second of audio takes of a GPU's memory at its widest, which is behind the first
# convolution: 3,200 frames a second of 512 values in 4 bytes, some of them held at once.
_BYTES_PER_S = 50e6
_MOST_GPU_S = 480.0  # a GPU is long busy by then, and a batch must fit into its shard
_LEAST_GPU_S = 30.0
_MOST_GPU_CLIPS = 512


@dataclass(frozen=True, slots=True)
class EncodeConfig:
    """How clips are turned into frames.

    Attributes:
        max_seconds: Longest stretch that is encoded at once; a longer clip is cut into windows.
        max_clips: The most clips in a batch.
        max_batch_seconds: The most audio in a batch, padding included.
        conditioning: What is done to a clip between decoding and encoding.
    """

    max_seconds: float = 60.0
    max_clips: int = 1
    max_batch_seconds: float = 600.0
    conditioning: Conditioning = field(default_factory=Conditioning)


def batch_limits(device: str) -> tuple[int, float]:
    """How many clips and how many seconds of audio a batch should hold at most on a device.

    One clip alone keeps a CPU's matrix products busy, and padding would only add work; a GPU wants
    minutes of audio at once, within the memory that is free.
    """
    if device == "cpu":
        return 1, 600.0
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    # What torch holds and does not use is free, too.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return _MOST_GPU_CLIPS, float(np.clip(free / _BYTES_PER_S, _LEAST_GPU_S, _MOST_GPU_S))


def limited(config: EncodeConfig, spec: EncoderSpec) -> EncodeConfig:
    """The limits, within what the encoder can take at once."""
    if spec.longest is None:
        return config
    return replace(config, max_seconds=min(config.max_seconds, spec.longest / spec.rate_hz))


def make_batches(
    samples: Sequence[int], config: EncodeConfig, rate_hz: int, pads: bool
) -> list[list[int]]:
    """Group clips into batches of similar (or, without padding, equal) expected length.

    Args:
        samples: Expected length of each clip.
        config: Limits; a clip longer than `max_seconds` gets a batch of its own.
        rate_hz: Of `samples`.
        pads: Whether clips of different lengths may share a batch.

    >>> make_batches([300, 100, 200, 100], EncodeConfig(60, 2, 60), 100, pads=False)
    [[1, 3], [2], [0]]
    """
    longest = config.max_seconds * rate_hz
    budget = config.max_batch_seconds * rate_hz
    batches: list[list[int]] = []
    for index in sorted(range(len(samples)), key=lambda i: (samples[i], i)):
        length = samples[index]
        batch = batches[-1] if batches else []
        fits = (
            0 < len(batch) < config.max_clips
            and length * (len(batch) + 1) <= budget
            and length <= longest
            and (pads or samples[batch[0]] == length)
        )
        if fits:
            batch.append(index)
        else:
            batches.append([index])
    return batches


def windows(samples: int, longest: int, hop: int, receptive: int) -> list[tuple[int, int]]:
    """Cut a clip into stretches whose frames, one after the other, are on the whole clip's grid.

    Args:
        samples: Length of the clip.
        longest: The most samples of a window.
        hop: Samples from frame to frame.
        receptive: Samples that one frame sees.

    Returns:
        (start, end) in samples; windows of nearly equal length, overlapping by what one frame sees
        beyond the hop.

    >>> windows(1000, longest=640, hop=320, receptive=400)
    [(0, 400), (320, 720)]
    """
    frames = max(0, (samples - receptive) // hop + 1)
    reach = max(receptive, hop)  # whole hops where a frame needs less: no frame more for it
    most = max(1, (longest - reach) // hop + 1)
    if frames <= most:
        return [(0, samples)]
    edges = np.linspace(0, frames, -(-frames // most) + 1).round().astype(int).tolist()
    return [(start * hop, min(samples, (end - 1) * hop + reach)) for start, end in pairwise(edges)]
