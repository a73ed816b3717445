"""Claims: processes that extract into one cache at the same time share its shards.

A claim is a lock on one byte of the plan's file, which the system drops with the process that holds
it, however that ends. Where there are no such locks (macOS, some network disks) every shard can be
claimed: two processes then encode the same, and the first to finish a shard writes it.

Whoever extracts into a cache also holds, from beginning to end, a shared lock on its folder of
plans, so that nobody removes the cache under its hands.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from embedcache.errors import SerError
from embedcache.store.plan import plan_file, plans_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# struct flock of 64-bit Linux: type, whence, start, length, pid.
_FLOCK = "hhqqi4x"


@contextmanager
def extracting(folder: Path) -> Iterator[None]:
    """Let nobody remove the cache meanwhile, where the disk knows locks.

    Raises:
        SerError: Somebody has just removed it.
    """
    plans = plans_folder(folder)
    try:
        plans.mkdir(exist_ok=True)
        handle = os.open(plans, os.O_RDONLY)
    except FileNotFoundError as error:
        raise _removed(folder) from error
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)
        if not (plans.exists() and os.path.samestat(plans.stat(), os.fstat(handle))):
            raise _removed(folder)
        yield
    finally:
        os.close(handle)


@contextmanager
def nobody_extracts(folder: Path) -> Iterator[bool]:
    """Whether no process extracts into a cache; if so, none begins to meanwhile."""
    try:
        plans_folder(folder).mkdir(exist_ok=True)
        handle = os.open(plans_folder(folder), os.O_RDONLY)
    except FileNotFoundError:  # the cache is gone
        yield True
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # the disk knows no locks
            pass
        yield True
    finally:
        os.close(handle)


def _removed(folder: Path) -> SerError:
    return SerError(f"{folder} was pruned meanwhile; run the same `ser extract` again")


class Claims:
    """The claims of one process on the shards of a cache; a context, which ends them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, BinaryIO | None] = {}

    def take(self, shard: str) -> bool:
        """Claim a shard by its name; False where another process has it."""
        path, number = plan_file(self._folder, shard)
        file = self._open(path)
        if file is None or not hasattr(fcntl, "F_OFD_SETLK"):
            return True
        lock = struct.pack(_FLOCK, fcntl.F_WRLCK, 0, number, 1, 0)
        try:
            fcntl.fcntl(file.fileno(), fcntl.F_OFD_SETLK, lock)
        except OSError as error:
            return error.errno not in (errno.EACCES, errno.EAGAIN)
        return True

    def _open(self, path: Path) -> BinaryIO | None:
        if path not in self._files:
            try:
                self._files[path] = path.open("r+b")
            except OSError:
                self._files[path] = None
        return self._files[path]

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for file in self._files.values():
            if file is not None:
                file.close()
