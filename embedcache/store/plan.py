"""Plans: which contents go into which shard, decided and written before the first is encoded.

Shards follow from plans and never from what happens to be done already. So an extraction that was
interrupted ends with the bytes of one that was not, and contents that come later go into new
shards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedcache.atomic import write_new
from embedcache.errors import FormatError, SerError, disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FORMAT = 1


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """One shard to be.

    Attributes:
        name: File name without suffix: plan number, shard number.
        rows: Content id and utterance id of each row, in order.
    """

    name: str
    rows: tuple[tuple[str, str], ...]


def read_plans(folder: Path) -> list[PlannedShard]:
    """All planned shards of a cache, in the order of their plans.

    Raises:
        SerError: A plan cannot be read.
    """
    shards = []
    for path in _plan_files(folder):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["format"] != FORMAT:
                raise FormatError(path, record["format"], FORMAT)
            deals = record["shards"]
            shards += [
                PlannedShard(_shard_name(int(path.stem), n), tuple((c, u) for c, u in rows))
                for n, rows in enumerate(deals)
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SerError(
                f"{path} is damaged ({error}); restore it or remove the cache"
            ) from error
    return shards


def add_plan(folder: Path, deals: Sequence[Sequence[tuple[str, str]]]) -> bool:
    """Write the next plan; False where another process has just written one.

    Args:
        folder: The cache.
        deals: Per shard, its rows as (content id, utterance id).
    """
    files = _plan_files(folder)
    number = int(files[-1].stem) + 1 if files else 0
    path = plans_folder(folder) / f"{number:04}.json"
    record = {"format": FORMAT, "shards": [[list(row) for row in rows] for rows in deals]}
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_new(path, json.dumps(record, indent=0).encode())


def deal(rows: Iterable[tuple[str, str, int]], shard_bytes: int) -> list[list[tuple[str, str]]]:
    """Deal rows into shards in their order, a new shard where the next row would overfill one.

    Args:
        rows: Content id, utterance id, and expected bytes of its frames.
        shard_bytes: The most that a shard's frames should take; a larger row gets its own shard.

    >>> deal([("a", "x", 6), ("b", "y", 6), ("c", "z", 4)], shard_bytes=10)
    [[('a', 'x')], [('b', 'y'), ('c', 'z')]]
    """
    shards: list[list[tuple[str, str]]] = []
    filled = 0
    for content, utterance, size in rows:
        if not shards or filled + size > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append((content, utterance))
        filled += size
    return shards


def plan_file(folder: Path, shard: str) -> tuple[Path, int]:
    """The plan that a shard's name belongs to, and the shard's number in it.

    >>> from pathlib import Path
    >>> plan_file(Path("cache"), "0001-00012")
    (PosixPath('cache/plans/0001.json'), 12)
    """
    plan, _, number = shard.partition("-")
    return plans_folder(folder) / f"{plan}.json", int(number)


def plans_folder(folder: Path) -> Path:
    """Where a cache's plans lie."""
    return folder / "plans"


def _plan_files(folder: Path) -> list[Path]:
    return sorted(plans_folder(folder).glob("[0-9]*.json"), key=lambda path: int(path.stem))


def _shard_name(plan: int, shard: int) -> str:
    return f"{plan:04}-{shard:05}"
