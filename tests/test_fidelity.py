"""Fidelity: planted errors are found at their size, and sound caches are near float32."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.cache import read_meta, write_meta
from embedcache.store.reader import CacheReader
from tests.material import noise, write_clips


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


def test_int8_costs_its_steps(config: ExtractConfig) -> None:
    """Measured after de-quantisation: at most half a step, which is the range over 510."""
    done = extract(replace(config, store_dtype="int8"))
    exact = CacheReader(extract(replace(config, store_dtype="float32")).folder)
    fidelity = done.fidelity
    assert fidelity
    assert fidelity["rms"] > 2**-11  # more than float16 costs
    frames = [exact.frames(u.id, 0) for u in exact.utterances]
    assert fidelity["worst"] <= max(np.ptp(x, axis=0).max() / 510 / np.abs(x).max() for x in frames)


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
    from embedcache.fetch import fetch

    def enlarge(frames: list[np.ndarray], dtype: np.dtype) -> object:  # type: ignore[type-arg]
        factor = np.float32(1.01 if dtype == np.float16 else 1.0)
        return fetch([one * factor for one in frames], dtype)

    monkeypatch.setattr("embedcache.encode.fetch", enlarge)
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


def test_conditioned_clips_are_compared_like_with_like(config: ExtractConfig) -> None:
    from embedcache.audio.conditioning import Conditioning

    conditioned = replace(config, conditioning=Conditioning(trim=True, normalise="rms"))
    fidelity = extract(conditioned).fidelity
    assert fidelity and fidelity["worst"] < 2**-11


def test_layers_are_compared_with_themselves_whichever_were_asked_for(
    config: ExtractConfig,
) -> None:
    """A cache of all layers, measured by an extraction that asks for one of them."""
    whole = replace(config, encoder="random:wav2vec2-tiny", layers="all")
    first = extract(whole)
    write_meta(first.folder, replace(read_meta(first.folder), fidelity=None))
    assert extract(replace(whole, layers="last")).fidelity == first.fidelity


def test_a_file_that_changes_before_it_is_measured_is_left_out(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embedcache import extract as module

    measure = module.measure_fidelity

    def change_and_measure(*arguments: object) -> object:
        for n, path in enumerate(sorted(config.root.rglob("*.wav"))):
            soundfile.write(path, noise(0.31, 500 + n), 16_000)
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "measure_fidelity", change_and_measure)
    done = extract(config)
    assert done.encoded == 12 and done.fidelity is None


def test_frames_that_are_all_zero_have_none(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "embedcache.encode.fetch",
        lambda frames, dtype: lambda: [np.zeros_like(one, dtype) for one in frames],
    )
    assert extract(config).fidelity is None


def test_where_it_cannot_be_measured_the_extraction_is_done_all_the_same(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("embedcache.extract.measure_fidelity", fail)
    done = extract(config)
    assert done.encoded == 12 and done.fidelity is None
    assert "the fidelity could not be measured: CUDA out of memory" in caplog.text


def test_a_corpus_without_a_usable_clip_has_none(tmp_path: Path) -> None:
    root = write_clips(tmp_path / "clips", 2)
    for path in root.rglob("*.wav"):
        path.write_bytes(b"")
    config = ExtractConfig(
        corpus="folder", root=root, encoder="logmel", cache_dir=tmp_path / "cache"
    )
    done = extract(config)
    assert done.fidelity is None and len(CacheReader(done.folder).utterances) == 0
