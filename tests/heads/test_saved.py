"""A model that is built again is the model that was trained: it predicts the same."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from embedcache.errors import SerError, UsageError
from embedcache.store.reader import CacheReader
from heads.experiment import run_heads
from heads.results import Run
from heads.saved import load_saved

QUICK = {"epochs": "2", "precision": "float32"}


def written(run, fold, seed):
    table = run.predictions.query(f"fold == {fold} and seed == {seed}")
    names = [name for name in table if name.startswith("pred_")]
    return table["id"].tolist(), table[names].to_numpy(float)


def predicted(run, reader, fold, seed):
    ids, expected = written(run, fold, seed)
    model = load_saved(run, fold, seed, reader.meta.roles)
    utterances = [run.utterances[name] for name in ids]
    frames = model.frames(reader, utterances, reader.utterances)
    return model.predict(*frames.batch(range(len(ids)), "cpu")), expected


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("fold", [0, 3])
def test_each_model_predicts_what_it_has_predicted(hard_run, planted_cache, fold, seed):
    found, expected = predicted(Run(hard_run), CacheReader(planted_cache), fold, seed)
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("head", "changes"),
    [
        ("mha", {"standardise": "speaker"}),
        ("mlp", {"standardise": "speaker", "layer": "0"}),
        ("attention", {"standardise": "speaker", "protocol": "random"}),
        ("mha", {"layer": "weighted"}),
        ("attention", {"layer": "best"}),
        ("transformer", {}),
        ("cnn-rnn", {}),
        ("mlp", {"target": "dimensions"}),
    ],
)
def test_every_kind_of_run_can_be_built_again(run_config, planted_cache, tmp_path, head, changes):
    config = replace(run_config(heads=(head,), seeds=1, **changes), settings=QUICK)
    run = Run(next(run_heads(config, tmp_path)))
    found, expected = predicted(run, CacheReader(planted_cache), 1, 0)
    np.testing.assert_allclose(found, expected, atol=5e-6)


def test_a_batch_does_not_show(hard_run, planted_cache):
    run, reader = Run(hard_run), CacheReader(planted_cache)
    model = load_saved(run, 0, 0, reader.meta.roles)
    frames = model.frames(reader, reader.utterances[:6])
    together = model.predict(*frames.batch(range(6), "cpu"))
    alone = [model.predict(*frames.batch([i], "cpu"))[0] for i in range(6)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_logits_can_be_calibrated(hard_run, planted_cache):
    run = Run(hard_run)
    model = load_saved(run, 2, 1, CacheReader(planted_cache).meta.roles)
    assert model.temperature == run.model["temperatures"]["fold2.seed1"] != 1.0


# Messages


def test_speakers_must_be_known_where_their_statistics_are_used(
    run_config, planted_cache, tmp_path
):
    config = replace(run_config(standardise="speaker", seeds=1), settings=QUICK)
    run, reader = Run(next(run_heads(config, tmp_path))), CacheReader(planted_cache)
    model = load_saved(run, 0, 0, reader.meta.roles)
    nobody = [replace(reader.utterances[0], speaker=None)]
    with pytest.raises(UsageError, match="utterances name no speaker; add a speaker column in a m"):
        model.frames(reader, nobody)


@pytest.fixture
def copy(hard_run, tmp_path):
    return shutil.copytree(hard_run, tmp_path / "copy")


def test_a_model_that_is_not_there_is_said(hard_run, planted_cache):
    roles = CacheReader(planted_cache).meta.roles
    with pytest.raises(UsageError, match=r"has no model of fold 9 with seed 0"):
        load_saved(Run(hard_run), 9, 0, roles)
    with pytest.raises(UsageError, match=r"has no model of fold 1 with seed 12"):
        load_saved(Run(hard_run), 1, 12, roles)


def test_a_head_without_a_network_is_said(run_config, planted_cache, tmp_path):
    config = replace(run_config(heads=("svm",)), settings={})
    run = Run(next(run_heads(config, tmp_path)))
    with pytest.raises(UsageError, match="the head svm is fitted to one vector of each utterance"):
        load_saved(run, 0, 0, CacheReader(planted_cache).meta.roles)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"{nothing"])
def test_damaged_files_are_named(copy, planted_cache, name, content):
    (copy / name).unlink()
    if content:
        (copy / name).write_bytes(content)
    text = rf"{name} cannot be read \(.+\); train the head again"
    with pytest.raises(SerError, match=text):
        load_saved(Run(copy), 0, 0, CacheReader(planted_cache).meta.roles)


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"pooling": "mean", "hidden": [8], "dropout": 0.3}},  # other weights
        {"config": {"colour": "blue"}},  # a setting that the head does not have
        {"layers": ["0", "1"]},
    ],
)
def test_a_run_of_another_version_of_the_head_is_said(copy, planted_cache, change):
    file = copy / "model.json"
    model = json.loads(file.read_text())
    model["chosen"]["fold0"] |= change
    file.write_text(json.dumps(model))
    text = r"do not fit the head attention of this version \(.+\); train the head again"
    with pytest.raises(SerError, match=text):
        load_saved(Run(copy), 0, 0, CacheReader(planted_cache).meta.roles)
