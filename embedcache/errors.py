"""Errors whose text is meant for the user: one sentence each, never a traceback."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class SerError(Exception):
    """The work failed: bad data, a full disk, a damaged cache. Exit code 1."""

    exit_code = 1


class UsageError(SerError):
    """What was asked for cannot be: an unknown name, a missing folder, a bad value. Exit code 2."""

    exit_code = 2


class ClipError(SerError):
    """One clip cannot be encoded; the rest go on.

    Attributes:
        kind: `content`, which is final for these bytes (truncated, silent, too short), or `io`,
            which may heal (unreadable, removed, changed meanwhile) and is tried again.
    """

    def __init__(self, kind: Literal["content", "io"], reason: str) -> None:
        super().__init__(reason)
        self.kind: Literal["content", "io"] = kind


def unknown_name(kind: str, name: str, allowed: Iterable[str]) -> UsageError:
    """The error for a name that does not exist, with the nearest one that does.

    Args:
        kind: What the name stands for, such as "corpus".
        name: The name as the user wrote it.
        allowed: The names that exist.

    >>> unknown_name("head", "atention", ["attention", "mha", "mlp"]).args[0]
    "unknown head 'atention': did you mean 'attention'? There are: attention, mha, mlp"
    """
    names = sorted(allowed)
    if not names:
        return UsageError(f"unknown {kind} '{name}': there is none")
    near = get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'? There are: " if near else "there are: "
    return UsageError(f"unknown {kind} '{name}': {hint}{', '.join(names)}")


class FormatError(SerError):
    """A file of a cache was written by a version of `ser` that wrote it in another way."""

    def __init__(self, path: Path, found: object, known: int) -> None:
        super().__init__(
            f"{path} has format {found}; this ser reads {known}: use the ser that wrote it, or "
            "extract into another --cache-dir"
        )


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn what a disk can refuse (full, read-only, no permission) into one sentence.

    Args:
        target: The file or folder that is being written.

    Raises:
        SerError: When the operating system refused.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            folder = next(p for p in (target, *target.parents) if p.exists())
            free_mb = shutil.disk_usage(folder).free / 1e6
            raise SerError(
                f"the disk is full: {target} could not be written ({free_mb:.1f} MB free); "
                "make room or choose another folder, then run the same command again to resume"
            ) from error
        raise SerError(
            f"cannot write {target} ({error.strerror or error}); choose another folder"
        ) from error


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch or one of CUDA's libraries raised it for want of memory."""
    words = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
    return any(word in str(error) for word in words)
