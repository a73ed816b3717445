"""A cache of shards of one clip each, and one whose corpus has lost a speaker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from embedcache.extract import extract
from embedcache.request import ExtractConfig
from tests.store.prune.scene import take_away


@pytest.fixture
def config(config: ExtractConfig) -> ExtractConfig:
    """Each clip in a shard of its own."""
    return replace(config, shard_mb=1e-6)


@pytest.fixture
def left(config: ExtractConfig) -> Path:
    """A cache that holds the clips of a speaker who has left the corpus, in shards of their own."""
    extract(config)
    take_away(config)
    return extract(config).folder
