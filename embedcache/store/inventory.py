"""What a cache holds, what it could not encode, and what is planned and still to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedcache.store.cache import read_meta
from embedcache.store.plan import PlannedShard, read_plans
from embedcache.store.shard import Skip, read_shard

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Inventory:
    """The state of a cache.

    Attributes:
        rows: Contents that have frames.
        skips: Contents that were tried and have none, with the last reason.
        pending: Planned shards that are not written yet.
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
        path = shard_path(folder, planned.name)
        if path.exists():
            shard = read_shard(path, key)
            rows.update(shard.content_ids)
            skips.update({skip.content_id: skip for skip in shard.skips})
        else:
            pending.append(planned)
    return Inventory(
        frozenset(rows), {c: skip for c, skip in skips.items() if c not in rows}, pending
    )


def shard_path(folder: Path, name: str) -> Path:
    """Where a shard lies in its cache."""
    return folder / "shards" / f"{name}.h5"
