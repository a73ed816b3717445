"""What a cache holds, what it could not encode, and what is planned and still to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedcache.errors import SerError
from embedcache.store.cache import read_meta
from embedcache.store.plan import PlannedShard, read_plans
from embedcache.store.shard import Shard, Skip, read_shard
from embedcache.store.tombstones import is_pruned, shard_path

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Inventory:
    """The state of a cache.

    Attributes:
        rows: Contents that have frames.
        skips: Contents that were tried and have none, with the last reason.
        pending: Planned shards that are not written yet; none that was pruned.
    """

    rows: frozenset[str]
    skips: dict[str, Skip]
    pending: list[PlannedShard]

    def unplanned(self, contents: Collection[str]) -> list[str]:
        """Those of some contents that the next plan must hold, in their order.

        A content that failed for its bytes stays failed; one that could not be read is tried again.
        """
        coming = {content for shard in self.pending for content, _ in shard.rows}
        final = {content for content, skip in self.skips.items() if skip.kind == "content"}
        settled = self.rows | final | coming
        return [content for content in dict.fromkeys(contents) if content not in settled]


def take_inventory(folder: Path) -> Inventory:
    """Read the state of a cache from its plans and shards.

    Raises:
        SerError: A plan or a shard is damaged.
    """
    key = read_meta(folder).key
    rows: set[str] = set()
    skips: dict[str, Skip] = {}
    pending = []
    for planned in read_plans(folder):
        shard = None if is_pruned(folder, planned.name) else _written(folder, planned.name, key)
        if shard:
            rows.update(shard.content_ids)
            skips.update({skip.content_id: skip for skip in shard.skips})
        elif not is_pruned(folder, planned.name):  # asked again: it may have gone just now
            pending.append(planned)
    return Inventory(
        frozenset(rows), {c: skip for c, skip in skips.items() if c not in rows}, pending
    )


def _written(folder: Path, name: str, key: str) -> Shard | None:
    """A shard; None where it is not there, or has gone while it was read."""
    path = shard_path(folder, name)
    try:
        return read_shard(path, key) if path.exists() else None
    except SerError:
        if path.exists():
            raise
        return None
