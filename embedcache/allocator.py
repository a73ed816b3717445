"""Freed memory that is kept for what is allocated next."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # glibc, malloc.h
_KEPT = 2**30  # bytes


def keep_freed_memory() -> None:
    """Keep up to a gigabyte of freed memory, where the C library is glibc; else nothing changes.

    glibc maps every large array anew and gives it back when it is freed, and the kernel clears each
    page of it again: with arrays of some megabytes, which come and go with every batch, that took a
    third of the time of training heads, and a twentieth of extraction.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not in musl
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _KEPT)
