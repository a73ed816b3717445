from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.errors import SerError
from embedcache.store.quantise import QuantisedFrames
from embedcache.store.shard import (
    Row,
    Skip,
    checksum_path,
    complete_checksum,
    file_digest,
    read_shard,
    write_shard,
)

HALF = np.dtype(np.float16)
INT8 = np.dtype(np.int8)
SKIPS = [Skip("f" * 32, "ü/verloren", "content", "silent")]


def make_rows(lengths: list[int], layers: int = 2, dim: int = 3) -> list[Row]:
    rng = np.random.default_rng(0)
    return [
        Row(f"{i:032x}", f"clip-é{i}", rng.standard_normal((layers, n, dim)).astype(HALF))
        for i, n in enumerate(lengths)
    ]


def make_quantised(lengths: list[int], layers: int = 2, dim: int = 3) -> list[Row]:
    rows = make_rows(lengths, layers, dim)
    return [
        replace(row, frames=QuantisedFrames.of(np.asarray(row.frames, np.float32))) for row in rows
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


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 50), max_size=8), st.integers(1, 3), st.integers(1, 5))
def test_quantised_rows_come_back(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], layers: int, dim: int
) -> None:
    path = tmp_path_factory.mktemp("shard") / "a.h5"
    rows = make_quantised(lengths, layers, dim)
    write_shard(path, "key", rows, SKIPS, (layers, dim), INT8)
    shard = read_shard(path, "key")
    assert shard.shape == (layers, sum(lengths), dim)
    found = shard.rows()
    for number, row in enumerate(rows):
        for layer, expected in zip(found.layers(number), row.frames, strict=True):
            assert isinstance(layer, QuantisedFrames) and isinstance(expected, QuantisedFrames)
            np.testing.assert_array_equal(layer.levels, expected.levels)
            np.testing.assert_array_equal(layer.limits, expected.limits)


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
        assert file.attrs["key"] == b"key"
        assert file.attrs["format"] == 1


def test_quantised_shards_hold_one_data_set_more_under_another_format(tmp_path: Path) -> None:
    """With the page's formula alone, any HDF5 reader finds the values; older ones refuse it."""
    rows = make_quantised([400, 500])
    write_shard(tmp_path / "a.h5", "key", rows, SKIPS, (2, 3), INT8)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["format"] == 2
        assert file["frames"].shape == (2, 900, 3) and file["frames"].dtype == np.int8
        assert file["frames"].chunks is None and file["limits"].chunks is None
        assert file["limits"].shape == (2, 2, 2, 3) and file["limits"].dtype == np.float32
        assert {*file} == {
            "frames", "limits", "offsets", "content_id", "utterance_id", "checksum", "skipped",
        }  # fmt: skip
        low, high = file["limits"][1, 0].astype(float)
        values = low + (file["frames"][0, 400:] + 128.0) * (high - low) / 255
    np.testing.assert_allclose(values, np.asarray(rows[1].frames)[0], rtol=1e-6, atol=1e-6)


def test_a_quantised_row_is_the_same_whichever_others_are_there(tmp_path: Path) -> None:
    first, second, third = make_quantised([7, 9, 11])
    write_shard(tmp_path / "a.h5", "key", [first, second], [], (2, 3), INT8)
    write_shard(tmp_path / "b.h5", "key", [third, second, first], [], (2, 3), INT8)
    a, b = (read_shard(tmp_path / name, "key") for name in ("a.h5", "b.h5"))
    np.testing.assert_array_equal(a.checksums[1], b.checksums[1])
    for x, y in zip(a.rows().layers(1), b.rows().layers(1), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("rows", "dtype"), [(make_rows([7]), INT8), (make_quantised([7]), HALF)], ids=["int8", "half"]
)
def test_rows_of_another_dtype_are_never_cast(
    tmp_path: Path, rows: list[Row], dtype: np.dtype[Any]
) -> None:
    with pytest.raises(TypeError, match="Cannot cast"):
        write_shard(tmp_path / "a.h5", "key", rows, [], (2, 3), dtype)


@pytest.mark.parametrize(("rows", "dtype"), [(make_rows, HALF), (make_quantised, INT8)])
def test_the_same_rows_give_the_same_bytes(
    tmp_path: Path, rows: Callable[[list[int]], list[Row]], dtype: np.dtype[Any]
) -> None:
    for name in ("a", "b"):
        write_shard(tmp_path / f"{name}.h5", "key", rows([7, 9]), SKIPS, (2, 3), dtype)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_checksum_file_is_xxh3_of_the_whole_file(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", "key", make_rows([7]), [], (2, 3), HALF)
    digest = xxhash.xxh3_128_hexdigest((tmp_path / "a.h5").read_bytes())
    assert checksum_path(tmp_path / "a.h5").read_text() == f"{digest}\n"
    assert file_digest(tmp_path / "a.h5") == digest


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


@pytest.mark.parametrize("where", ["frames_at", "limits_at"])
def test_a_quantised_shard_is_not_completed_over_a_flipped_byte(tmp_path: Path, where: str) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, "key", make_quantised([7]), [], (2, 3), INT8)
    checksum_path(path).unlink()
    data = bytearray(path.read_bytes())
    data[getattr(read_shard(path, "key"), where) + 1] ^= 1
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
    with pytest.raises(SerError, match="has format 7; this ser reads 2: use the ser that wrote it"):
        read_shard(tmp_path / "a.h5", "key")


def test_levels_are_never_taken_for_values_nor_values_for_levels(tmp_path: Path) -> None:
    """A format that the frames' dtype belies."""
    write_shard(tmp_path / "a.h5", "key", make_rows([7]), [], (2, 3), HALF)
    write_shard(tmp_path / "b.h5", "key", make_quantised([7]), [], (2, 3), INT8)
    for name, number in (("a", 2), ("b", 1)):
        with h5py.File(tmp_path / f"{name}.h5", "r+") as file:
            file.attrs["format"] = number
        with pytest.raises(SerError, match=rf"{name}\.h5 is damaged \(format {number} with frames"):
            read_shard(tmp_path / f"{name}.h5", "key")


def test_what_is_no_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"not hdf5")
    with pytest.raises(SerError, match=r"a\.h5 is damaged .*remove it and run the same"):
        read_shard(tmp_path / "a.h5", "key")
