"""Fill planned shards: decode ahead, encode, write behind.

The encoder is what users wait for, so it never waits for a file to be decoded or written, as long
as the machine has a core to spare.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from embedcache.ahead import Behind, ahead
from embedcache.batches import EncodeConfig, batch_limits, limited, make_batches
from embedcache.encode import decode_clip, encode_groups
from embedcache.errors import ClipError
from embedcache.request import clip_of, resolve_device
from embedcache.store.claims import Claims
from embedcache.store.contents import unchanged
from embedcache.store.quantise import DTYPE as QUANTISED
from embedcache.store.quantise import QuantisedFrames
from embedcache.store.shard import Row, Skip, write_shard
from embedcache.store.tombstones import is_pruned, shard_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from embedcache.encode import Clip, Decoded
    from embedcache.encoders import Encoder
    from embedcache.fetch import Fetched
    from embedcache.request import ExtractConfig
    from embedcache.store.cache import Meta
    from embedcache.store.contents import Content
    from embedcache.store.plan import PlannedShard

_WRITES = 2  # shards that wait to be written, at most
_POLL_S = 0.2
_AHEAD_S = 4800.0  # seconds of audio that are decoded ahead: 307 MB at 16 kHz
_MOST_WORKERS = 8

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What it takes to fill shards, wherever that is done.

    Attributes:
        folder: The cache.
        meta: What makes it.
        contents: Everything that shards may hold, by content id.
        config: The request.
    """

    folder: Path
    meta: Meta
    contents: Mapping[str, Content]
    config: ExtractConfig

    @property
    def encoding(self) -> EncodeConfig:
        """Limits of batches for the request's device, and its conditioning."""
        max_clips, max_batch_s = batch_limits(resolve_device(self.config.device))
        config = self.config
        return EncodeConfig(config.max_seconds, max_clips, max_batch_s, config.conditioning)


@dataclass(slots=True)
class _Open:
    """A shard that is being filled.

    Attributes:
        shard: Its plan.
        clips: By the row's position, those whose files are in the corpus.
        left: Batches that are still to be encoded.
        rows: By position, what has frames.
        skips: By position, what has none.
    """

    shard: PlannedShard
    clips: dict[int, Clip]
    left: int = 0
    rows: dict[int, Row] = field(default_factory=dict)
    skips: dict[int, Skip] = field(default_factory=dict)


def fill_shards(
    job: Job, shards: Iterable[PlannedShard], encoder: Encoder, tick: Callable[[], object]
) -> Iterator[tuple[int, float]]:
    """Fill shards, in order; those that another process has claimed come last.

    Args:
        job: What they are filled with.
        shards: Their plans.
        encoder: Loaded.
        tick: Called once per clip.

    Yields:
        Number of rows of a shard, and their expected seconds of audio.
    """
    waiting = list(shards)
    told = False
    with Claims(job.folder) as claims:
        while waiting:
            others: list[PlannedShard] = []
            yield from _fill(job, _ours(job, waiting, claims, others), encoder, tick)
            waiting = [s for s in others if not shard_path(job.folder, s.name).exists()]
            if waiting and not told:
                _log.info("waiting for another process that encodes %d shards", len(waiting))
                told = True
            if waiting:
                time.sleep(_POLL_S)


def _ours(
    job: Job, shards: Iterable[PlannedShard], claims: Claims, others: list[PlannedShard]
) -> Iterator[PlannedShard]:
    """Shards that are not there yet and that this process could claim; the others are listed."""
    for shard in shards:
        path = shard_path(job.folder, shard.name)
        if path.exists():
            continue
        if not claims.take(shard.name):
            others.append(shard)
        elif not (path.exists() or is_pruned(job.folder, shard.name)):
            yield shard  # which another process may have finished, or given up, just before


