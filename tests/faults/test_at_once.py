"""Several processes that extract one corpus at once, and readers meanwhile."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from embedcache.store.reader import CacheReader
from tests.faults.forks import Ended, wait_for
from tests.faults.scale import came_about, scaled
from tests.faults.scene import CLIPS, INCOMPLETE, STAGES, Scene, the_cache, tree

Tell = Callable[[str], None]


def encoded(ended: Ended) -> int:
    """How many contents a process says that it has encoded."""
    assert ended.code == INCOMPLETE, ended.err
    told = re.search(r"(\d+) contents encoded now", ended.err)
    assert told, ended.err
    return int(told[1])


def without_leftovers(cache_dir: Path) -> dict[str, bytes]:
    """All files but the temporary ones of a killed process, which the next extraction removes."""
    return {name: data for name, data in tree(cache_dir).items() if ".tmp-" not in name}


@pytest.mark.parametrize("processes", [2, 4])
def test_they_share_the_work_and_end_with_the_same_bytes(
    scene: Scene, tmp_path: Path, processes: int, tell: Tell
) -> None:
    draw = random.Random(processes)
    shared = 0
    for number in range(scaled(15)):
        running = []
        for _ in range(processes):
            running.append(scene.start(tmp_path / str(number)))
            time.sleep(draw.choice((0, 0, 0.05)))
        counts = [encoded(one.wait()) for one in running]
        assert sum(counts) == CLIPS  # nothing twice
        shared += sum(count > 0 for count in counts) > 1
        assert tree(tmp_path / str(number)) == scene.undisturbed
    assert came_about(shared)
    tell(f"{processes} processes at once: {scaled(15)} times, the work shared in {shared}")


def test_one_of_two_is_killed(scene: Scene, tmp_path: Path, tell: Tell) -> None:
    draw = random.Random(0)
    killed = 0
    for number in range(scaled(20)):
        second = scene.start(tmp_path / str(number))
        stage = draw.choice(("start", "hash", "plan", "write shards", "write shards"))
        first = scene.disturb(tmp_path / str(number), stage, draw.random(), lambda one: one.kill())
        killed += first.code != INCOMPLETE
        assert second.wait().code == INCOMPLETE
        assert without_leftovers(tmp_path / str(number)) == scene.undisturbed
        scene.finish(tmp_path / str(number))
    assert came_about(killed)
    tell(f"one of two killed: {scaled(20)} times, {killed} of them before its end")


def test_readers_see_whole_shards_and_right_frames(
    scene: Scene, tmp_path: Path, tell: Tell
) -> None:
    """Opened again and again, and kept open until the end."""
    opened, partly, kept = 0, 0, []
    for number in range(scaled(20)):
        running = scene.start(tmp_path / str(number))
        wait_for(partial(STAGES["plan"], tmp_path / str(number)), running)
        folder = the_cache(tmp_path / str(number))
        seen, reader = 0, CacheReader(folder)
        while not running.ended():
            reader = CacheReader(folder)
            for utterance in reader.utterances:
                frames = reader.frames(utterance.id, 0)
                np.testing.assert_array_equal(frames, scene.frames[utterance.id])
            assert len(reader.utterances) >= seen
            seen = len(reader.utterances)
            opened += 1
            partly += 0 < seen < CLIPS
        kept.append((reader, seen))
        assert len(CacheReader(folder).utterances) == CLIPS
    for reader, seen in kept:
        assert len(reader.utterances) == seen
    assert came_about(partly)
    tell(f"readers while a writer writes: {opened} opened, {partly} of them at a part of the cache")
