"""Utterances to frames: decode, augment, condition, batch, encode, check.

Extraction and inference share it.

Batches follow from the clips' expected lengths alone, so the same clips give the same batches.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from embedcache.audio.augmentation import augment
from embedcache.audio.conditioning import Conditioning, condition
from embedcache.audio.decode import read_clip
from embedcache.errors import ClipError, SerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from embedcache.encoders import Encoder, EncoderSpec, Frames, Samples
    from embedcache.utterance import Utterance

StoredFrames = npt.NDArray[np.floating[Any]]
Decoded = npt.NDArray[np.float32] | ClipError


@dataclass(frozen=True, slots=True)
class Clip:
    """One thing to encode.

    Attributes:
        utterance: Where it is read, and which view of it is wanted.
        seconds: Its expected duration once it is augmented and conditioned; 0 where unknown.
        seed: Of what its view draws at random; it follows from the content.
    """

    utterance: Utterance
    seconds: float
    seed: int = 0

    def expected_samples(self, rate_hz: int, config: EncodeConfig) -> int:
        """Expected length; a clip whose header does not tell it counts as a long one."""
        return round((self.seconds or config.max_seconds) * rate_hz)


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
    minutes of audio at once, within its memory.
    """
    return (1, 600.0) if device == "cpu" else (64, 120.0)


def limited(config: EncodeConfig, spec: EncoderSpec) -> EncodeConfig:
    """The limits, within what the encoder can take at once."""
    if spec.longest is None:
        return config
    return replace(config, max_seconds=min(config.max_seconds, spec.longest / spec.rate_hz))


def encode_clips(
    encoder: Encoder,
    clips: Sequence[Clip],
    config: EncodeConfig,
    dtype: npt.DTypeLike = np.float32,
) -> Iterator[tuple[int, StoredFrames | ClipError]]:
    """Decode and encode clips one batch after the other, in an order of its own.

    Args:
        encoder: Loaded.
        clips: What to encode.
        config: Batch and window limits, conditioning.
        dtype: Of the frames that are given out.

    Yields:
        The clip's position in `clips`, with its frames [L, T, D] or why it has none.
    """
    spec = encoder.spec
    config = limited(config, spec)
    expected = [clip.expected_samples(spec.rate_hz, config) for clip in clips]
    for batch in make_batches(expected, config, spec.rate_hz, spec.pads):
        decoded = {i: decode_clip(clips[i], encoder, config.conditioning) for i in batch}
        yield from encode_decoded(encoder, decoded, config, dtype)


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


def to_storage(frames: Frames, dtype: np.dtype[Any]) -> StoredFrames:
    """Cast frames for storage.

    Raises:
        ClipError: A value is not finite, or lies outside the storage dtype's range.
    """
    if not np.isfinite(frames).all():
        raise ClipError("content", "the encoder gave frames that are NaN or infinite")
    largest = float(np.abs(frames).max(initial=0.0))
    if largest > float(np.finfo(dtype).max):
        raise ClipError(
            "content",
            f"a frame value of {largest:.3g} does not fit {dtype}; use --store-dtype float32",
        )
    return frames.astype(dtype, copy=False)


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


def decode_clip(clip: Clip, encoder: Encoder, conditioning: Conditioning) -> Decoded:
    """A clip's samples as the encoder takes them, or why there are none.

    The augmentation stands first: a view is what another recording might have been, and it is
    conditioned as any recording is.
    """
    spec, utterance = encoder.spec, clip.utterance
    try:
        samples = read_clip(utterance.path, utterance.start_s, utterance.end_s, spec.rate_hz)
        samples = augment(samples, spec.rate_hz, utterance.view, clip.seed)
        samples = condition(samples, spec.rate_hz, conditioning)
    except ClipError as error:
        return error
    if not spec.frame_count(len(samples)):
        return ClipError(
            "content",
            f"shorter than one frame: {len(samples)} samples at {spec.rate_hz} Hz, "
            f"{spec.id} needs {max(spec.receptive, spec.shortest)}",
        )
    return encoder.prepare(samples)


def encode_decoded(
    encoder: Encoder,
    decoded: Mapping[int, Decoded],
    config: EncodeConfig,
    dtype: npt.DTypeLike = np.float32,
) -> Iterator[tuple[int, StoredFrames | ClipError]]:
    """Encode clips in batches by their real lengths; a long one alone, window by window.

    Args:
        encoder: Loaded.
        decoded: Clips by position, or why they have no samples.
        config: Batch and window limits.
        dtype: Of the frames that are given out.

    Yields:
        Position, and frames [L, T, D] or why there are none.
    """
    spec = encoder.spec
    config = limited(config, spec)
    longest = round(config.max_seconds * spec.rate_hz)
    clips = {i: clip for i, clip in decoded.items() if not isinstance(clip, ClipError)}
    yield from ((i, clip) for i, clip in decoded.items() if isinstance(clip, ClipError))
    positions = list(clips)
    lengths = [len(clips[i]) for i in positions]
    for batch in make_batches(lengths, config, spec.rate_hz, spec.pads):
        members = [positions[i] for i in batch]
        if len(clips[members[0]]) > longest:  # then it is alone in its batch
            (only,) = members
            cuts = windows(len(clips[only]), longest, spec.hop, spec.receptive)
            yield only, _encode_windows(encoder, clips[only], cuts, dtype)
        else:
            found = _encode(encoder, [clips[i] for i in members])
            for i, frames in zip(members, found, strict=True):
                yield i, _stored(frames, dtype)


def _encode_windows(
    encoder: Encoder, clip: Samples, cuts: Sequence[tuple[int, int]], dtype: npt.DTypeLike
) -> StoredFrames | ClipError:
    """Frames of a long clip; each window's are cast before the next one is encoded."""
    parts = []
    for start, end in cuts:
        part = _stored(_encode(encoder, [clip[start:end]])[0], dtype)
        if isinstance(part, ClipError):
            return part
        parts.append(part)
    return np.concatenate(parts, axis=1)


def _stored(frames: Frames, dtype: npt.DTypeLike) -> StoredFrames | ClipError:
    try:
        return to_storage(frames, np.dtype(dtype))
    except ClipError as error:
        return error


def _encode(encoder: Encoder, clips: Sequence[Samples]) -> list[Frames]:
    """Encode a batch; where the device's memory does not hold it, each half of it."""
    try:
        return encoder.encode(clips)
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if "out of memory" not in str(error):
            raise
        if len(clips) == 1:
            seconds = len(clips[0]) / encoder.spec.rate_hz
            raise SerError(
                f"the device's memory does not hold {seconds:.0f} s of audio at once; give a "
                "smaller --max-seconds, or --device cpu"
            ) from error
    half = len(clips) // 2
    return _encode(encoder, clips[:half]) + _encode(encoder, clips[half:])
