"""Shards: frames of many utterances in one immutable HDF5 file.

    frames        [L, T, D]  frames of all rows, one row after the other along T, contiguous
    offsets       [B + 1]    row b is frames[:, offsets[b]:offsets[b + 1]]
    content_id    [B]        what each row is
    utterance_id  [B]        the first name that this content was seen under
    checksum      [B, L]     xxh3-64 of the row's bytes at each layer
    skipped       [S]        planned contents that could not be encoded, as JSON

Where frames are stored as int8, the file has another format number, so that no older reader takes
levels for values, and one data set more:

    limits        [B, L, 2, D]  what each row's levels stand for; see `quantise`

A row's checksum then goes over the bytes of its levels and, after them, of its limits.

A file is put together in memory, written beside its place, read back, and linked there if no other
process was faster. Beside it stands `<shard>.xxh3`, the xxh3-128 of the whole file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np
import numpy.typing as npt
import xxhash

from embedcache.atomic import write_new, write_whole
from embedcache.errors import FormatError, SerError, disk_errors
from embedcache.store.quantise import DTYPE as QUANTISED
from embedcache.store.quantise import Levels, QuantisedFrames
from embedcache.store.rows import Frames, ShardRows, StoredRow, row_checksums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORMAT, QUANTISED_FORMAT = 1, 2
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Row:
    """Frames of one content.

    Attributes:
        content_id: 32 hexadecimal digits.
        utterance_id: The first name that it was seen under.
        frames: [L, T, D] in the storage dtype; quantised for int8.
    """

    content_id: str
    utterance_id: str
    frames: StoredRow


@dataclass(frozen=True, slots=True)
class Skip:
    """A planned content that could not be encoded.

    Attributes:
        content_id: 32 hexadecimal digits; empty where the file could not be read at all.
        utterance_id: The first name that it was seen under.
        kind: `content` is final for these bytes, `io` is tried again.
        reason: One clause for the user.
        view: The augmented view that it is; empty for an original.
    """

    content_id: str
    utterance_id: str
    kind: Literal["content", "io"]
    reason: str
    view: str = ""

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"{self.utterance_id} ({self.view})" if self.view else self.utterance_id


@dataclass(frozen=True, slots=True)
class Shard:
    """What a shard holds, without its frames.

    Attributes:
        path: The file.
        content_ids: Of each row.
        utterance_ids: Of each row.
        offsets: [B + 1], in frames.
        checksums: [B, L].
        skips: Contents without a row.
        shape: Of the frames: (L, T, D).
        dtype: Of the frames.
        frames_at: Byte offset of the frames in the file; None where there are none.
        limits_at: Byte offset of what levels stand for; None where there are no levels.
    """

    path: Path
    content_ids: tuple[str, ...]
    utterance_ids: tuple[str, ...]
    offsets: npt.NDArray[np.int64]
    checksums: npt.NDArray[np.uint64]
    skips: tuple[Skip, ...]
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    frames_at: int | None
    limits_at: int | None = None

    def map(self) -> Frames | Levels:
        """The frames, or the levels that stand for them, memory-mapped read-only: [L, T, D]."""
        return self._map(self.dtype, self.frames_at, self.shape)

    def rows(self) -> ShardRows:
        """The memory-mapped frames, row by row."""
        limits = None
        if self.dtype == QUANTISED:
            layers, _, dim = self.shape
            limits = self._map(
                np.dtype(np.float32), self.limits_at, (len(self.content_ids), layers, 2, dim)
            )
        return ShardRows(self.map(), limits, self.offsets)

    def _map(
        self, dtype: np.dtype[Any], start: int | None, shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        if start is None:
            return np.empty(shape, dtype)
        return np.memmap(self.path, dtype, mode="r", offset=start, shape=shape)


def write_shard(
    path: Path,
    key: str,
    rows: Sequence[Row],
    skips: Sequence[Skip],
    layers_and_dim: tuple[int, int],
    dtype: np.dtype[Any],
) -> None:
    """Write a shard, whole or not at all, and its checksum file; never over one that is there.

    Args:
        path: `<name>.h5`.
        key: The cache's key.
        rows: At least their ids and frames, in the plan's order.
        skips: Planned contents that have no row.
        layers_and_dim: (L, D), for a shard without rows.
        dtype: Storage dtype.

    Raises:
        SerError: The disk is full, cannot be written, or gives back other bytes.
    """
    image = _image(key, rows, skips, layers_and_dim, dtype)
    digest = xxhash.xxh3_128_hexdigest(image)

    def check(written: Path) -> None:
        if file_digest(written) != digest:
            raise SerError(f"{path} was read back with other bytes than written: check the disk")

    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if write_new(path, image, check):
            # Where this fails the shard stays: others may count on it, and complete its checksum.
            write_whole(checksum_path(path), f"{digest}\n".encode())


def complete_checksum(path: Path, key: str) -> None:
    """Write the checksum file of a shard whose writer was killed before it could.

    Raises:
        SerError: The shard is damaged.
    """
    if checksum_path(path).exists():
        return
    for name in damaged_rows(read_shard(path, key)):
        raise SerError(f"{path} is damaged at utterance '{name}'; remove it and extract again")
    with disk_errors(path):
        write_whole(checksum_path(path), f"{file_digest(path)}\n".encode())


def complete_checksums(folder: Path, key: str) -> None:
    """Write the checksum files that processes which were killed have left out.

    Raises:
        SerError: A shard without one is damaged.
    """
    for path in sorted((folder / "shards").glob("*.h5")):
        complete_checksum(path, key)


def read_shard(path: Path, key: str) -> Shard:
    """Read what a shard holds, without its frames.

    Raises:
        SerError: It is damaged, of another format, or belongs to another cache.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            found = int(file.attrs["format"])
            if found not in (FORMAT, QUANTISED_FORMAT):
                raise FormatError(path, found, QUANTISED_FORMAT)
            owner = file.attrs["key"]
            owner = owner.decode() if isinstance(owner, bytes) else owner
            if owner != key:
                raise SerError(f"{path} belongs to cache {owner}, not {key}")
            frames = file["frames"]
            if found != _format(frames.dtype):
                raise ValueError(f"format {found} with frames of {frames.dtype}")
            levels = found == QUANTISED_FORMAT
            return Shard(
                path=path,
                content_ids=tuple(file["content_id"].asstr()[:]),
                utterance_ids=tuple(file["utterance_id"].asstr(errors="surrogateescape")[:]),
                offsets=file["offsets"][:],
                checksums=file["checksum"][:],
                skips=tuple(Skip(**json.loads(text)) for text in file["skipped"].asstr()[:]),
                shape=frames.shape,
                dtype=frames.dtype,
                frames_at=frames.id.get_offset(),
                limits_at=file["limits"].id.get_offset() if levels else None,
            )
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise SerError(
            f"{path} is damaged ({error}); remove it and run the same `ser extract` again"
        ) from error


