"""`projection.json`: the clips that a run has tested, at the layer that it sees."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from embedcache.store.reader import CacheReader
from heads.analysis.projection import project_vectors
from heads.experiment import run_heads
from heads.report.projection import project, seen_layer
from heads.results import Run
from heads.vectors import utterance_vectors

QUICK = {"epochs": "1"}


def train(run_config, folder, **changes):
    config = replace(run_config(seeds=1, **changes), settings=QUICK)
    return Run(next(run_heads(config, folder)))


def test_the_record_holds_what_the_docs_say(hard_run, planted_cache):
    run, reader = Run(hard_run), CacheReader(planted_cache)
    record = project(run, seed=4)
    json.dumps(record, allow_nan=False)
    assert record["run_id"] == run.id
    assert record["cache_key"] == reader.meta.key
    assert (record["layer"], record["method"], record["notes"]) == ("1", "t-sne", [])
    assert record["settings"]["vectors"] == "mean"
    assert record["ids"] == list(run.utterances)
    vectors = utterance_vectors(reader, list(run.utterances.values()), ["1"])[0]
    plane, _ = project_vectors(vectors, "t-sne", 4)
    np.testing.assert_allclose(np.array([record["x"], record["y"]]).T, plane, atol=1e-5)


def test_the_layer_is_the_one_that_the_run_sees(run_config, tmp_path, planted_cache):
    reader = CacheReader(planted_cache)
    assert seen_layer(train(run_config, tmp_path, layer="0"), reader) == ("0", "")
    weighted = seen_layer(train(run_config, tmp_path, layer="weighted"), reader)
    assert weighted == ("1", "the head weighs all layers, 1 is shown")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("0001", ("0", "3 of 4 folds see layer 0, which is shown")),
        ("1111", ("1", "")),
    ],
)
def test_where_folds_choose_the_commonest_choice_is_shown(
    run_config, tmp_path, planted_cache, chosen, expected
):
    run = train(run_config, tmp_path, layer="best")
    for fold, layer in enumerate(chosen):
        run.model["chosen"][f"fold{fold}"]["layers"] = [layer]
    assert seen_layer(run, CacheReader(planted_cache)) == expected
    if expected[1]:
        assert project(run)["notes"] == [expected[1]]
