"""Freed memory is kept for what comes with every batch, and given back where it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.material import REPOSITORY

ALLOCATE = """
import resource, sys
import numpy as np
from embedcache.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
np.ones(10_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_pages_are_cleared_once_and_not_with_every_array():
    """Ten arrays of 80 MB, one after the other, take the pages of the first."""

    def faults(how):
        done = subprocess.run(
            [sys.executable, "-c", ALLOCATE, how],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        return int(done.stdout)

    assert faults("kept") < 0.05 * faults("plain")


RELEASE = """
import numpy as np
from embedcache.allocator import keep_freed_memory, release_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

keep_freed_memory()
before = resident()
large = np.ones(50_000_000)
small = np.ones(1_000)  # lies above it, so that the end of the heap cannot shrink
del large
kept = resident() - before
release_freed_memory()
print(kept, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_what_was_kept_is_given_back_wherever_it_lies():
    done = subprocess.run(
        [sys.executable, "-c", RELEASE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    kept, left = map(int, done.stdout.split())
    assert kept > 350e6
    assert left < 50e6
