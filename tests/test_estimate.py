"""The dry run tells what the extraction then does."""

from __future__ import annotations

import pytest

from embedcache.estimate import describe_estimate, estimate
from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.reader import CacheReader


def test_the_estimate_is_what_the_extraction_then_does(config: ExtractConfig) -> None:
    before = estimate(config)
    assert (before.utterances, before.to_encode) == (12, 12)
    done = extract(config)
    reader = CacheReader(done.folder)
    stored = sum(reader.frames(u.id, 0).nbytes for u in reader.utterances)
    assert before.frames_bytes == stored
    assert before.hours * 3600 == pytest.approx(done.encoded_s)
    after = estimate(config)
    assert (after.to_encode, after.encode_s) == (0, 0.0)
    assert "12 utterances" in describe_estimate(config)


def test_a_dry_run_makes_no_cache(config: ExtractConfig) -> None:
    estimate(config)
    assert not list(config.cache_dir.glob("*/*/meta.json"))
