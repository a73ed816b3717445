"""Utterances to frames: decode, augment, condition, batch, encode, check.

Extraction and inference share it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from embedcache.audio.augmentation import augment
from embedcache.audio.conditioning import condition
from embedcache.audio.decode import read_clip
from embedcache.batches import limited, make_batches, windows
from embedcache.errors import ClipError, SerError, out_of_memory
from embedcache.fetch import fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from embedcache.audio.conditioning import Conditioning
    from embedcache.batches import EncodeConfig
    from embedcache.encoders import Encoder, Listener, Samples
    from embedcache.fetch import Fetched
    from embedcache.utterance import Utterance

Decoded = npt.NDArray[np.float32] | ClipError
Tag = TypeVar("Tag")


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


def encode_clips(
    encoder: Encoder,
    clips: Sequence[Clip],
    config: EncodeConfig,
    dtype: npt.DTypeLike = np.float32,
) -> Iterator[tuple[int, Fetched]]:
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
    batches = make_batches(expected, config, spec.rate_hz, spec.pads)
    groups = (
        (batch, {i: decode_clip(clips[i], encoder, config.conditioning) for i in batch})
        for batch in batches
    )
    for _, found in encode_groups(encoder, groups, config, dtype):
        yield from found.items()


def decode_clip(clip: Clip, encoder: Listener, conditioning: Conditioning) -> Decoded:
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


def encode_groups(
    encoder: Encoder,
    groups: Iterable[tuple[Tag, Mapping[int, Decoded]]],
    config: EncodeConfig,
    dtype: npt.DTypeLike = np.float32,
) -> Iterator[tuple[Tag, dict[int, Fetched]]]:
    """Encode groups of clips, each in batches by their real lengths, a long clip in windows.

    A group is given out when the next one has been begun: a GPU computes that one meanwhile.

    Args:
        encoder: Loaded.
        groups: Anything that tells a group from others, and its clips by position, or why they
            have no samples.
        config: Batch and window limits.
        dtype: Of the frames that are given out.

    Yields:
        What tells the group, and by position frames [L, T, D] or why there are none.

    Raises:
        SerError: The device's memory does not hold one clip, or one window of it.
    """
    batches = _Batches(encoder, limited(config, encoder.spec), np.dtype(dtype))
    before: tuple[Tag, Callable[[], dict[int, Fetched]]] | None = None
    for tag, clips in groups:
        try:
            begun = tag, batches.begin(clips)
        except SerError:
            if before:  # what was encoded is not lost
                yield before[0], before[1]()
            raise
        if before:
            yield before[0], before[1]()
        before = begun
    if before:
        yield before[0], before[1]()


class _Batches:
    """Begins batches; where the device's memory does not hold one, all that follow are smaller."""

    def __init__(self, encoder: Encoder, config: EncodeConfig, dtype: np.dtype[np.generic]) -> None:
        self._encoder, self._config, self._dtype = encoder, config, dtype

    def begin(self, decoded: Mapping[int, Decoded]) -> Callable[[], dict[int, Fetched]]:
        """Begin to encode a group; what is given back waits for its frames."""
        spec, rate_hz = self._encoder.spec, self._encoder.spec.rate_hz
        longest = round(self._config.max_seconds * rate_hz)
        clips = {i: clip for i, clip in decoded.items() if not isinstance(clip, ClipError)}
        positions = list(clips)
        lengths = [max(len(clip), spec.padded_to) for clip in clips.values()]
        begun: list[tuple[list[int], Callable[[], list[Fetched]]]] = []
        for batch in make_batches(lengths, self._config, rate_hz, spec.pads):
            members = [positions[i] for i in batch]
            if len(clips[members[0]]) <= longest:
                begun += self._encode(members, [clips[i] for i in members])
                continue
            clip = clips[members[0]]  # it is alone in its batch
            for start, end in windows(len(clip), longest, spec.hop, spec.receptive):
                begun += self._encode(members, [clip[start:end]])

        def wait() -> dict[int, Fetched]:
            parts: dict[int, list[Fetched]] = {i: [] for i in clips}
            for members, fetched in begun:
                for i, frames in zip(members, fetched(), strict=True):
                    parts[i].append(frames)
            failed = {i: clip for i, clip in decoded.items() if isinstance(clip, ClipError)}
            return {**failed, **{i: _joined(found) for i, found in parts.items()}}

        return wait

    def _encode(
        self, members: list[int], clips: Sequence[Samples]
    ) -> list[tuple[list[int], Callable[[], list[Fetched]]]]:
        """Begin a batch; where the device's memory does not hold it, each half of it."""
        try:
            return [(members, fetch(self._encoder.encode(clips), self._dtype))]
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if not out_of_memory(error):
                raise
            seconds = max(map(len, clips)) * len(clips) / self._encoder.spec.rate_hz
            if len(clips) == 1:
                raise SerError(
                    f"the device's memory does not hold {seconds:.0f} s of audio at once; give a "
                    "smaller --max-seconds, or --device cpu"
                ) from error
        most = min(seconds / 2, self._config.max_batch_seconds)
        self._config = replace(self._config, max_batch_seconds=most)
        half = len(clips) // 2
        return self._encode(members[:half], clips[:half]) + self._encode(
            members[half:], clips[half:]
        )


def _joined(parts: Sequence[Fetched]) -> Fetched:
    """The frames of a clip from those of its windows."""
    frames = []
    for part in parts:
        if isinstance(part, ClipError):
            return part
        frames.append(part)
    return frames[0] if len(frames) == 1 else np.concatenate(frames, axis=1)
