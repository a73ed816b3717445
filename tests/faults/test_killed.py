"""Killed or interrupted at any moment, and resumed: the same bytes as if nothing had happened."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest

from tests.faults.forks import Ended, wait_for
from tests.faults.scale import FULL, scaled
from tests.faults.scene import INCOMPLETE, STAGES, Scene, all_shards, tree
from tests.material import REPOSITORY

INTERRUPTED = 130
Tell = Callable[[str], None]


def reached(cache_dir: Path) -> str:
    """How far an extraction has come, by what it has left on disk."""
    for mark, what in (
        ("folder/*/skipped.jsonl", "all but the fidelity"),
        ("folder/*/shards/*.xxh3", f"{'all' if all_shards(cache_dir) else 'some'} shards"),
        ("folder/*/plans/*.json", "a plan"),
        ("folder/*/utterances.jsonl", "a list"),
        ("folder/*/meta.json", "a description"),
        ("folder/files.json", "hashes"),
    ):
        if any(cache_dir.glob(mark)):
            return what
    return "nothing"


def disturb(
    scene: Scene, cache_dir: Path, number: int, count: int, seed: int
) -> tuple[list[Ended], str]:
    """Send extractions a signal in all their stages; every third one begins anew."""
    draw = random.Random(seed)
    found: Counter[str] = Counter()
    ended = []
    anew = cycle(draw.sample(list(STAGES), len(STAGES)))
    for n in range(count):
        stage = draw.choice(("start", "write shards", "measure fidelity"))
        if n % 3 == 0:
            stage = next(anew)
            if n:
                scene.finish(cache_dir)
                shutil.rmtree(cache_dir)
        share = draw.random()
        ended.append(scene.disturb(cache_dir, stage, share, lambda one: one.signal(number)))
        if ended[-1].code != INCOMPLETE:
            found[reached(cache_dir)] += 1
    scene.finish(cache_dir)
    if FULL:  # few moments may all come too late on a busy machine
        assert sum(found.values()) > count // 2
        assert len(found) >= 5
    left = ", ".join(f"{what} {n}" for what, n in found.most_common())
    return ended, f"{count} moments, {sum(found.values())} in time; left on disk: {left}"


def test_killed_at_any_moment_it_ends_with_the_same_bytes(
    scene: Scene, tmp_path: Path, tell: Tell
) -> None:
    ended, told = disturb(scene, tmp_path / "cache", signal.SIGKILL, scaled(100), seed=9)
    assert {one.code for one in ended} <= {-signal.SIGKILL, INCOMPLETE}
    tell(f"kill -9: {told}")


def test_interrupted_at_any_moment_it_says_so_and_ends_with_the_same_bytes(
    scene: Scene, tmp_path: Path, tell: Tell
) -> None:
    ended, told = disturb(scene, tmp_path / "cache", signal.SIGINT, scaled(40), seed=2)
    for one in ended:
        assert one.code in (INTERRUPTED, INCOMPLETE), one.err
        if "Exception ignored in" in one.err:  # Python itself loses what comes in a finaliser
            assert one.code == INCOMPLETE
            continue
        assert "Traceback" not in one.err
        if one.code == INTERRUPTED:
            sentence = "ser: interrupted; the same command goes on where it stopped"
            assert one.sentence == sentence
    tell(f"Ctrl-C: {told}")


def test_killed_from_its_very_start(scene: Scene, tmp_path: Path, tell: Tell) -> None:
    """The whole command, imports included, as a user starts it."""
    moments = random.Random(3)
    command = [sys.executable, "-m", "cli", *map(str, scene.words(tmp_path / "cache"))]
    count = scaled(20)
    for _ in range(count):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              cwd=REPOSITORY) as process:  # fmt: skip
            time.sleep(moments.uniform(0.0, 3.0))
            process.kill()
    scene.finish(tmp_path / "cache")
    tell(f"kill -9 in the first 3 s of a fresh Python: {count} moments")


@pytest.mark.parametrize("name", ["0000-00000", "0000-00010"])
def test_killed_between_a_shard_and_its_checksum(scene: Scene, tmp_path: Path, name: str) -> None:
    """A moment too short to be hit by chance: what it leaves is left here."""
    scene.finish(tmp_path / "cache")
    (checksum,) = tmp_path.rglob(f"{name}.xxh3")
    checksum.unlink()
    scene.finish(tmp_path / "cache")


def test_what_a_killed_process_had_claimed_is_done_by_the_other(
    scene: Scene, tmp_path: Path
) -> None:
    first = scene.start(tmp_path / "cache")
    assert wait_for(lambda: any(tmp_path.rglob("*.xxh3")), first)
    first.signal(signal.SIGSTOP)  # it holds its claims, and does nothing
    second = scene.start(tmp_path / "cache")
    written: dict[str, bytes] = {}
    while len(now := tree(tmp_path / "cache")) != len(written) or not written:
        written = now
        time.sleep(1.5)
    assert not second.ended()  # it waits for what the first has claimed
    assert len(written) < len(scene.undisturbed)
    first.kill()
    ended = second.wait()
    assert ended.code == INCOMPLETE, ended.err
    assert "waiting for another process that encodes" in ended.err
    # The killed process's temporary files go when the next extraction begins.
    left = {name: data for name, data in tree(tmp_path / "cache").items() if ".tmp-" not in name}
    assert left == scene.undisturbed
    scene.finish(tmp_path / "cache")
