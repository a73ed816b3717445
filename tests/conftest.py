"""Fixtures for all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from embedcache.request import ExtractConfig
from tests.material import REPOSITORY, real_data, write_clips

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does, before torch

Ser = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def ravdess() -> Path:
    return real_data("ravdess")


@pytest.fixture(scope="session")
def urdu() -> Path:
    return real_data("urdu")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return write_clips(tmp_path / "clips", 12)


@pytest.fixture
def config(clips: Path, tmp_path: Path) -> ExtractConfig:
    """An extraction of the clips, about one of them in each shard."""
    return ExtractConfig(
        corpus="folder",
        root=clips,
        encoder="logmel",
        cache_dir=tmp_path / "cache",
        shard_mb=0.01,
    )


@pytest.fixture
def ser(tmp_path: Path) -> Ser:
    """Run the command `ser` as a user does, in an empty folder."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", *map(str, arguments)],
            cwd=options.pop("cwd", tmp_path),
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **options.pop("env", {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **options,
        )

    return run
