"""The dry run tells what the extraction then does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from embedcache.estimate import describe_estimate, estimate
from embedcache.extract import extract
from embedcache.request import STORE_DTYPES, ExtractConfig
from embedcache.store.quantise import QuantisedFrames
from embedcache.store.reader import CacheReader


@pytest.mark.parametrize("store_dtype", STORE_DTYPES)
def test_the_estimate_is_what_the_extraction_then_does(
    config: ExtractConfig, store_dtype: str
) -> None:
    config = replace(config, store_dtype=store_dtype)
    before = estimate(config)
    assert (before.utterances, before.to_encode) == (12, 12)
    done = extract(config)
    reader = CacheReader(done.folder)
    rows = [reader.stored(u.id, 0) for u in reader.utterances]
    stored = sum(
        row.levels.nbytes + row.limits.nbytes if isinstance(row, QuantisedFrames) else row.nbytes
        for row in rows
    )
    assert before.frames_bytes == stored
    assert before.hours * 3600 == pytest.approx(done.encoded_s)
    after = estimate(config)
    assert (after.to_encode, after.encode_s) == (0, 0.0)
    assert "12 utterances" in describe_estimate(config)


def test_what_it_tells_of_the_cache_is_so(config: ExtractConfig) -> None:
    before = estimate(config)
    assert before.folder == extract(config).folder
    assert before.layers == CacheReader(before.folder).meta.layers


def test_nothing_at_all_is_written_where_nothing_is_to_be_remembered(
    config: ExtractConfig,
) -> None:
    estimate(config, remember=False)
    assert not config.cache_dir.exists()


def test_a_dry_run_makes_no_cache(config: ExtractConfig) -> None:
    estimate(config)
    assert not list(config.cache_dir.glob("*/*/meta.json"))
