"""All shards in this process, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedcache.fill import Job, fill_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from embedcache.encoders import Encoder
    from embedcache.store.plan import PlannedShard


def run(
    job: Job, shards: Sequence[PlannedShard], encoder: Encoder, tick: Callable[[], object]
) -> Iterator[tuple[int, float]]:
    """Fill shards; for each, its number of rows and their seconds of audio."""
    yield from fill_shards(job, shards, encoder, tick)
