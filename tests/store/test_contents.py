from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import xxhash

from embedcache.store.contents import content_id, identify, unchanged
from embedcache.utterance import Utterance
from tests.material import noise

OLD_S = time.time() - 3600


def clip(path: Path, seed: int = 0) -> Utterance:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(0.5, seed), 16_000)
    os.utime(path, (OLD_S, OLD_S))
    return Utterance(id=path.stem, path=path)


def one(utterance: Utterance, memory: Path) -> str:
    return identify([utterance], memory)[0][utterance.key].id


@pytest.mark.parametrize(
    "other",
    [("i", 0.0, None, ""), ("h", 0.1, None, ""), ("h", 0.0, 1.0, ""), ("h", 0.0, None, "v")],
)
def test_bytes_bounds_and_view_are_the_content(other: tuple[str, float, float, str]) -> None:
    assert content_id("h", 0.0, None, "") != content_id(*other)


def test_a_copy_under_another_name_is_the_same_content(tmp_path: Path) -> None:
    first = clip(tmp_path / "a.wav")
    shutil.copy(first.path, tmp_path / "deep-er.wav")
    second = Utterance(id="b", path=tmp_path / "deep-er.wav", label="sad", speaker="x")
    found, _ = identify([first, second], tmp_path / "memory.json")
    assert found["a", ""].id == found["b", ""].id


def test_one_changed_byte_is_another_content(tmp_path: Path) -> None:
    first = clip(tmp_path / "a.wav")
    before = one(first, tmp_path / "memory.json")
    data = bytearray(first.path.read_bytes())
    data[-1] ^= 1
    first.path.write_bytes(data)
    assert one(first, tmp_path / "memory.json") != before


def test_a_remembered_file_is_not_read_again(tmp_path: Path) -> None:
    first = clip(tmp_path / "a.wav")
    before = one(first, tmp_path / "memory.json")
    size = first.path.stat().st_size
    first.path.write_bytes(b"x" * size)
    os.utime(first.path, (OLD_S, OLD_S))  # same path, size and time: taken for the same
    assert one(first, tmp_path / "memory.json") == before
    os.utime(first.path, (OLD_S, OLD_S + 1))
    assert one(first, tmp_path / "memory.json") != before


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    """Within the clock's grain it could change again with the same size and time."""
    first = clip(tmp_path / "a.wav")
    now = time.time()
    os.utime(first.path, (now, now))
    before = one(first, tmp_path / "memory.json")
    first.path.write_bytes(b"x" * first.path.stat().st_size)
    os.utime(first.path, (now, now))
    assert one(first, tmp_path / "memory.json") != before


def test_a_damaged_memory_is_forgotten(tmp_path: Path) -> None:
    first = clip(tmp_path / "a.wav")
    before = one(first, tmp_path / "memory.json")
    for text in ("", "{", "[]", '{"a": 1}', '{"a": [1]}'):
        (tmp_path / "memory.json").write_text(text)
        assert one(first, tmp_path / "memory.json") == before


def test_unreadable_files_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    first = clip(tmp_path / "a.wav")
    gone = Utterance(id="gone", path=tmp_path / "gone.wav")
    found, unreadable = identify([gone, first], tmp_path / "memory.json")
    assert list(found) == [("a", "")]
    assert unreadable == {("gone", ""): "cannot be read (No such file or directory)"}


def test_expected_seconds_follow_the_bounds(tmp_path: Path) -> None:
    first = clip(tmp_path / "a.wav")
    part = replace(first, id="part", start_s=0.1, end_s=0.3)
    found, _ = identify([first, part], tmp_path / "memory.json")
    assert found["a", ""].seconds == pytest.approx(0.5)
    assert found["part", ""].seconds == pytest.approx(0.2)


def test_unchanged_notices_a_change(tmp_path: Path) -> None:
    first = clip(tmp_path / "a.wav")
    content = identify([first], tmp_path / "memory.json")[0]["a", ""]
    assert unchanged(content)
    os.utime(first.path, (OLD_S, OLD_S + 5))
    assert not unchanged(content)


def test_many_files_keep_their_order_faults_among_them(tmp_path: Path) -> None:
    """More than threads look at in one go; some are missing, some named twice."""
    good = [clip(tmp_path / f"{n}.wav", n) for n in range(70)]
    gone = [Utterance(id=f"gone{n}", path=tmp_path / f"gone{n}.wav") for n in range(40)]
    parts = [replace(u, id=f"{u.id}-part", start_s=0.1) for u in (good[3], gone[3], good[69])]
    listed = [u for pair in zip(good, gone, strict=False) for u in pair] + good[40:] + parts
    ticks: list[int] = []
    found, unreadable = identify(listed, tmp_path / "memory.json", lambda: ticks.append(1))
    assert list(found) == [u.key for u in listed if u.path.exists()]
    assert list(unreadable) == [u.key for u in listed if not u.path.exists()]
    assert set(unreadable.values()) == {"cannot be read (No such file or directory)"}
    assert len(ticks) == len(listed) == 113
    for utterance in listed:  # each as if it were alone
        alone, fault = identify([utterance], tmp_path / "other.json")
        assert alone.get(utterance.key) == found.get(utterance.key)
        assert fault.get(utterance.key) == unreadable.get(utterance.key)


def test_a_file_of_several_blocks_is_hashed_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.bin"
    data = bytes(range(256)) * 4096 + b"end"
    path.write_bytes(data)
    found, _ = identify([Utterance(id="a", path=path)], tmp_path / "memory.json")
    assert found["a", ""].facts.hash == xxhash.xxh3_128_hexdigest(data)
    assert found["a", ""].facts.seconds is None  # it is no audio


def test_a_pipe_and_a_folder_are_unreadable_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    listed = [Utterance(id=name, path=tmp_path / f"{name}.wav") for name in ("pipe", "folder")]
    _, unreadable = identify(listed, tmp_path / "memory.json")
    assert unreadable == {u.key: "cannot be read (no regular file)" for u in listed}
