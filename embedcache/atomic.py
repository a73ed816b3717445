"""Files and folders that exist whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARK = ".tmp-"
_LEFTOVER = re.compile(r"\.tmp-(.+)-(\d+)-[0-9a-f]{8}")  # as `_temporary` names them
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux's renameat2
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_STALE_S = 24 * 3600.0


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file beside its place, force it to disk, then move it there.

    Raises:
        OSError: The disk refused; nothing is left behind.
    """
    with _temporary(path) as temporary:
        _write(temporary, data)
        temporary.replace(path)
    _sync_folder(path.parent)


def write_new(
    path: Path, data: bytes, check: Callable[[Path], None] = lambda written: None
) -> bool:
    """Like `write_whole`, but never over an existing file: False where there is one already.

    Of two processes that write the same path at once, one gets True.

    Args:
        path: The new file.
        data: Its bytes.
        check: Called with the written file before it appears under its name; may raise.
    """
    with _temporary(path) as temporary:
        _write(temporary, data)
        check(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            try:
                path.open("xb").close()  # without hard links: claim the name, then fill it
            except FileExistsError:
                return False
            temporary.replace(path)
    _sync_folder(path.parent)
    return True


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that takes the place of `path` once the block has ended without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path) as temporary:
        temporary.mkdir()
        yield temporary
        for path_below in temporary.rglob("*"):
            (_sync_folder if path_below.is_dir() else _sync_file)(path_below)
        _sync_folder(temporary)
        while not _exchange(temporary, path):
            try:
                temporary.rename(path)
                break
            except OSError as error:  # another process has just written it
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
    _sync_folder(path.parent)


def move(old: Path, new: Path) -> None:
    """Give a file another name in its folder, and force that to disk; it needs no room there."""
    old.replace(new)
    _sync_folder(new.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder: under its name it is there whole or not at all."""
    with _temporary(path) as away:
        path.rename(away)
        _sync_folder(path.parent)


def leftovers(folder: Path) -> list[Path]:
    """What processes that were killed have left in a folder.

    A leftover's name holds its host and process; it is one when that process is gone, or after a
    day where the host is another one.
    """
    found = []
    for path in sorted(folder.glob(f"{_MARK}*")):
        name = _LEFTOVER.fullmatch(path.name)
        if name is None:
            continue
        here = name[1] == socket.gethostname()
        if not _alive(int(name[2])) if here else _age_s(path) > _STALE_S:
            found.append(path)
    return found


def remove_stale(folder: Path) -> None:
    """Remove what processes that were killed have left in a folder."""
    for path in leftovers(folder):
        _remove(path)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    name = f"{_MARK}{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    temporary = path.parent / name
    try:
        yield temporary
    finally:
        _remove(temporary)


def _write(path: Path, data: bytes | memoryview) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _exchange(new: Path, old: Path) -> bool:
    """Let two paths change places in one step, so that `old` exists at every moment.

    False where there is no `old`. Where the system cannot do it, `old` is moved away first.
    """
    if not old.exists():
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        paths = os.fsencode(new.absolute()), os.fsencode(old.absolute())
        if libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
            return True
    with _temporary(old) as away:
        old.rename(away)
        new.rename(old)
    return True


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # its process has just finished
        return 0.0


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
