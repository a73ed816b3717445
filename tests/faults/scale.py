"""How often each fault is tried: all of it by `make faults`, a tenth of it in every test run."""

from __future__ import annotations

import os

FULL = os.environ.get("SER_FAULTS") == "full"


def scaled(full: int) -> int:
    """How many of `full` tries this run makes.

    >>> scaled(100) in (10, 100)
    True
    """
    return full if FULL else max(1, full // 10)


def came_about(count: int) -> bool:
    """Whether a matter of timing came about; the few tries of a test run may all miss it."""
    return count > 0 or not FULL
