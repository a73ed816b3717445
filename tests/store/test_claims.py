"""Claims on shards, between real processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedcache.errors import SerError
from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.claims import Claims, extracting, nobody_extracts
from embedcache.store.plan import add_plan
from tests.material import REPOSITORY

HOLD = """
import sys
from pathlib import Path
from embedcache.store.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.take(sys.argv[2]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    add_plan(tmp_path, [[("a", "x")], [("b", "y")]])
    add_plan(tmp_path, [[("c", "z")]])
    return tmp_path


@contextmanager
def held(cache: Path, shard: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that claims a shard and keeps it."""
    command = [sys.executable, "-c", HOLD, str(cache), shard]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=REPOSITORY, **pipes) as process:
        assert process.stdout and process.stdout.readline().strip() == "True"
        yield process
        process.kill()


def test_one_process_has_a_shard_and_others_are_free(cache: Path) -> None:
    with held(cache, "0000-00001"), Claims(cache) as claims:
        assert not claims.take("0000-00001")
        assert claims.take("0000-00000")
        assert claims.take("0001-00000")


def test_a_killed_process_loses_its_claims(cache: Path) -> None:
    with held(cache, "0000-00000") as other, Claims(cache) as claims:
        assert not claims.take("0000-00000")
        other.kill()
        other.wait()
        assert claims.take("0000-00000")


def test_claims_end_with_their_context(cache: Path) -> None:
    with Claims(cache) as claims:
        assert claims.take("0000-00000")
    with Claims(cache) as later:
        assert later.take("0000-00000")


def test_two_in_one_process_exclude_each_other_too(cache: Path) -> None:
    with Claims(cache) as first, Claims(cache) as second:
        assert first.take("0000-00000")
        assert not second.take("0000-00000")


def test_reading_the_plan_drops_no_claim(cache: Path) -> None:
    """As it would with locks of the older kind, which belong to the process and not to the file."""
    from embedcache.store.plan import read_plans

    with Claims(cache) as first, Claims(cache) as second:
        assert first.take("0000-00000")
        read_plans(cache)
        assert not second.take("0000-00000")


def test_where_there_are_no_locks_everything_can_be_claimed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.delattr(fcntl, "F_OFD_SETLK")
    with Claims(cache) as first, Claims(cache) as second:
        assert first.take("0000-00000")
        assert second.take("0000-00000")


def test_whoever_extracts_into_a_cache_that_is_gone_says_so(config: ExtractConfig) -> None:
    folder = extract(config).folder
    with nobody_extracts(folder) as free:
        assert free
        shutil.rmtree(folder)
    with pytest.raises(SerError, match="was pruned meanwhile; run the same"), extracting(folder):
        pass
    with nobody_extracts(folder) as free:
        assert free


def test_two_may_extract_at_once(config: ExtractConfig) -> None:
    folder = extract(config).folder
    with extracting(folder), extracting(folder), nobody_extracts(folder) as free:
        assert not free
    with nobody_extracts(folder) as free:
        assert free
