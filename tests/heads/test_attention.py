"""Attention is that of the model that tested the clip."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from embedcache.errors import SerError, UsageError
from embedcache.store.reader import CacheReader
from heads.attention import attend, choose_clips
from heads.experiment import run_heads
from heads.results import Run
from heads.train.prepare import prepare
from tests.heads.fold_caches import save_folds

QUICK = {"epochs": "3"}


def train(run_config, folder, head="mha", **changes):
    config = replace(run_config(heads=(head,), **changes), settings=QUICK)
    return Run(next(run_heads(config, folder)))


@pytest.fixture(scope="module")
def mha(run_config, tmp_path_factory):
    return train(run_config, tmp_path_factory.mktemp("mha"))


def predictions(run, clip):
    table = run.predictions
    row = table[(table["id"] == clip.utterance.id) & (table["seed"] == clip.seed)]
    return row[[f"pred_{label}" for label in run.labels]].to_numpy(float)[0]


@pytest.mark.parametrize("standardise", ["train", "speaker"])
@pytest.mark.parametrize(("head", "rows"), [("attention", 1), ("mha", 4)])
def test_weights_sum_to_one_and_the_prediction_is_the_runs_own(
    run_config, tmp_path, planted, head, rows, standardise
):
    run = train(run_config, tmp_path, head, standardise=standardise)
    ids = [planted[0][n].id for n in (0, 30, 60, 90, 31)]
    for seed in (0, 1):
        clips = attend(run, ids, seed)
        assert [clip.utterance.id for clip in clips] == ids
        for clip in clips:
            frames = planted[1][clip.utterance.id].shape[1]
            assert clip.weights.shape == (rows, frames)
            assert (clip.weights > 0).all()
            np.testing.assert_allclose(clip.weights.sum(axis=1), 1, atol=1e-6)
            np.testing.assert_allclose(clip.predicted, predictions(run, clip), atol=2e-6)
            assert (clip.seed, clip.frame_hz) == (seed, 50.0)


def test_weights_are_the_softmax_of_the_query_and_what_the_model_sees(hard_run, planted):
    run = Run(hard_run)
    name = planted[0][17].id
    (clip,) = attend(run, [name])
    weights = run.weights(clip.fold, clip.seed)
    mean, deviation = (weights[f"standardise.{x}"].numpy() for x in ("mean", "deviation"))
    seen = (planted[1][name][1] - mean) / deviation  # of layer 1, the last
    scores = seen @ weights["query"].numpy()
    expected = torch.from_numpy(scores).softmax(dim=0).numpy()
    np.testing.assert_allclose(clip.weights[0], expected, atol=1e-6)


def test_the_model_is_that_of_the_fold_that_tested_the_clip(mha):
    for name, fold in mha.predictions.drop_duplicates("id")[["id", "fold"]].to_numpy()[::13]:
        (clip,) = attend(mha, [name])
        assert clip.fold == fold


def test_each_fold_sees_frames_of_its_own_checkpoint(run_config, planted, tmp_path):
    """Others would give other predictions, which is refused."""
    config = run_config(heads=("attention",), seeds=1)
    paths = save_folds(tmp_path / "cache", planted[0], prepare(config).folds, (2, 0, 3, 1))
    run = train(run_config, tmp_path / "results", "attention", seeds=1, cache=paths)
    ids = run.predictions.drop_duplicates("fold")["id"].tolist()
    assert sorted(clip.fold for clip in attend(run, ids)) == [0, 1, 2, 3]


def test_layers_may_be_weighed(run_config, tmp_path, planted):
    run = train(run_config, tmp_path, layer="weighted", seeds=1)
    (clip,) = attend(run, [planted[0][5].id])
    np.testing.assert_allclose(clip.predicted, predictions(run, clip), atol=2e-6)


def test_runs_on_dimensions_can_be_asked_too(run_config, tmp_path, planted):
    run = train(run_config, tmp_path, target="dimensions", seeds=1)
    (clip,) = attend(run, [planted[0][5].id])
    assert clip.truth is None
    np.testing.assert_allclose(clip.predicted, predictions(run, clip), atol=1e-5)
    text = "has learned valence, arousal, dominance: right answers and mistakes are of runs on emo"
    with pytest.raises(UsageError, match=text):
        choose_clips(run)


# Which clips


def test_chosen_are_the_surest_right_answer_and_mistake_of_each_emotion(mha):
    table = mha.predictions.query("seed == 0").set_index("id")
    truth = table[[f"true_{x}" for x in mha.labels]].to_numpy().argmax(axis=1)
    predicted = table[[f"pred_{x}" for x in mha.labels]].to_numpy()
    sure = predicted.max(axis=1)
    expected = set()
    for right in (True, False):
        for code in range(3):
            rows = np.flatnonzero((truth == code) & ((predicted.argmax(axis=1) == truth) == right))
            if rows.size:
                expected.add(table.index[rows[sure[rows].argmax()]])
    chosen = choose_clips(mha, most=100)
    assert set(chosen) == expected
    assert len(chosen) == len(expected)


def test_the_surest_stand_first_right_and_wrong_in_turn(mha):
    chosen = choose_clips(mha, most=4)
    table = mha.predictions.query("seed == 0").set_index("id").loc[chosen]
    truth = table[[f"true_{x}" for x in mha.labels]].to_numpy().argmax(axis=1)
    predicted = table[[f"pred_{x}" for x in mha.labels]].to_numpy()
    assert (predicted.argmax(axis=1) == truth).tolist() == [True, False, True, False]
    sure = predicted.max(axis=1)
    assert sure[0] >= sure[2] and sure[1] >= sure[3]


def test_clips_whose_votes_are_tied_are_neither_right_nor_wrong(run_config, tmp_path, planted):
    from heads.labels import LabelConfig

    run = train(run_config, tmp_path, "attention", labels=LabelConfig(kind="soft"))
    tied = {u.id for u in planted[0] if sorted(u.votes.values())[-2:] in ([2.0, 2.0],)}
    assert tied
    assert not tied & set(choose_clips(run, most=100))
    (clip,) = attend(run, [sorted(tied)[0]])
    assert clip.truth is None


# Messages


def test_heads_that_do_not_pool_by_attention_are_refused(run_config, tmp_path):
    run = train(run_config, tmp_path, "linear", seeds=1)
    text = "the head linear does not pool by attention; attention and mha do"
    with pytest.raises(UsageError, match=text):
        attend(run, ["s0-00"])


def test_unknown_clips_and_seeds_are_said(mha):
    with pytest.raises(UsageError, match="has tested no utterance 's9-99'; ids are those of pred"):
        attend(mha, ["s0-00", "s9-99"])
    with pytest.raises(UsageError, match="has no seed 7; there are 0, 1"):
        attend(mha, ["s0-00"], seed=7)
    with pytest.raises(UsageError, match="has no seed 7; there are 0, 1"):
        choose_clips(mha, seed=7)


def test_a_model_that_predicts_something_else_is_not_shown(mha, tmp_path):
    folder = shutil.copytree(mha.path, tmp_path / "copy")
    table = mha.predictions.copy()
    names = [f"pred_{label}" for label in mha.labels]
    table[names] = table[names].to_numpy()[:, ::-1]
    table.to_csv(folder / "predictions.csv", index=False)
    text = r"copy: the model of fold \d and seed 0, built again, is 0\.\d+ off what predictions.csv"
    with pytest.raises(SerError, match=text):
        attend(Run(folder), choose_clips(mha, most=1))


def test_speakers_statistics_that_the_run_does_not_list_are_not_guessed(run_config, tmp_path):
    run = train(run_config, tmp_path, "attention", standardise="speaker", protocol="random",
                folds=None, test_share=0.3, val_share=0.2, seeds=1)  # fmt: skip
    untested = 96 - len(run.utterances)
    text = f"own mean and deviation, and {untested} clips that these were made of were not tested"
    with pytest.raises(UsageError, match=text):
        attend(run, choose_clips(run, most=1))


def test_the_cache_may_have_moved(mha, planted_cache, tmp_path):
    folder = shutil.copytree(mha.path, tmp_path / "copy")
    record = json.loads((folder / "results.json").read_text())
    record["cache"]["path"] = "/nowhere"
    (folder / "results.json").write_text(json.dumps(record))
    place = shutil.copytree(planted_cache, tmp_path / "cache")
    (clip,) = attend(Run(folder), ["s3-05"], caches=[place])
    (before,) = attend(mha, ["s3-05"])
    np.testing.assert_array_equal(clip.weights, before.weights)
    assert CacheReader(place).frame_count("s3-05") == clip.weights.shape[1]
