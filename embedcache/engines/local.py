"""One shard after the other in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Shard = TypeVar("Shard")
Done = TypeVar("Done")


def run(shards: Iterable[Shard], work: Callable[[Shard], Done]) -> Iterator[Done]:
    """Call `work` for each shard, in order."""
    yield from map(work, shards)
