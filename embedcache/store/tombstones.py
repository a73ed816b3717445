"""Tombstones: what is left of a shard that was pruned, so that its plan is not followed again.

Plans never change, and a planned shard that is not there is one that is still to come. So where
`<shard>.h5` is pruned, `<shard>.pruned` stays: its checksum file under another name, which is made
in one step and needs no room on a full disk. The shard goes after that. Whatever a kill leaves is a
shard beside its tombstone: it counts as gone, and the next extraction or prune removes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedcache.atomic import move, write_whole
from embedcache.errors import disk_errors
from embedcache.store.shard import checksum_path

if TYPE_CHECKING:
    from pathlib import Path


def shard_path(folder: Path, name: str) -> Path:
    """Where a shard lies in its cache."""
    return folder / "shards" / f"{name}.h5"


def is_pruned(folder: Path, name: str) -> bool:
    """Whether a planned shard was pruned and is never to be written."""
    return _tombstone(folder, name).exists()


def bury(folder: Path, name: str) -> None:
    """Remove a shard for good, or a plan for one that was never written.

    Raises:
        SerError: The disk refused.
    """
    path, stone = shard_path(folder, name), _tombstone(folder, name)
    with disk_errors(stone):
        if checksum_path(path).exists():
            move(checksum_path(path), stone)
        else:
            stone.parent.mkdir(exist_ok=True)
            write_whole(stone, b"")
        path.unlink(missing_ok=True)


def half_buried(folder: Path) -> list[Path]:
    """Files of shards whose removal was interrupted."""
    stones = sorted(folder.glob("shards/*.pruned"))
    files = (stone.with_suffix(end) for stone in stones for end in (".h5", ".xxh3"))
    return [file for file in files if file.exists()]


def finish_burials(folder: Path) -> None:
    """Remove the shards whose removal was interrupted.

    Raises:
        SerError: The disk refused.
    """
    for file in half_buried(folder):
        with disk_errors(file):
            file.unlink(missing_ok=True)


def _tombstone(folder: Path, name: str) -> Path:
    return shard_path(folder, name).with_suffix(".pruned")
