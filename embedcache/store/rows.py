"""Rows of a shard: their frames at each layer as views, and the checksums of their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xxhash

from embedcache.store.quantise import Limits, QuantisedFrames

if TYPE_CHECKING:
    from collections.abc import Iterable

Frames = npt.NDArray[np.floating[Any]]
StoredRow: TypeAlias = Frames | QuantisedFrames


@dataclass(frozen=True, slots=True)
class ShardRows:
    """The frames of a shard, memory-mapped, as views of them by row.

    Attributes:
        values: [L, T, D], floats or levels.
        limits: [B, L, 2, D], what levels stand for; None for floats.
        offsets: [B + 1], in frames.
    """

    values: npt.NDArray[Any]
    limits: Limits | None
    offsets: npt.NDArray[np.int64]

    def layers(self, row: int) -> list[StoredRow]:
        """A row at each layer: [T, D]."""
        return [self.layer(row, layer) for layer in range(len(self.values))]

    def layer(self, row: int, layer: int) -> StoredRow:
        """A row at one layer: [T, D]."""
        start, end = self.offsets[row : row + 2]
        # Arrays of the class memmap would run Python code at every step that is taken with them.
        values = self.values[layer, start:end].view(np.ndarray)
        if self.limits is None:
            floats: Frames = values
            return floats
        return QuantisedFrames(values, self.limits[row, layer].view(np.ndarray))


def row_checksums(layers: Iterable[StoredRow]) -> npt.NDArray[np.uint64]:
    """xxh3-64 of a row's bytes at each layer: [L, T, D] gives [L].

    One per layer, so that whoever reads one layer of many has to touch no other.
    """
    return np.array([layer_checksum(layer) for layer in layers], np.uint64)


def layer_checksum(frames: StoredRow) -> int:
    """xxh3-64 of a row's bytes at one layer, [T, D]; those of its limits follow its levels'."""
    parts = [frames.levels, frames.limits] if isinstance(frames, QuantisedFrames) else [frames]
    digest = xxhash.xxh3_64()
    for part in parts:
        digest.update(np.ascontiguousarray(part).view(np.uint8).data)
    return digest.intdigest()
