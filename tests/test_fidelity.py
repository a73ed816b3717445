"""Fidelity: planted errors are found at their size, and sound caches are near float32."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.cache import read_meta
from embedcache.store.reader import CacheReader
from tests.material import write_clips


@pytest.fixture
def config(clips: Path, tmp_path: Path) -> ExtractConfig:
    return ExtractConfig(corpus="folder", root=clips, cache_dir=tmp_path / "cache", shard_mb=0.05)


def test_float32_storage_of_float32_frames_is_exact(config: ExtractConfig) -> None:
    done = extract(replace(config, store_dtype="float32"))
    assert done.fidelity == {"rows": 12, "clips": 4, "rms": 0.0, "worst": 0.0}
    assert read_meta(done.folder).fidelity == done.fidelity


def test_float16_costs_its_rounding(config: ExtractConfig) -> None:
    """Half precision has 11 bits: at most 2^-12 of a value, and less on average."""
    fidelity = extract(config).fidelity
    assert fidelity
    assert 1e-5 < fidelity["rms"] < 2**-12
    assert fidelity["rms"] <= fidelity["worst"] < 2**-11


def test_bfloat16_computing_costs_more(config: ExtractConfig) -> None:
    tiny = replace(config, encoder="random:wav2vec2-tiny", store_dtype="float32")
    exact, half = (extract(replace(tiny, dtype=d)).fidelity for d in ("float32", "bfloat16"))
    assert exact and half
    assert exact["worst"] < 1e-5
    assert 1e-3 < half["rms"] < 0.1


def test_a_planted_error_is_found_at_its_size(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames that are stored 1 % too large differ by 1 %."""
    from embedcache.encode import to_storage

    def enlarge(frames: np.ndarray, dtype: np.dtype) -> np.ndarray:  # type: ignore[type-arg]
        factor = 1.01 if dtype == np.float16 else 1.0
        return to_storage(frames * np.float32(factor), dtype)

    monkeypatch.setattr("embedcache.encode.to_storage", enlarge)
    fidelity = extract(config).fidelity
    assert fidelity
    assert fidelity["rms"] == pytest.approx(0.01, rel=0.05)
    assert fidelity["worst"] == pytest.approx(0.01, rel=0.1)


def test_it_is_measured_again_only_where_rows_were_added(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = extract(replace(config, limit=6)).fidelity
    assert first and first["rows"] == 6
    whole = extract(config).fidelity
    assert whole and whole["rows"] == 12
    monkeypatch.setattr("embedcache.extract.measure_fidelity", None)  # would fail if it were called
    assert extract(config).fidelity == whole


def test_a_worker_of_several_leaves_it_to_the_last(config: ExtractConfig) -> None:
    config = replace(config, shard_mb=0.01)
    assert extract(replace(config, worker=(0, 2))).fidelity is None
    last = extract(replace(config, worker=(1, 2))).fidelity
    assert last and last["rows"] == 12


def test_views_and_conditioning_are_compared_like_with_like(config: ExtractConfig) -> None:
    from embedcache.audio.conditioning import Conditioning

    conditioned = replace(
        config, conditioning=Conditioning(trim=True, normalise="rms"), views=("noise=20",)
    )
    fidelity = extract(conditioned).fidelity
    assert fidelity and fidelity["worst"] < 2**-11


def test_a_corpus_without_a_usable_clip_has_none(tmp_path: Path) -> None:
    root = write_clips(tmp_path / "clips", 2)
    for path in root.rglob("*.wav"):
        path.write_bytes(b"")
    config = ExtractConfig(corpus="folder", root=root, cache_dir=tmp_path / "cache")
    done = extract(config)
    assert done.fidelity is None and len(CacheReader(done.folder).utterances) == 0
