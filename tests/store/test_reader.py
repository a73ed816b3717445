from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from embedcache.encoders import load_encoder
from embedcache.errors import SerError, UsageError
from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.cache import find_caches
from embedcache.store.quantise import QuantisedFrames, dequantise, quantise
from embedcache.store.reader import CacheReader
from embedcache.store.verify import describe_faults, verify
from tests.material import encoded, write_clips


@pytest.fixture
def cache(clips: Path, tmp_path: Path) -> Path:
    config = ExtractConfig(
        corpus="folder",
        root=clips,
        encoder="random:wav2vec2-tiny",
        layers="all",
        cache_dir=tmp_path / "cache",
        shard_mb=0.02,
    )
    return extract(config).folder


@pytest.fixture
def int8_cache(clips: Path, tmp_path: Path) -> Path:
    config = ExtractConfig(
        corpus="folder",
        root=clips,
        encoder="random:wav2vec2-tiny",
        layers="all",
        cache_dir=tmp_path / "int8",
        store_dtype="int8",
        shard_mb=0.02,
    )
    return extract(config).folder


def damage(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


def damage_in_place(path: Path, position: int) -> None:
    """In the file that is mapped, as a disk would."""
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 0x10]))


def test_frames_are_the_encoders_own(cache: Path) -> None:
    import soundfile

    encoder = load_encoder("random:wav2vec2-tiny", "all", "cpu", "float32")
    reader = CacheReader(cache)
    assert len(reader.utterances) == 12
    for utterance in reader.utterances:
        samples = soundfile.read(utterance.path, dtype="float32")[0]
        alone = encoded(encoder, [encoder.prepare(samples)])[0].astype(np.float16)
        assert reader.frame_count(utterance.id) == alone.shape[1]
        for layer in range(3):
            np.testing.assert_array_equal(reader.frames(utterance.id, layer), alone[layer])


