"""Caches of another format version: every command refuses them, and says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import xxhash

from tests.faults.forks import Forks
from tests.faults.scene import Scene, the_cache, tree

ADVICE = (r"has format 9; this ser reads \d+: use the ser that wrote it, or extract into another "
          r"--cache-dir")  # fmt: skip


def other_description(cache: Path) -> Path:
    return other_json(cache / "meta.json")


def other_plan(cache: Path) -> Path:
    return other_json(cache / "plans" / "0000.json")


def other_json(path: Path) -> Path:
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 9}))
    return path


def other_shard(cache: Path) -> Path:
    path = sorted(cache.glob("shards/*.h5"))[0]
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = 9
    digest = xxhash.xxh3_128_hexdigest(path.read_bytes())
    path.with_suffix(".xxh3").write_text(f"{digest}\n")
    return path


@pytest.mark.parametrize("change", [other_description, other_plan, other_shard])
def test_each_command_refuses_it(
    scene: Scene, server: Forks, tmp_path: Path, change: Callable[[Path], Path]
) -> None:
    scene.finish(tmp_path / "cache")
    cache = the_cache(tmp_path / "cache")
    path = change(cache)
    sentence = re.escape(str(path)) + " " + ADVICE
    before = tree(tmp_path / "cache")
    trains = ["train-head", "--corpus", "folder", "--cache", cache, "--results-dir", tmp_path]
    for words in (["cache", "info", cache], trains, scene.words(tmp_path / "cache")):
        if change is other_plan and words is trains:
            continue  # it reads no plans: the frames are there
        ended = server.run(*words)
        assert ended.code == 1, words
        assert re.fullmatch(f"ser: {sentence}", ended.sentence), ended.err
        assert "Traceback" not in ended.err
        assert not ended.out
    verified = server.run("cache", "verify", cache)
    assert verified.code == 1
    assert re.search(sentence, verified.out + verified.err)
    listed = server.run("cache", "ls", "--cache-dir", tmp_path / "cache")
    assert listed.code == 0
    assert re.search(sentence, listed.out)
    assert tree(tmp_path / "cache") == before  # nothing is written over
