"""A disk that fills at any moment: one sentence, nothing half-written, and the same end."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from embedcache.store.verify import NO_CHECKSUM, verify
from tests.faults.forks import Ended
from tests.faults.scale import came_about, scaled
from tests.faults.scene import INCOMPLETE, Scene, small_disk

NEEDED_KB = 460  # by the whole cache
FILES = 80
FULL_DISK = 1


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    with small_disk(tmp_path / "disk", "size=2m") as folder:
        yield folder


def fill(disk: Path, free_kb: float) -> Path:
    """Take all room of a disk but some; the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file, suppress(OSError):
        stats = os.statvfs(disk)
        size = stats.f_bavail * stats.f_frsize - round(free_kb * 1000)
        os.posix_fallocate(file.fileno(), 0, max(1, size))
    return ballast


def check_refusal(ended: Ended, cache_dir: Path) -> None:
    """It is told in one sentence, and what is there is whole."""
    assert ended.code == FULL_DISK, ended.err
    assert ended.sentence.startswith("ser: the disk is full: ")
    assert ended.sentence.endswith("then run the same command again to resume")
    assert "Traceback" not in ended.err
    assert not ended.out
    assert not list(cache_dir.rglob(".tmp-*"))
    for meta in cache_dir.glob("folder/*/meta.json"):
        # A shard that there was just room for may lack its checksum file: others may count on it.
        assert not [fault for _, fault in verify(meta.parent) if not fault.startswith(NO_CHECKSUM)]


def heal(scene: Scene, disk: Path) -> None:
    """With room again, it goes on to the undisturbed end."""
    (disk / "ballast").unlink()
    scene.finish(disk / "cache")
    for path in sorted((disk / "cache").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_disk_without_room(scene: Scene, disk: Path, tell: Callable[[str], None]) -> None:
    draw = random.Random(5)
    sizes_kb = [0, *(draw.uniform(0, NEEDED_KB) for _ in range(scaled(60) - 1))]
    written: Counter[bool] = Counter()
    for free_kb in sizes_kb:
        fill(disk, free_kb)
        check_refusal(scene.start(disk / "cache").wait(), disk / "cache")
        written[any(disk.rglob("*.h5"))] += 1
        heal(scene, disk)
    tell(f"disk full: {len(sizes_kb)} sizes, {written[True]} of them with some shards written")


def test_a_disk_that_fills_meanwhile(scene: Scene, disk: Path, tell: Callable[[str], None]) -> None:
    draw = random.Random(6)
    refused = 0
    for _ in range(scaled(40)):
        stage = draw.choice(("start", "hash", "plan", "write shards", "write shards"))
        ended = scene.disturb(disk / "cache", stage, draw.random(), lambda _: fill(disk, 0))
        if ended.code != INCOMPLETE:  # it was faster
            check_refusal(ended, disk / "cache")
            refused += 1
        heal(scene, disk)
    assert came_about(refused)
    tell(f"disk filled by another while it runs: {scaled(40)} moments, {refused} in time")


def test_a_disk_without_room_for_more_files(
    scene: Scene, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    draw = random.Random(7)
    limits = [draw.randrange(4, FILES - 15) for _ in range(scaled(20))]
    for number, limit in enumerate(limits):
        with small_disk(tmp_path / f"disk{number}", f"size=2m,nr_inodes={limit}") as disk:
            check_refusal(scene.start(disk / "cache").wait(), disk / "cache")
    tell(f"no room for more files: {len(limits)} limits")