def test_frames_are_views_that_cannot_be_written(cache: Path) -> None:
    reader = CacheReader(cache)
    frames = reader.frames(reader.utterances[0].id, 0)
    assert isinstance(frames.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        frames[0, 0] = 1


def test_int8_frames_are_values_in_a_new_array(int8_cache: Path) -> None:
    import soundfile

    encoder = load_encoder("random:wav2vec2-tiny", "all", "cpu", "float32")
    reader = CacheReader(int8_cache)
    assert len(reader.utterances) == 12
    for utterance in reader.utterances:
        samples = soundfile.read(utterance.path, dtype="float32")[0]
        expected = dequantise(*quantise(encoded(encoder, [encoder.prepare(samples)])[0]))
        for layer in range(3):
            frames = reader.frames(utterance.id, layer)
            assert frames.dtype == np.float32 and frames.flags.writeable
            np.testing.assert_array_equal(frames, expected[layer])
            assert not np.shares_memory(frames, reader.frames(utterance.id, layer))


def test_int8_frames_stay_mapped_as_they_are_stored(int8_cache: Path) -> None:
    reader = CacheReader(int8_cache)
    stored = reader.stored(reader.utterances[0].id, 1)
    assert isinstance(stored, QuantisedFrames)
    for array, dtype in ((stored.levels, np.int8), (stored.limits, np.float32)):
        assert isinstance(array.base, np.memmap) and array.dtype == dtype
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_floats_are_stored_as_they_are_read(cache: Path) -> None:
    reader = CacheReader(cache)
    name = reader.utterances[0].id
    frames = [reader.frames(name, 1), reader.stored(name, 1)]
    assert all(isinstance(array.base, np.memmap) for array in frames)  # type: ignore[union-attr]
    assert np.shares_memory(*frames)  # type: ignore[arg-type]


def test_a_row_is_checked_once_at_each_layer(cache: Path) -> None:
    reader = CacheReader(cache)
    name = reader._shards[0].utterance_ids[0]
    once = [reader.frames(name, layer) for layer in range(3)]
    start = reader._shards[0].frames_at
    assert start is not None
    damage_in_place(reader._shards[0].path, start)
    again = [reader.frames(name, layer) for layer in range(3)]
    assert all(one is other for one, other in zip(once, again, strict=True))
    with pytest.raises(SerError, match="is damaged at utterance"):
        CacheReader(cache).frames(name, 0)


def test_a_row_that_is_damaged_stays_so(cache: Path) -> None:
    shard = CacheReader(cache)._shards[0]
    assert shard.frames_at is not None
    damage(shard.path, shard.frames_at)
    reader = CacheReader(cache)
    for _ in range(2):
        with pytest.raises(SerError, match="is damaged at utterance"):
            reader.frames(shard.utterance_ids[0], 0)


def test_layers_are_found_by_name(cache: Path) -> None:
    reader = CacheReader(cache)
    assert reader.meta.layers == ("0", "1", "2")
    assert [reader.layer(name) for name in ("0", "2", "last")] == [0, 2, 2]
    with pytest.raises(UsageError, match=r"layer '7' is not in .* which holds 0, 1, 2"):
        reader.layer("7")


def test_a_flipped_byte_is_never_read_silently(cache: Path) -> None:
    shard = sorted(cache.glob("shards/*.h5"))[1]
    whole = CacheReader(cache)
    name = next(u.id for u in whole.utterances if whole._rows[whole._contents[u.id, ""]][0] == 1)
    assert name
    start = whole._shards[1].frames_at
    assert start is not None
    damage(shard, start + 3)
    reader = CacheReader(cache)
    first = reader._shards[1].utterance_ids[0]
    with pytest.raises(SerError, match=f"damaged at utterance '{first}'"):
        reader.frames(first, 0)
    others = [u.id for u in reader.utterances if u.id != first]
    for other in others:
        reader.frames(other, 0)


@pytest.mark.parametrize("where", ["frames_at", "limits_at"])
def test_a_flipped_byte_of_an_int8_row_is_never_read_silently(int8_cache: Path, where: str) -> None:
    """In its levels or in what they stand for, at whichever layer."""
    whole = CacheReader(int8_cache)
    shard = whole._shards[1]
    first = shard.utterance_ids[0]
    rows = whole._rows_of[1]
    assert rows.limits is not None
    stride = (rows.limits if where == "limits_at" else rows.values).strides
    start = getattr(shard, where)
    expected = {u.id: whole.frames(u.id, 2) for u in whole.utterances}
    damage(shard.path, start + 3 + 2 * (stride[1] if where == "limits_at" else stride[0]))
    reader = CacheReader(int8_cache)
    assert reader.frames(first, 1).size
    with pytest.raises(SerError, match=f"damaged at utterance '{first}'"):
        reader.frames(first, 2)
    for other in expected.keys() - {first}:
        np.testing.assert_array_equal(reader.frames(other, 2), expected[other])
    assert [path for path, _ in verify(int8_cache)] == [shard.path]


def test_verify_names_each_kind_of_fault(cache: Path) -> None:
    first, second, third, *_ = sorted(cache.glob("shards/*.h5"))
    first.with_suffix(".xxh3").unlink()
    damage(second.with_suffix(".xxh3"), 3)
    shutil.copy(third, third.with_name("9999-00000.h5"))
    shutil.copy(third.with_suffix(".xxh3"), third.with_name("9999-00000.xxh3"))
    (cache / "shards" / "8888-00000.xxh3").write_text("x")
    text, sound = describe_faults(cache)
    assert not sound
    for path, fault in (
        (first, "its checksum file is missing: run the same `ser extract` again"),
        (second, "do not match its checksum file"),
        (third.with_name("9999-00000.h5"), "no plan holds it"),
        (cache / "shards" / "8888-00000.xxh3", "its shard is missing"),
    ):
        assert any(str(path) in line and fault in line for line in text.splitlines()), fault


def test_a_shard_that_was_removed_is_missed(cache: Path) -> None:
    shard = sorted(cache.glob("shards/*.h5"))[1]
    shard.unlink()
    assert [fault for _, fault in verify(cache)] == [
        "its shard is missing: run the same `ser extract` again"
    ]
    shard.with_suffix(".xxh3").unlink()  # as if it had never been written
    assert "1 planned shards are still to come" in describe_faults(cache)[0]


def test_verify_names_contents_that_were_not_planned(cache: Path) -> None:
    first, second, *_ = sorted(cache.glob("shards/*.h5"))
    shutil.copy(first, second)
    shutil.copy(first.with_suffix(".xxh3"), second.with_suffix(".xxh3"))
    assert any("other contents than planned" in fault for _, fault in verify(cache))


@pytest.mark.parametrize("text", [b"{ half a", b'{"id": "\xff"}', b'{"ie": "a"}', b"[]", b"7"])
@pytest.mark.parametrize("name", ["meta.json", "utterances.jsonl", "skipped.jsonl"])
def test_verify_names_damaged_lists(cache: Path, name: str, text: bytes) -> None:
    (cache / name).write_bytes(text)
    assert any("damaged" in fault for _, fault in verify(cache))


def test_verify_notices_an_edited_description(cache: Path) -> None:
    text = (cache / "meta.json").read_text()
    (cache / "meta.json").write_text(text.replace('"max_seconds": 60.0', '"max_seconds": 61.0'))
    assert ("its parts do not give its key") in {fault for _, fault in verify(cache)}


def _sum(arguments: tuple[CacheReader, str]) -> float:
    reader, name = arguments
    return float(reader.frames(name, 1).astype(np.float64).sum())


def test_forked_readers_read_the_same(cache: Path) -> None:
    reader = CacheReader(cache)
    names = [u.id for u in reader.utterances]
    here = [_sum((reader, name)) for name in names]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        there = pool.map(_sum, [(CacheReader(cache), name) for name in names])
    assert here == there


@pytest.mark.parametrize("kind", ["cache", "int8_cache"])
def test_a_pickled_reader_is_its_path(kind: str, request: pytest.FixtureRequest) -> None:
    cache = request.getfixturevalue(kind)
    reader = CacheReader(cache)
    data = pickle.dumps(reader)
    assert len(data) < 1000
    again = pickle.loads(data)
    name = reader.utterances[0].id
    np.testing.assert_array_equal(again.frames(name, 1), reader.frames(name, 1))


def test_only_the_layer_that_is_read_is_verified(cache: Path) -> None:
    reader = CacheReader(cache)
    name = reader._shards[0].utterance_ids[0]
    start = reader._shards[0].frames_at
    assert start is not None
    damage(reader._shards[0].path, start)  # a byte of layer 0
    reader = CacheReader(cache)
    assert reader.frames(name, 2).size
    with pytest.raises(SerError, match="is damaged at utterance"):
        reader.frames(name, 0)


@pytest.mark.parametrize("kind", ["cache", "int8_cache"])
def test_more_shards_than_open_files_are_allowed(kind: str, request: pytest.FixtureRequest) -> None:
    import resource

    cache = request.getfixturevalue(kind)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 2, hard))
    try:
        reader = CacheReader(cache)
        assert all(reader.frames(u.id, 0).size for u in reader.utterances)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_utterance_that_is_not_there(cache: Path) -> None:
    with pytest.raises(SerError, match="holds no frames of utterance 'nobody'"):
        CacheReader(cache).frames("nobody", 0)


