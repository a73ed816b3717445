"""Free what nobody needs any more: leftovers, shards that no clip needs, caches that no run needs.

A shard that goes leaves its tombstone, so that nobody takes it for one that is still to come; a
content that comes back is planned anew. The cache's lists are locked meanwhile: an extraction lists
what it wants before it looks at what is there, so it sees either the shard or the tombstone.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedcache.atomic import leftovers, remove_folder, remove_stale
from embedcache.errors import SerError, UsageError, disk_errors
from embedcache.store.cache import (
    corpus_folder,
    list_caches,
    locked,
    read_meta,
    read_utterances,
    write_meta,
)
from embedcache.store.claims import Claims, nobody_extracts
from embedcache.store.inventory import take_inventory
from embedcache.store.plan import PlannedShard, plans_folder, read_plans
from embedcache.store.references import Reference, told, users_of
from embedcache.store.shard import read_shard
from embedcache.store.tombstones import (
    bury,
    half_buried,
    is_pruned,
    shard_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneConfig:
    """What to free.

    Attributes:
        paths: Caches to remove whole; none looks through all caches.
        cache_dir: Folder of all caches.
        corpus: Only caches of this corpus.
        unused: Also whole caches that no run refers to.
        yes: Free it; else only say what would be freed.
        force: Also what runs refer to, and with `paths` a cache that is damaged.
    """

    paths: Sequence[Path] = ()
    cache_dir: Path = Path("cache")
    corpus: str | None = None
    unused: bool = False
    yes: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        if self.paths and (self.unused or self.corpus):
            other = "--unused" if self.unused else "--corpus"
            raise UsageError(f"{other} with {self.paths[0]}: give either it or caches' paths")


@dataclass(slots=True)
class _Account:
    """What is freed, line by line.

    Attributes:
        done: Whether it is freed, or only would be.
        lines: One per thing that goes or stays.
        bytes: Of all that goes.
    """

    done: bool
    lines: list[str]
    bytes: int = 0

    def goes(self, what: str, size: int) -> None:
        """Something is freed."""
        self.bytes += size
        self.lines.append(f"{'freed' if self.done else 'would free'} {_told(size)}: {what}")

    def stays(self, what: str) -> None:
        """Something is not."""
        self.lines.append(f"kept: {what}")

    def __str__(self) -> str:
        end = "freed" if self.done else "would be freed"
        hint = "" if self.done or not self.bytes else "; --yes frees it"
        return "\n".join([*self.lines, f"{self.bytes} bytes ({_told(self.bytes)}) {end}{hint}"])


def prune(config: PruneConfig, references: Sequence[Reference]) -> str:
    """Free what is asked for, or say what would be freed; the last line is the total.

    Args:
        config: What to free.
        references: What runs refer to, which stays.

    Raises:
        UsageError: There is no such cache, or a run refers to one that was named.
        SerError: A process extracts into a cache that was named, or the disk refused.
    """
    account = _Account(config.yes, [])
    if config.paths:
        folders = list(dict.fromkeys(path.resolve() for path in config.paths))
        for folder in folders:  # all of them before the first goes
            _require_removable(folder, references, config.force)
        for folder in folders:
            if not _remove_cache(folder, "named", account):
                raise SerError(f"{folder}: another process extracts into it; let it end first")
        return str(account)
    places = sorted(config.cache_dir.glob("[!.]*"))
    if config.corpus:
        places = [corpus_folder(config.cache_dir, config.corpus)]
    if not (places[0] if config.corpus else config.cache_dir).is_dir():
        whose = f" of {config.corpus}" if config.corpus else ""
        raise UsageError(f"no cache{whose} in {config.cache_dir}; see `ser cache ls`")
    for place in places:
        _remove_leftovers(place, (place,), account)
    for folder in list_caches(config.cache_dir, config.corpus):
        _prune_cache(folder, references, config, account)
    return str(account)


def _prune_cache(
    folder: Path, references: Sequence[Reference], config: PruneConfig, account: _Account
) -> None:
    users = users_of(folder, references)
    if config.unused and not users:
        if not _remove_cache(folder, "no run refers to it", account):
            account.stays(f"{folder}: another process extracts into it")
        return
    _remove_leftovers(folder, (folder, plans_folder(folder), folder / "shards"), account)
    with locked(folder) if account.done else nullcontext():
        _remove_files(half_buried(folder), f"{folder}: shards that were going", account)
        stray = [p for p in sorted(folder.glob("shards/*.xxh3")) if _is_stray(folder, p)]
        _remove_files(stray, f"{folder}: checksum files without a shard", account)
        try:
            stale, abandoned = _unlisted(folder)
        except SerError as error:
            account.stays(f"the shards of {folder}: {error}")
            return
        if stale and users and not config.force:
            size = _size(shard_path(folder, shard.name) for shard in stale)
            account.stays(
                f"{_told(size)} in {folder}: {_count(len(stale), 'shard')} that no listed clip "
                f"needs, for {told(users)} to this cache; --force frees them"
            )
            stale = []
        _bury(folder, stale, abandoned, account)


def _unlisted(folder: Path) -> tuple[list[PlannedShard], list[PlannedShard]]:
    """Shards that are there, and planned ones that are not, of which no listed clip needs a row."""
    key = read_meta(folder).key
    wanted = {content for _, content in read_utterances(folder)} - {""}
    if not wanted:  # no extraction has come that far: nothing can be told
        return [], []
    there, coming = [], []
    for planned in read_plans(folder):
        path = shard_path(folder, planned.name)
        if is_pruned(folder, planned.name):
            continue
        if not path.exists():
            held = {content for content, _ in planned.rows}
            coming += [] if held & wanted else [planned]
            continue
        shard = read_shard(path, key)
        # A failure that is final must stay known, or it would be tried again.
        final = {skip.content_id for skip in shard.skips if skip.kind == "content"}
        there += [] if (final | set(shard.content_ids)) & wanted else [planned]
    return there, coming


def _bury(
    folder: Path,
    stale: Sequence[PlannedShard],
    abandoned: Sequence[PlannedShard],
    account: _Account,
) -> None:
    if stale:
        size = _size(shard_path(folder, shard.name) for shard in stale)
        rows = sum(len(shard.rows) for shard in stale)
        what = f"{_count(len(stale), 'shard')} with {_count(rows, 'clip')} that nothing lists"
        account.goes(f"{folder}: {what}", size)
    if abandoned:
        shards = _count(len(abandoned), "shard")
        account.goes(f"{folder}: plans of {shards} that nothing lists, never written", 0)
    if not account.done or not (stale or abandoned):
        return
    before = len(take_inventory(folder).rows)
    for shard in stale:
        bury(folder, shard.name)
    with Claims(folder) as claims:
        for shard in abandoned:
            if claims.take(shard.name) and not shard_path(folder, shard.name).exists():
                bury(folder, shard.name)
    _carry_fidelity(folder, before)


def _carry_fidelity(folder: Path, before: int) -> None:
    """Let the fidelity tell of the rows that are left, or of nothing if it told of others.

    An extraction measures anew where the number of rows is not the one that was measured. Without
    this, as many new rows as were pruned would pass for the old ones.
    """
    meta = read_meta(folder)
    if meta.fidelity:
        left = len(take_inventory(folder).rows)
        same = meta.fidelity["rows"] == before
        write_meta(
            folder, replace(meta, fidelity={**meta.fidelity, "rows": left} if same else None)
        )


def _require_removable(folder: Path, references: Sequence[Reference], force: bool) -> None:
    if not (folder / "meta.json").is_file():
        raise UsageError(f"{folder} is no cache: it holds no meta.json; see `ser cache ls`")
    users = users_of(folder, references)
    if users and not force:
        raise UsageError(
            f"{folder} stays, and nothing was freed: {told(users)} to it; "
            "remove the runs first, or give --force"
        )


def _remove_cache(folder: Path, why: str, account: _Account) -> bool:
    """Remove a whole cache; False where a process extracts into it."""
    with nobody_extracts(folder) as free:
        if not free:
            return False
        account.goes(f"{folder}, the whole cache: {why}", _size([folder]))
        if account.done:
            with disk_errors(folder):
                remove_folder(folder)
    return True


def _remove_leftovers(what: Path, folders: Iterable[Path], account: _Account) -> None:
    folders = list(folders)
    found = [path for folder in folders for path in leftovers(folder)]
    if not found:
        return
    files = _count(len(found), "file")
    account.goes(f"{what}: {files} of processes that were killed", _size(found))
    if account.done:
        for folder in folders:
            with disk_errors(folder):
                remove_stale(folder)


def _remove_files(files: Sequence[Path], what: str, account: _Account) -> None:
    if not files:
        return
    account.goes(what, _size(files))
    if account.done:
        for file in files:
            with disk_errors(file):
                file.unlink(missing_ok=True)


def _is_stray(folder: Path, checksum: Path) -> bool:
    return not (checksum.with_suffix(".h5").exists() or is_pruned(folder, checksum.stem))


def _size(paths: Iterable[Path]) -> int:
    files = (file for path in paths for file in (path, *path.rglob("*")))
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _told(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
