"""Read a cache: frames of an utterance as a view of the memory-mapped shard, or from its levels."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import numpy as np

from embedcache.errors import SerError, UsageError
from embedcache.store.cache import read_meta, read_utterances
from embedcache.store.quantise import DTYPE as QUANTISED
from embedcache.store.quantise import QuantisedFrames
from embedcache.store.rows import Frames, ShardRows, StoredRow, layer_checksum
from embedcache.store.shard import Shard, read_shard

if TYPE_CHECKING:
    from pathlib import Path

    from embedcache.utterance import Utterance

_OTHER_FILES = 256


class CacheReader:
    """An open cache: many readers at once, no lock, safe to fork, no float copied.

    It sees the shards that were there when it was opened. Each row and layer is checked against its
    checksum the first time that it is touched. Pickled, it is its path, and opens anew.

    Attributes:
        path: The cache folder.
        meta: What made it.
        utterances: Those whose frames are there, in the corpus's order; no views.
        missing: Those that the corpus lists and whose frames are not there; no views.
        views: Augmented views of utterances, as far as their frames are there.
        missing_views: Those that are listed and whose frames are not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.meta = read_meta(path)
        maps = 2 if self.meta.parts.store_dtype == QUANTISED else 1  # of each shard
        _allow_open_files(maps * len(list(path.glob("shards/*.h5"))))
        opened = [_open(p, self.meta.key) for p in sorted(path.glob("shards/*.h5"))]
        self._shards = [shard for shard, _ in filter(None, opened)]
        self._rows_of = [rows for _, rows in filter(None, opened)]
        self._verified: dict[tuple[str, int, str], StoredRow] = {}
        self._rows = {
            content: (s, row)
            for s, shard in enumerate(self._shards)
            for row, content in enumerate(shard.content_ids)
        }
        self._contents: dict[tuple[str, str], str] = {}
        self.utterances: list[Utterance] = []
        self.missing: list[Utterance] = []
        self.views: list[Utterance] = []
        self.missing_views: list[Utterance] = []
        for utterance, content in read_utterances(path):
            self._contents[utterance.key] = content
            there = content in self._rows
            if not utterance.view:
                (self.utterances if there else self.missing).append(utterance)
            else:
                (self.views if there else self.missing_views).append(utterance)

    def __reduce__(self) -> tuple[type[CacheReader], tuple[Path]]:
        return CacheReader, (self.path,)

    def layer(self, name: str) -> int:
        """Index of a stored layer by its name; `last` is the encoder's last layer.

        Raises:
            UsageError: The cache does not hold this layer.
        """
        wanted = self.meta.last if name == "last" else name
        if wanted not in self.meta.layers:
            held = ", ".join(self.meta.layers)
            raise UsageError(f"layer '{name}' is not in {self.path}, which holds {held}")
        return self.meta.layers.index(wanted)

    def frame_count(self, utterance_id: str, view: str = "") -> int:
        """Number of frames (T) of an utterance, or of a view of it."""
        shard, row = self._find(utterance_id, view)
        start, end = self._shards[shard].offsets[row : row + 2]
        return int(end - start)

    def frames(self, utterance_id: str, layer: int, view: str = "") -> Frames:
        """Frames of an utterance at one stored layer.

        Args:
            utterance_id: One of `utterances`.
            layer: Index among the stored layers, from `layer()`.
            view: Empty for the original audio, else the view of one of `views`.

        Shape:
            Output: [T, D], a read-only view in the storage dtype; of an int8 cache a new array of
            what the levels stand for, in float32.

        Raises:
            SerError: The bytes do not match their checksum.
        """
        stored = self.stored(utterance_id, layer, view)
        return np.asarray(stored) if isinstance(stored, QuantisedFrames) else stored

    def stored(self, utterance_id: str, layer: int, view: str = "") -> StoredRow:
        """Frames as `frames` gives them, but those of an int8 cache still quantised, as views.

        Raises:
            SerError: The bytes do not match their checksum.
        """
        wanted = utterance_id, layer, view
        known = self._verified.get(wanted)  # one look-up: views of a map cost next to nothing
        if known is not None:
            return known
        number, row = self._find(utterance_id, view)
        shard = self._shards[number]
        frames = self._rows_of[number].layer(row, layer)
        self._verify(shard, row, layer, frames)
        self._verified[wanted] = frames
        return frames

    def content_id(self, utterance_id: str) -> str:
        """The content of an utterance."""
        return self._contents[utterance_id, ""]

    def _find(self, utterance_id: str, view: str) -> tuple[int, int]:
        try:
            return self._rows[self._contents[utterance_id, view]]
        except KeyError:
            what = f"{utterance_id}' in the view '{view}" if view else utterance_id
            raise SerError(f"{self.path} holds no frames of utterance '{what}'") from None

    def _verify(self, shard: Shard, row: int, layer: int, frames: StoredRow) -> None:
        if layer_checksum(frames) != int(shard.checksums[row, layer]):
            raise SerError(
                f"{shard.path} is damaged at utterance '{shard.utterance_ids[row]}' (checksum); "
                "remove this file and run the same `ser extract` again"
            )


def _open(path: Path, key: str) -> tuple[Shard, ShardRows] | None:
    """A shard and its rows; None where it was pruned since it was listed."""
    try:
        shard = read_shard(path, key)
        return shard, shard.rows()
    except (SerError, FileNotFoundError):
        if path.exists():
            raise
        return None


def _allow_open_files(shards: int) -> None:
    """Raise the process's limit of open files where a memory map per shard would pass it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = shards + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
