"""A dry run: what an extraction would encode, how much it would store, how long it would take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedcache.batches import EncodeConfig
from embedcache.encode import encode_clips
from embedcache.request import (
    clip_of,
    find_serving,
    frames_bytes,
    identify_contents,
    key_parts,
    load_requested,
    new_folder,
    requested_utterances,
)
from embedcache.store.contents import add_views
from embedcache.store.inventory import take_inventory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from embedcache.encode import Clip
    from embedcache.encoders import Encoder
    from embedcache.request import ExtractConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What an extraction would do.

    Attributes:
        utterances: Number that the corpus lists.
        hours: Of audio, by the files' headers.
        frames_bytes: That the frames of all of them take in the cache.
        to_encode: Number of contents, views included, that are not in the cache yet.
        encode_s: Expected wall-clock seconds to encode those, from a few clips measured now.
        folder: The cache that they would go to.
        layers: Names of the layers that were asked for.
        dim: Values per frame (D).
        frame_hz: Frames per second.
    """

    utterances: int
    hours: float
    frames_bytes: int
    to_encode: int
    encode_s: float
    folder: Path
    layers: tuple[str, ...]
    dim: int
    frame_hz: float


def estimate(config: ExtractConfig, remember: bool = True) -> Estimate:
    """Say what an extraction would do, and write nothing but remembered file hashes.

    Args:
        config: The request.
        remember: Whether file hashes are remembered; else nothing is written at all.

    Raises:
        UsageError: Something was asked for that does not exist.
        SerError: The corpus cannot be read.
    """
    _, originals = requested_utterances(config, generate=False)
    encoder = load_requested(config)
    spec = encoder.spec
    parts = key_parts(spec, config)
    contents = add_views(identify_contents(originals, config, remember)[0], config.views)
    by_id = {content.id: content for content in contents.values()}
    found = find_serving(config, parts)
    todo = list(by_id.values())
    if found:
        state = take_inventory(found[0])
        final = {content for content, skip in state.skips.items() if skip.kind == "content"}
        todo = [c for c in todo if c.id not in state.rows and c.id not in final]
    seconds = sum(c.seconds for c in contents.values() if not c.utterance.view)
    return Estimate(
        utterances=len(originals),
        hours=seconds / 3600,
        frames_bytes=sum(frames_bytes(clip_of(c, config), spec, parts) for c in by_id.values()),
        to_encode=len(todo),
        encode_s=_measure(encoder, [clip_of(c, config) for c in todo], config),
        folder=found[0] if found else new_folder(config, parts),
        layers=spec.layers,
        dim=spec.dim,
        frame_hz=spec.frame_hz,
    )


def _measure(encoder: Encoder, clips: Sequence[Clip], config: ExtractConfig) -> float:
    """Expected seconds to encode clips, from three of them around their median length."""
    ranked = sorted(clips, key=lambda clip: clip.seconds)
    middle = len(ranked) // 2
    sample = ranked[max(0, middle - 2) : middle + 2]
    seconds = sum(clip.seconds for clip in sample[1:])
    if not seconds:
        return 0.0
    encoding = EncodeConfig(config.max_seconds, conditioning=config.conditioning)
    list(encode_clips(encoder, sample[:1], encoding))  # the first call also sets things up
    started = time.perf_counter()
    list(encode_clips(encoder, sample[1:], encoding))
    rate = (time.perf_counter() - started) / seconds
    return rate * sum(clip.seconds for clip in clips)


def describe_estimate(config: ExtractConfig) -> str:
    """A dry run in words."""
    found = estimate(config)
    return (
        f"{found.utterances} utterances, {found.hours:.2f} h of audio\n"
        f"{found.frames_bytes / 1e6:.1f} MB of frames in the cache\n"
        f"{found.to_encode} contents to encode, about {found.encode_s:.0f} s"
    )
