"""What every benchmark says of itself: the machine, and where real clips lie."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

STAGED = Path(__file__).parents[1].parent / "shared" / "data"


def machine() -> str:
    """The processor, its cores, and the versions that matter, in one line."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "soundfile"))
    return f"{_cpu()}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"


def data_folder(asked: Path | None) -> Path:
    """Where real corpora lie: as asked for, $SER_TEST_DATA, or beside the project."""
    return asked or Path(os.environ.get("SER_TEST_DATA", STAGED))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
