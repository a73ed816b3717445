"""Which runs refer to a cache, wherever it has moved since."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedcache.errors import SerError
from embedcache.store.cache import read_meta

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A run that was trained on a cache.

    Attributes:
        run: Its folder.
        key: Of the cache.
        corpus: Of the cache.
        paths: Where the cache may lie, by what the run says.
    """

    run: Path
    key: str
    corpus: str
    paths: tuple[Path, ...]


def users_of(folder: Path, references: Sequence[Reference]) -> list[Reference]:
    """Runs that refer to a cache: by its key and corpus wherever it lies, or by its path."""
    try:
        meta = read_meta(folder)
        names = {(meta.key, meta.corpus)}
        keys: set[str] = set()
    except SerError:  # it cannot say what it is: its name ends with its key
        names, keys = set(), {folder.name.rpartition("-")[2]}
    here = folder.resolve()
    return [
        r for r in references
        if (r.key, r.corpus) in names or r.key in keys or here in r.paths
    ]  # fmt: skip


def told(users: Sequence[Reference]) -> str:
    """The first of some runs and how many more, as a sentence's subject with its verb."""
    if len(users) == 1:
        return f"the run {users[0].run} refers"
    return f"the run {users[0].run} and {len(users) - 1} more refer"