def test_what_is_no_cache(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no cache: it holds no meta.json"):
        CacheReader(tmp_path)


def test_find_cache_says_what_there_is(cache: Path, tmp_path: Path) -> None:
    assert find_caches(tmp_path / "cache", "folder", None) == [cache]
    with pytest.raises(UsageError, match="no cache of folder with encoder mfcc.*there are: random"):
        find_caches(tmp_path / "cache", "folder", "mfcc")
    with pytest.raises(UsageError, match="no cache of urdu.*ser extract --corpus urdu"):
        find_caches(tmp_path / "cache", "urdu", None)
    extract(ExtractConfig(corpus="folder", root=write_clips(tmp_path / "clips", 12),
                          encoder="logmel", cache_dir=tmp_path / "cache"))  # fmt: skip
    with pytest.raises(UsageError, match="2 caches of folder fit; name one"):
        find_caches(tmp_path / "cache", "folder", None)
    assert find_caches(tmp_path / "cache", "folder", "random:wav2vec2-tiny") == [cache]


def test_no_lock_is_taken(cache: Path) -> None:
    """A second process may hold the file open for writing; HDF5's own lock would refuse."""
    import fcntl

    shard = sorted(cache.glob("shards/*.h5"))[0]
    handle = os.open(shard, os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        assert CacheReader(cache).utterances
    finally:
        os.close(handle)
