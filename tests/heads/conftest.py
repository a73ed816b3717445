"""A small planted corpus, its cache as an extraction leaves it, and runs trained on it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from embedcache.store.cache import Meta, write_meta, write_utterances
from embedcache.store.key import KeyParts, cache_key
from embedcache.store.quantise import QuantisedFrames
from embedcache.store.shard import Row, write_shard
from embedcache.utterance import Utterance
from heads.experiment import run_heads
from heads.labels import LabelConfig
from heads.train.config import RunConfig

LABELS = ("angry", "happy", "sad")
CORPUS = "manifest:planted"
DIM = 5


def plant_clips(speakers=8, clips=4, seed=0):
    """Utterances of some speakers, and frames [2, T, D] that hold the label, not too clearly.

    Half of the speakers are women; each session has two speakers; five annotators vote; the label
    is the one that was planted, and some votes are tied. Valence follows the label; arousal is what
    the clip's frames lie around in their first dimension; only half of the speakers have dominance.
    """
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((len(LABELS), DIM))
    utterances, frames = [], {}
    for s in range(speakers):
        voice = 0.5 * rng.standard_normal(DIM)
        for n in range(clips * len(LABELS)):
            c = n % len(LABELS)
            heard = rng.choice(len(LABELS), 5, p=np.where(np.arange(len(LABELS)) == c, 0.6, 0.2))
            if n < 2:
                heard = np.array([c, c, (c + 1) % 3, (c + 1) % 3])  # a tie
            clip = Utterance(
                id=f"s{s}-{n:02}",
                path=Path(f"s{s}-{n:02}.wav"),
                speaker=f"planted/s{s}",
                gender="female" if s % 2 else "male",
                age=20.0 + 7 * s,
                session=f"session{s // 2}",
                label=LABELS[c],
                votes={LABELS[h]: float((heard == h).sum()) for h in sorted(set(heard))},
                extra={"room": "hall" if n % 2 else "booth"},
            )
            count = int(rng.integers(2, 9))
            shape = (2, count, DIM)
            values = centers[c] + voice + 1.4 * rng.standard_normal((1, 1, DIM))
            frames[clip.id] = (values + rng.standard_normal(shape)).astype(np.float32)
            dimensions = {"valence": 1.0 + 2 * c, "arousal": 3 + float(values[0, 0, 0])}
            if s % 4 < 2:
                dimensions["dominance"] = 4 - float(values[0, 0, 1])
            utterances.append(replace(clip, dimensions=dimensions))
    return utterances, frames


def save_cache(
    folder,
    utterances,
    frames,
    *,
    corpus=CORPUS,
    encoder="logmel",
    trained=None,
    store_dtype="float32",
    weights="",
    family=None,
):
    """Write a cache with one shard; utterances without frames are listed, and lack their row."""
    parts = KeyParts(
        family=family or encoder,
        config={},
        weights=weights,
        layers=("0", "1"),
        compute_dtype="float32",
        conditioning={},
        max_seconds=60.0,
        rate_hz=16_000,
        store_dtype=store_dtype,
    )
    meta = Meta(
        corpus=corpus,
        key=cache_key(parts),
        parts=parts,
        encoder_id=encoder,
        trained=trained,
        dim=DIM,
        frame_hz=50.0,
        last="1",
        versions={},
    )
    write_meta(folder, meta)
    write_utterances(folder, [(u, f"content of {u.name}") for u in utterances])
    stored = QuantisedFrames.of if store_dtype == "int8" else np.asarray
    rows = [Row(f"content of {name}", name, stored(array)) for name, array in frames.items()]
    shard = folder / "shards/0000-00000.h5"
    write_shard(shard, meta.key, rows, [], (2, DIM), np.dtype(store_dtype))
    return folder


def save_corpora(folder, names=("one", "two", "three"), **changes):
    """Caches of several planted corpora: ids and centers are shared, speakers are their own.

    Args:
        folder: Where the caches go, each where it is found by its corpus.
        names: What they are called after `manifest:`.
        changes: Of every cache, as for `save_cache`.
    """
    for number, name in enumerate(names):
        utterances, frames = plant_clips(speakers=4 + number)
        rng = np.random.default_rng(number)
        moved = {x: (a + rng.normal(0, 0.3, DIM)).astype(np.float32) for x, a in frames.items()}
        own = [replace(u, speaker=f"{name}/{u.speaker[8:]}") for u in utterances]
        save_cache(
            folder / f"manifest-{name}/logmel-0", own, moved, corpus=f"manifest:{name}", **changes
        )
    return folder


def read_strictly(folder):
    """`results.json`, in which NaN and Infinity are errors."""

    def refuse(name):
        raise AssertionError(f"{name} in results.json")

    text = (folder / "results.json").read_text(encoding="utf-8")
    return json.loads(text, parse_constant=refuse)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def plant():
    return plant_clips


@pytest.fixture(scope="session")
def write_cache():
    return save_cache


@pytest.fixture(scope="session")
def write_corpora():
    return save_corpora


@pytest.fixture(scope="session")
def corpora_dir(tmp_path_factory):
    """Caches of `manifest:one`, `manifest:two` and `manifest:three`: 4, 5 and 6 speakers."""
    return save_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="session")
def read_results():
    return read_strictly


@pytest.fixture(scope="session")
def planted():
    return plant_clips()


@pytest.fixture(scope="session")
def planted_cache(tmp_path_factory, planted):
    return save_cache(tmp_path_factory.mktemp("cache"), *planted)


@pytest.fixture(scope="session")
def run_config(planted_cache):
    """A quick configuration on the planted corpus; keywords replace its parts."""

    def make(**changes):
        settings = {"epochs": "6", "patience": "3", "hidden": "8", "lr": "0.02"}
        settings |= changes.pop("settings", {})
        parts = {"heads": ("mlp",), "corpus": CORPUS, "cache": planted_cache, "folds": 4}
        parts |= {"seeds": 2, "device": "cpu", "settings": settings}
        return RunConfig(**parts | changes)

    return make


@pytest.fixture(scope="session")
def results_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="session")
def hard_run(results_dir, run_config):
    """Folder of a run on hard labels."""
    return next(run_heads(run_config(heads=("attention",)), results_dir))


@pytest.fixture(scope="session")
def soft_run(results_dir, run_config):
    """Folder of a run on soft labels, speakers shared."""
    config = run_config(labels=LabelConfig(kind="soft"), protocol="random")
    return next(run_heads(config, results_dir))
