"""Read a cache: frames of an utterance as a view of the memory-mapped shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from embedcache.errors import SerError, UsageError
from embedcache.store.cache import read_meta, read_utterances
from embedcache.store.shard import Frames, Shard, read_shard, row_checksum

if TYPE_CHECKING:
    from pathlib import Path

    from embedcache.utterance import Utterance


class CacheReader:
    """An open cache: many readers at once, no lock, safe to fork, nothing copied.

    It sees the shards that were there when it was opened. Each row is checked against its checksum
    the first time that it is touched.

    Attributes:
        path: The cache folder.
        meta: What made it.
        utterances: Those whose frames are there, in the corpus's order.
        missing: Those that the corpus lists and whose frames are not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.meta = read_meta(path)
        self._shards = [read_shard(p, self.meta.key) for p in sorted(path.glob("shards/*.h5"))]
        self._frames = [shard.map() for shard in self._shards]
        self._verified = [np.zeros(len(shard.content_ids), bool) for shard in self._shards]
        self._rows = {
            content: (s, row)
            for s, shard in enumerate(self._shards)
            for row, content in enumerate(shard.content_ids)
        }
        self._contents: dict[str, str] = {}
        self.utterances: list[Utterance] = []
        self.missing: list[Utterance] = []
        for utterance, content in read_utterances(path):
            self._contents[utterance.id] = content
            (self.utterances if content in self._rows else self.missing).append(utterance)

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

    def frame_count(self, utterance_id: str) -> int:
        """Number of frames (T) of an utterance."""
        shard, row = self._find(utterance_id)
        start, end = self._shards[shard].offsets[row : row + 2]
        return int(end - start)

    def frames(self, utterance_id: str, layer: int) -> Frames:
        """Frames of an utterance at one stored layer.

        Args:
            utterance_id: One of `utterances`.
            layer: Index among the stored layers, from `layer()`.

        Shape:
            Output: [T, D], a read-only view in the storage dtype.

        Raises:
            SerError: The row's bytes do not match its checksum.
        """
        number, row = self._find(utterance_id)
        shard = self._shards[number]
        start, end = shard.offsets[row : row + 2]
        if not self._verified[number][row]:
            self._verify(shard, row, self._frames[number][:, start:end])
            self._verified[number][row] = True
        return self._frames[number][layer, start:end]

    def content_id(self, utterance_id: str) -> str:
        """The content of an utterance."""
        return self._contents[utterance_id]

    def _find(self, utterance_id: str) -> tuple[int, int]:
        try:
            return self._rows[self._contents[utterance_id]]
        except KeyError:
            raise SerError(f"{self.path} holds no frames of utterance '{utterance_id}'") from None

    def _verify(self, shard: Shard, row: int, frames: Frames) -> None:
        if row_checksum(frames) != int(shard.checksums[row]):
            raise SerError(
                f"{shard.path} is damaged at utterance '{shard.utterance_ids[row]}' (checksum); "
                "remove this file and run the same `ser extract` again"
            )
