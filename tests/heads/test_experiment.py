"""From wav files to a run's folder."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from embedcache.extract import extract
from embedcache.request import ExtractConfig
from heads.experiment import run_heads
from heads.train.config import RunConfig

RATE_HZ = 16_000
PITCH_HZ = {"angry": 440.0, "sad": 140.0}


def write_tones(root, speakers=6, clips=3):
    """Short tones: pitch is the emotion, the speaker's own is a little off."""
    rng = np.random.default_rng(0)
    for emotion, pitch_hz in PITCH_HZ.items():
        for s in range(speakers):
            folder = root / emotion / f"anna{s}"
            folder.mkdir(parents=True)
            for n in range(clips):
                time_s = np.arange(RATE_HZ * (2 + n) // 10) / RATE_HZ
                wave = 0.3 * np.sin(2 * np.pi * (pitch_hz + 5 * s) * time_s)
                wave += 0.01 * rng.standard_normal(len(wave))
                soundfile.write(folder / f"{n}.wav", wave, RATE_HZ)
    return root


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    root, cache_dir = write_tones(folder / "clips"), folder / "cache"
    extract(
        ExtractConfig(
            corpus="folder:tones", root=root, encoder="logmel", cache_dir=cache_dir, device="cpu"
        )
    )
    return cache_dir


def test_what_is_plain_to_hear_is_recognised(tones, tmp_path, read_results):
    config = RunConfig(
        heads=("mlp", "mha"),
        corpus="folder:tones",
        cache_dir=tones,
        folds=3,
        seeds=2,
        settings={"epochs": "15", "hidden": "16"},
        device="cpu",
    )
    folders = list(run_heads(config, tmp_path / "results"))
    assert [folder.parent for folder in folders] == [tmp_path / "results"] * 2
    for folder in folders:
        results = read_results(folder)
        assert results["metrics"]["ua"]["mean"] == 1.0
        assert results["protocol"]["speaker_overlap"] == 0
        encoder = {"id": "logmel", "trained": None, "layers": ["last"], "seen": None}
        assert results["cache"]["encoder"] == encoder
        assert len(pd.read_csv(folder / "predictions.csv")) == 2 * 36


def test_a_run_is_given_out_before_the_next_one_trains(tones, tmp_path):
    config = RunConfig(
        heads=("mlp", "attention"),
        corpus="folder:tones",
        cache_dir=tones,
        seeds=1,
        settings={"epochs": "1"},
        device="cpu",
    )
    runs = run_heads(config, tmp_path)
    assert json.loads((next(runs) / "results.json").read_text())["head"]["name"] == "mlp"
    assert len(list(tmp_path.glob("*/results.json"))) == 1