def damaged_rows(shard: Shard) -> Iterator[str]:
    """Names of the rows whose bytes do not match their checksums."""
    rows = shard.rows()
    for row, name in enumerate(shard.utterance_ids):
        if (row_checksums(rows.layers(row)) != shard.checksums[row]).any():
            yield name


def checksum_path(shard: Path) -> Path:
    """Where the checksum of a whole shard file stands."""
    return shard.with_suffix(".xxh3")


def file_digest(path: Path) -> str:
    """xxh3-128 of a whole file, in hexadecimal."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _image(
    key: str,
    rows: Sequence[Row],
    skips: Sequence[Skip],
    layers_and_dim: tuple[int, int],
    dtype: np.dtype[Any],
) -> bytes:
    """The bytes of the HDF5 file: same rows, same bytes."""
    offsets = np.cumsum([0] + [row.frames.shape[1] for row in rows], dtype=np.int64)
    layers, dim = layers_and_dim
    frames = np.empty((layers, int(offsets[-1]), dim), dtype)
    limits = np.zeros((len(rows), layers, 2, dim), np.float32)
    for row, own, (start, end) in zip(rows, limits, pairwise(offsets), strict=True):
        values: StoredRow | Levels = row.frames
        if isinstance(values, QuantisedFrames):
            own[:] = values.limits
            values = values.levels
        # What a cast would write is not what the checksum covers.
        np.copyto(frames[:, start:end], values, casting="no")
    checksums = np.zeros((len(rows), layers), np.uint64)
    for checksum, row in zip(checksums, rows, strict=True):
        checksum[:] = row_checksums(row.frames)
    # The page-aligned frames can be memory-mapped; HDF5 stores no times unless asked to. From 1.10
    # on its own structures have checksums: without them it crashes where a bit of them is flipped.
    with h5py.File(
        "shard", "w", driver="core", backing_store=False, libver=("v110", "v110"),
        alignment_threshold=_PAGE, alignment_interval=_PAGE,
    ) as file:  # fmt: skip
        file.attrs["format"] = _format(dtype)
        # Of a fixed length: HDF5's heap for other texts has no checksum, and a flipped bit in it
        # lets HDF5 run for ever.
        file.attrs.create("key", key, dtype=h5py.string_dtype("utf-8", len(key)))
        file.create_dataset("offsets", data=offsets)
        file.create_dataset("checksum", data=checksums)
        _write_text(file, "content_id", [row.content_id for row in rows])
        _write_text(file, "utterance_id", [row.utterance_id for row in rows])
        _write_text(file, "skipped", [json.dumps(asdict(skip)) for skip in skips])
        file.create_dataset("frames", data=frames)
        if dtype == QUANTISED:
            file.create_dataset("limits", data=limits)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def _format(dtype: np.dtype[Any]) -> int:
    return QUANTISED_FORMAT if dtype == QUANTISED else FORMAT


def _write_text(file: h5py.File, name: str, texts: Sequence[str]) -> None:
    encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
    length = max((len(text) for text in encoded), default=1) or 1
    file.create_dataset(name, data=np.array(encoded, h5py.string_dtype("utf-8", length)))
