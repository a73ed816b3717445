"""Check a cache against its checksums: whole files, single rows, plans and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedcache.errors import SerError
from embedcache.store.cache import read_meta, read_skipped, read_utterances
from embedcache.store.key import cache_key
from embedcache.store.plan import PlannedShard, read_plans
from embedcache.store.shard import Shard, checksum_path, damaged_rows, file_digest, read_shard
from embedcache.store.tombstones import is_pruned, shard_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


NO_CHECKSUM = "its checksum file is missing"


def verify(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every fault of a cache as (file, what is wrong with it); nothing where it is sound.

    A shard that is planned and not there yet is no fault: the extraction was interrupted. Nor is
    one that was pruned, or that a prune was about to remove.
    """
    try:
        meta = read_meta(folder)
        planned = {shard.name: shard for shard in read_plans(folder)}
        read_utterances(folder)
        read_skipped(folder)
    except SerError as error:
        yield folder, str(error)
        return
    if cache_key(meta.parts) != meta.key:
        yield folder / "meta.json", "its parts do not give its key"
    for path in sorted(folder.glob("shards/*.h5")):
        faults = _faults_unless_gone(path, meta.key, planned.get(path.stem))
        if not is_pruned(folder, path.stem):
            yield from ((path, fault) for fault in faults)
    for path in sorted(folder.glob("shards/*.xxh3")):
        if not path.with_suffix(".h5").exists() and not is_pruned(folder, path.stem):
            yield path, "its shard is missing: run the same `ser extract` again"


def _faults_unless_gone(path: Path, key: str, planned: PlannedShard | None) -> list[str]:
    try:
        return list(_shard_faults(path, key, planned))
    except FileNotFoundError:
        return ["it was removed while it was checked"]


def _shard_faults(path: Path, key: str, planned: PlannedShard | None) -> Iterator[str]:
    checksum = checksum_path(path)
    if not checksum.exists():
        yield f"{NO_CHECKSUM}: run the same `ser extract` again"
    elif checksum.read_bytes() != f"{file_digest(path)}\n".encode():
        yield (
            "the file's bytes do not match its checksum file; remove it and run the same "
            "`ser extract` again"
        )
        return  # HDF5 may crash on what is damaged
    try:
        shard = read_shard(path, key)
    except SerError as error:
        yield str(error)
        return
    if planned is None:
        yield "no plan holds it"
    elif _held(shard) != set(planned.rows):
        yield "it holds other contents than planned"
    for name in damaged_rows(shard):
        yield f"the frames of '{name}' do not match their checksum"


def _held(shard: Shard) -> set[tuple[str, str]]:
    skipped = {(skip.content_id, skip.utterance_id) for skip in shard.skips}
    return set(zip(shard.content_ids, shard.utterance_ids, strict=True)) | skipped


def describe_faults(folder: Path) -> tuple[str, bool]:
    """The faults of a cache as text, and whether it is sound.

    Raises:
        UsageError: There is no cache in this folder.
    """
    read_meta(folder)
    faults = list(verify(folder))
    if faults:
        return "\n".join(f"{path}: {fault}" for path, fault in faults), False
    plans = [shard.name for shard in read_plans(folder) if not is_pruned(folder, shard.name)]
    shards = sum(shard_path(folder, name).exists() for name in plans)
    coming = len(plans) - shards
    rest = f"; {coming} planned shards are still to come" if coming else ""
    return f"{folder}: sound ({shards} shards, every byte and every row checked{rest})", True