def _fill(
    job: Job, shards: Iterable[PlannedShard], encoder: Encoder, tick: Callable[[], object]
) -> Iterator[tuple[int, float]]:
    encoding, dtype = limited(job.encoding, encoder.spec), job.meta.parts.store_dtype
    if dtype == QUANTISED:  # a row is quantised whole, not window by window
        dtype = "float32"

    stop = Event()

    def decode(item: tuple[_Open, list[int]]) -> dict[int, Decoded]:
        opened, batch = item
        decoded: dict[int, Decoded] = {}
        for i in batch:
            if stop.is_set():  # nobody asks any more
                break
            decoded[i] = decode_clip(opened.clips[i], encoder, encoding.conditioning)
        return decoded

    def cost_s(item: tuple[_Open, list[int]]) -> float:
        opened, batch = item
        return sum(opened.clips[i].seconds or encoding.max_seconds for i in batch)

    workers = _workers(resolve_device(job.config.device))
    batches = _batches(job, shards, encoder, encoding)
    decoding = ahead(decode, batches, workers, 2 * workers + 2, cost_s, _AHEAD_S)
    groups = ((opened, decoded) for (opened, _), decoded in decoding)
    with Behind(_WRITES, workers) as writer:
        try:
            for opened, encoded in encode_groups(encoder, groups, encoding, dtype):
                for position, found in encoded.items():
                    _take(job, opened, position, found)
                    tick()
                opened.left -= 1
                if not opened.left:
                    writer.do(partial(_write, job, opened))
                    seconds = sum(opened.clips[position].seconds for position in opened.rows)
                    yield len(opened.rows), seconds
        finally:
            stop.set()


def _workers(device: str) -> int:
    """Threads that decode, and that write: beside a CPU's encoder one, else some of the cores."""
    if device == "cpu":
        return 1
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    return min(_MOST_WORKERS, cores)


def _batches(
    job: Job, shards: Iterable[PlannedShard], encoder: Encoder, encoding: EncodeConfig
) -> Iterator[tuple[_Open, list[int]]]:
    """The batches of each shard, by the positions of its rows; none holds rows of two shards."""
    spec = encoder.spec
    for shard in shards:
        known = {i: job.contents.get(content) for i, (content, _) in enumerate(shard.rows)}
        clips = {i: clip_of(content, job.config) for i, content in known.items() if content}
        opened = _Open(shard, clips)
        for i in known.keys() - clips.keys():
            opened.skips[i] = Skip(*shard.rows[i], "io", "its file is not in the corpus any more")
        positions = list(clips)
        lengths = [
            max(clips[i].expected_samples(spec.rate_hz, encoding), spec.padded_to)
            for i in positions
        ]
        batches = make_batches(lengths, encoding, spec.rate_hz, spec.pads) or [[]]
        opened.left = len(batches)
        for batch in batches:
            yield opened, [positions[i] for i in batch]


def _take(job: Job, opened: _Open, position: int, found: Fetched) -> None:
    """Keep a clip's frames, or why it has none."""
    content, utterance = opened.shard.rows[position]
    try:
        _require_unchanged(job.contents[content])  # whatever came of it, it is of these bytes
        if isinstance(found, ClipError):
            raise found
        quantised = job.meta.parts.store_dtype == QUANTISED
        frames = QuantisedFrames.of(found) if quantised else found
        opened.rows[position] = Row(content, utterance, frames)
    except ClipError as error:
        opened.skips[position] = Skip(content, utterance, error.kind, str(error))


def _write(job: Job, opened: _Open) -> None:
    write_shard(
        shard_path(job.folder, opened.shard.name),
        job.meta.key,
        [opened.rows[i] for i in sorted(opened.rows)],
        [opened.skips[i] for i in sorted(opened.skips)],
        (len(job.meta.layers), job.meta.dim),
        np.dtype(job.meta.parts.store_dtype),
    )


def _require_unchanged(content: Content) -> None:
    try:
        same = unchanged(content)
    except OSError as error:
        raise ClipError("io", f"cannot be read ({error.strerror or error})") from error
    if not same:
        raise ClipError("io", "its file changed while it was encoded")
