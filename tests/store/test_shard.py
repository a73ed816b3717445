from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.errors import SerError
from embedcache.store.shard import (
    Row,
    Skip,
    checksum_path,
    complete_checksum,
    file_digest,
    read_shard,
    row_checksums,
    write_shard,
)

HALF = np.dtype(np.float16)
SKIPS = [Skip("f" * 32, "ü/verloren", "content", "silent")]


def make_rows(lengths: list[int], layers: int = 2, dim: int = 3) -> list[Row]:
    rng = np.random.default_rng(0)
    return [
        Row(f"{i:032x}", f"clip-é{i}", rng.standard_normal((layers, n, dim)).astype(HALF))
        for i, n in enumerate(lengths)
    ]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 50), max_size=8), st.integers(1, 3), st.integers(1, 5))
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], layers: int, dim: int
) -> None:
    path = tmp_path_factory.mktemp("shard") / "a.h5"
    rows = make_rows(lengths, layers, dim)
    write_shard(path, "key", rows, SKIPS, (layers, dim), HALF)
    shard = read_shard(path, "key")
    assert shard.content_ids == tuple(row.content_id for row in rows)
    assert shard.utterance_ids == tuple(row.utterance_id for row in rows)
    assert list(shard.skips) == SKIPS
    assert shard.shape == (layers, sum(lengths), dim)
    frames = shard.map()
    for row, start, end in zip(rows, shard.offsets[:-1], shard.offsets[1:], strict=True):
        np.testing.assert_array_equal(frames[:, start:end], row.frames)


def test_the_data_sets_are_those_of_the_documented_format(tmp_path: Path) -> None:
    """Any HDF5 reader finds what the format page says, without this package."""
    write_shard(tmp_path / "a.h5", "key", make_rows([400, 500]), SKIPS, (2, 3), HALF)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["frames"].shape == (2, 900, 3)
        assert file["frames"].chunks is None
        assert file["frames"].id.get_offset() % 4096 == 0
        assert file["checksum"].shape == (2, 2)
        assert file["offsets"].dtype == np.int64
        assert file["offsets"][:].tolist() == [0, 400, 900]
        assert file["utterance_id"].asstr()[1] == "clip-é1"
        assert {name: data.shape for name, data in file.items()}.keys() == {
            "frames", "offsets", "content_id", "utterance_id", "checksum", "skipped",
        }  # fmt: skip
        assert file.attrs["key"] == "key"
        assert file.attrs["format"] == 1


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_shard(tmp_path / f"{name}.h5", "key", make_rows([7, 9]), SKIPS, (2, 3), HALF)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_checksum_file_is_xxh3_of_the_whole_file(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", "key", make_rows([7]), [], (2, 3), HALF)
    digest = xxhash.xxh3_128_hexdigest((tmp_path / "a.h5").read_bytes())
    assert checksum_path(tmp_path / "a.h5").read_text() == f"{digest}\n"
    assert file_digest(tmp_path / "a.h5") == digest


def test_a_row_has_a_checksum_per_layer_over_its_bytes() -> None:
    frames = make_rows([11])[0].frames
    expected = [xxhash.xxh3_64_intdigest(layer.tobytes()) for layer in frames]
    assert row_checksums(frames).tolist() == expected
    wide = np.concatenate([frames, frames], axis=1)  # a view into a larger array
    assert row_checksums(wide[:, :11]).tolist() == expected


def test_nothing_is_left_beside_a_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", "key", make_rows([7]), [], (2, 3), HALF)
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5", "a.xxh3"}


def test_bytes_that_do_not_come_back_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedcache.store.shard.file_digest", lambda path: "0" * 32)
    with pytest.raises(SerError, match="read back with other bytes"):
        write_shard(tmp_path / "a.h5", "key", make_rows([7]), [], (2, 3), HALF)
    assert not list(tmp_path.iterdir())


def test_a_shard_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    """Of two writers with different bytes the first wins, and its checksum file is its own."""
    write_shard(tmp_path / "a.h5", "key", make_rows([7]), [], (2, 3), HALF)
    before = (tmp_path / "a.h5").read_bytes()
    write_shard(tmp_path / "a.h5", "key", make_rows([8]), [], (2, 3), HALF)
    assert (tmp_path / "a.h5").read_bytes() == before
    assert (tmp_path / "a.xxh3").read_text().strip() == file_digest(tmp_path / "a.h5")


def test_a_writer_that_was_killed_before_its_checksum_file_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, "key", make_rows([7]), [], (2, 3), HALF)
    expected = checksum_path(path).read_bytes()
    checksum_path(path).unlink()
    complete_checksum(path, "key")
    assert checksum_path(path).read_bytes() == expected
    checksum_path(path).unlink()
    data = bytearray(path.read_bytes())
    start = read_shard(path, "key").frames_at
    assert start is not None
    data[start + 1] ^= 1
    path.write_bytes(data)
    with pytest.raises(SerError, match="is damaged at utterance 'clip-é0'; remove it and extract"):
        complete_checksum(path, "key")


def test_another_caches_shard_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", "key", make_rows([7]), [], (2, 3), HALF)
    with pytest.raises(SerError, match="belongs to cache key, not other"):
        read_shard(tmp_path / "a.h5", "other")


def test_another_format_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["format"] = 7
    with pytest.raises(SerError, match="has format 7; this ser reads 1"):
        read_shard(tmp_path / "a.h5", "key")


def test_what_is_no_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"not hdf5")
    with pytest.raises(SerError, match=r"a\.h5 is damaged .*remove it and run the same"):
        read_shard(tmp_path / "a.h5", "key")
