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
from embedcache.store.cache import find_cache
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


def damage(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


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


def test_verify_finds_flipped_bytes_wherever_they_are(cache: Path) -> None:
    assert not list(verify(cache))
    shard = sorted(cache.glob("shards/*.h5"))[0]
    rng = np.random.default_rng(0)
    for position in rng.integers(0, shard.stat().st_size, 60):
        damage(shard, int(position))
        assert list(verify(cache)), position
        damage(shard, int(position))
    assert not list(verify(cache))


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
        (first, "its checksum file is missing"),
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


@pytest.mark.parametrize("name", ["meta.json", "utterances.jsonl", "skipped.jsonl"])
def test_verify_names_damaged_lists(cache: Path, name: str) -> None:
    (cache / name).write_text("{ half a")
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


def test_a_pickled_reader_is_its_path(cache: Path) -> None:
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


def test_more_shards_than_open_files_are_allowed(cache: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 2, hard))
    try:
        reader = CacheReader(cache)
        assert all(reader.frames(u.id, 0).size for u in reader.utterances)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_moved_cache_still_reads(cache: Path, tmp_path: Path) -> None:
    before = CacheReader(cache).utterances
    shutil.move(cache, tmp_path / "elsewhere" / cache.name)
    moved = CacheReader(tmp_path / "elsewhere" / cache.name)
    assert moved.utterances == before
    assert moved.frames(before[0].id, 0).size


def test_a_read_only_cache_still_reads(cache: Path) -> None:
    for path in (*cache.rglob("*"), cache):
        path.chmod(path.stat().st_mode & ~0o222)
    reader = CacheReader(cache)
    assert reader.frames(reader.utterances[0].id, 0).size
    assert not list(verify(cache))
    for path in (cache, *cache.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)


def test_an_utterance_that_is_not_there(cache: Path) -> None:
    with pytest.raises(SerError, match="holds no frames of utterance 'nobody'"):
        CacheReader(cache).frames("nobody", 0)


def test_what_is_no_cache(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no cache: it holds no meta.json"):
        CacheReader(tmp_path)


def test_another_format_version_is_refused(cache: Path) -> None:
    text = (cache / "meta.json").read_text()
    (cache / "meta.json").write_text(text.replace('"format": 1', '"format": 9'))
    with pytest.raises(SerError, match="has another format"):
        CacheReader(cache)


def test_find_cache_says_what_there_is(cache: Path, tmp_path: Path) -> None:
    assert find_cache(tmp_path / "cache", "folder") == cache
    with pytest.raises(UsageError, match="no cache of folder with encoder mfcc.*there are: random"):
        find_cache(tmp_path / "cache", "folder", "mfcc")
    with pytest.raises(UsageError, match="no cache of urdu.*ser extract --corpus urdu"):
        find_cache(tmp_path / "cache", "urdu")
    extract(ExtractConfig(corpus="folder", root=write_clips(tmp_path / "clips", 12),
                          encoder="logmel", cache_dir=tmp_path / "cache"))  # fmt: skip
    with pytest.raises(UsageError, match="2 caches of folder fit; name one"):
        find_cache(tmp_path / "cache", "folder")
    assert find_cache(tmp_path / "cache", "folder", "random:wav2vec2-tiny") == cache


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
