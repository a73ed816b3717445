"""Freed memory is kept: what comes and goes with every batch is not mapped and cleared anew."""

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
