"""Freed memory that is kept for what is allocated next, and what gives it back."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # glibc, malloc.h
_KEPT = 2**30  # bytes at the end of the heap


def keep_freed_memory() -> None:
    """Keep freed memory for what comes next, where the C library is glibc; else nothing changes.

    glibc maps every large array anew and gives it back when it is freed, and the kernel clears each
    page of it again: with arrays of some megabytes, which come and go with every batch, that took a
    third of the time of training heads. What is kept can be far more than will be used again, so
    `release_freed_memory` is called where much was freed.
    """
    glibc = _glibc()
    if glibc is not None:
        glibc.mallopt(_MMAP_MAX, 0)
        glibc.mallopt(_TRIM_THRESHOLD, _KEPT)


def release_freed_memory() -> None:
    """Give all freed pages back to the system, wherever in the heap they lie."""
    glibc = _glibc()
    if glibc is not None:
        glibc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
