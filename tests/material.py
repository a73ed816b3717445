"""What tests are made of: real corpora where they are present, small ones that are written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE_HZ = 16_000
REPOSITORY = Path(__file__).parents[1]


def real_data(name: str) -> Path:
    """A real corpus beside the repository or in $SER_TEST_DATA; without it the test is skipped."""
    folder = Path(os.environ.get("SER_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"the real corpus {name} is not there ($SER_TEST_DATA)")
    return folder


def noise(seconds: float, seed: int, rate_hz: int = RATE_HZ) -> np.ndarray:
    """A clip of noise with a slow swell, float32."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    swell = 0.5 + 0.5 * np.sin(np.arange(count) * 2 * np.pi * 3 / rate_hz)
    return (0.1 * rng.standard_normal(count) * swell).astype(np.float32)


def write_clips(root: Path, count: int, labels: tuple[str, ...] = ("angry", "sad")) -> Path:
    """A corpus for `folder`: clips of 0.2 to 0.9 s by six speakers."""
    for n in range(count):
        folder = root / labels[n % len(labels)] / f"s{n // len(labels) % 6}"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"clip{n:03}.wav", noise(0.2 + 0.1 * (n % 8), n), RATE_HZ)
    return root
