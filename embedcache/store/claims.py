"""Claims: processes that extract into one cache at the same time share its shards.

A claim is a lock on one byte of the plan's file, which the system drops with the process that holds
it, however that ends. Where there are no such locks (macOS, some network disks) every shard can be
claimed: two processes then encode the same, and the first to finish a shard writes it.
"""

from __future__ import annotations

import errno
import fcntl
import struct
from typing import TYPE_CHECKING, BinaryIO

from embedcache.store.plan import plan_file

if TYPE_CHECKING:
    from pathlib import Path

# struct flock of 64-bit Linux: type, whence, start, length, pid.
_FLOCK = "hhqqi4x"


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
