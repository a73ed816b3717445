"""Augmented views and masks train, and never validate, test, or appear in what is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embedcache.errors import UsageError
from heads.labels import LabelConfig
from heads.train.prepare import prepare
from heads.train.run import train_runs

VIEWS = ("noise=20", "speed=0.9")


@pytest.fixture(scope="module")
def augmented(tmp_path_factory, planted, write_cache):
    """The planted cache with two views of every utterance; the last speaker lacks the second."""
    utterances, frames = planted
    views = [replace(u, view=view) for view in VIEWS for u in utterances]
    moved = {v.name: frames[v.id] + 1 + VIEWS.index(v.view) for v in views}
    lost = {v.name for v in views if v.view == VIEWS[1] and v.speaker == utterances[-1].speaker}
    kept = {name: array for name, array in moved.items() if name not in lost}
    folder = tmp_path_factory.mktemp("augmented")
    return write_cache(folder, [*utterances, *views], {**frames, **kept})


@pytest.fixture(scope="module")
def run(run_config, augmented):
    return next(train_runs(run_config(cache=augmented, heads=("attention",))))


def test_views_follow_their_utterances(run_config, augmented):
    data = prepare(run_config(cache=augmented))
    assert len(data.utterances) == 96
    assert len(data.views) == 96 + 84
    for view, place in zip(data.views, data.view_of, strict=True):
        assert view.view and data.utterances[place].id == view.id
    assert not any(utterance.view for utterance in data.utterances)


def test_views_of_utterances_that_are_left_out_are_left_out(run_config, augmented):
    data = prepare(run_config(cache=augmented, labels=LabelConfig(drop=frozenset({"sad"}))))
    assert {view.label for view in data.views} == {"angry", "happy"}


@pytest.mark.parametrize(
    ("asked", "count"), [(("none",), 0), (("all",), 180), (("noise=20",), 96), (("speed=0.9",), 84)]
)
def test_views_can_be_chosen(run_config, augmented, asked, count):
    assert len(prepare(run_config(cache=augmented, views=asked)).views) == count


def test_a_view_that_is_not_there_is_said(run_config, augmented, planted_cache):
    with pytest.raises(
        UsageError, match=r"--views pitch=2: .* holds noise=20, speed=0\.9; make one"
    ):
        prepare(run_config(cache=augmented, views=("pitch=2",)))
    with pytest.raises(UsageError, match="holds no views; make one with `ser extract --augment sp"):
        prepare(run_config(cache=planted_cache, views=("speed=0.9",)))


def test_a_model_is_standardised_by_views_of_its_training_speakers_alone(run, planted):
    """The fingerprint of who trained: no view of a speaker who validates or tests."""
    utterances, frames = planted
    protocol = run.results["protocol"]
    last = utterances[-1].speaker
    for fold in range(protocol["folds"]):
        unseen = {*protocol["test_speakers"][fold], *protocol["val_speakers"][fold]}
        own = [
            frames[u.id][1] + shift
            for u in utterances
            for shift in (0, 1, 2)
            if u.speaker not in unseen and not (shift == 2 and u.speaker == last)
        ]
        mean = np.concatenate(own).mean(axis=0)
        found = run.weights[f"fold{fold}.seed0.standardise.mean"]
        np.testing.assert_allclose(found, mean, atol=1e-5)


def test_no_view_is_written_or_tested(run, planted):
    assert sorted(set(run.predictions["id"])) == sorted(u.id for u in planted[0])
    assert len(run.predictions) == 2 * 96
    assert not any(utterance.view for utterance in run.utterances)
    assert run.results["training"]["views"] == {"noise=20": 96, "speed=0.9": 84}
    assert run.results["corpus"]["tested"] == 96


def test_views_make_another_run(run, run_config, augmented):
    plain = next(train_runs(run_config(cache=augmented, heads=("attention",), views=("none",))))
    assert plain.results["run_id"] != run.results["run_id"]
    assert plain.results["training"]["views"] == {}


def test_views_that_are_not_there_are_counted(run_config, augmented, caplog):
    prepare(run_config(cache=augmented))
    assert f"{augmented} lacks 12 of the views speed=0.9; `ser extract --augment" in caplog.text
    caplog.clear()
    prepare(run_config(cache=augmented, views=("noise=20",)))
    assert "lacks" not in caplog.text


def test_without_views_the_cache_with_views_gives_the_run_of_the_cache_without(
    run_config, augmented, planted_cache
):
    with_views, without = (
        next(train_runs(run_config(cache=cache, views=("none",), seeds=1)))
        for cache in (augmented, planted_cache)
    )
    assert with_views.predictions.equals(without.predictions)


@pytest.mark.parametrize("head", ["mlp", "attention", "mha"])
def test_masks_change_training_and_can_be_repeated(run_config, head):
    masked = run_config(
        heads=(head,), seeds=1, settings={"mask_time": "0.3", "mask_time_span": "2",
                                          "mask_features": "0.3", "mask_features_span": "1"}
    )  # fmt: skip
    first, again = (next(train_runs(masked)) for _ in range(2))
    plain = next(train_runs(run_config(heads=(head,), seeds=1)))
    assert first.predictions.equals(again.predictions)
    assert not first.predictions.equals(plain.predictions)


@pytest.mark.parametrize("key", ["mask_time", "mask_features"])
def test_a_mask_that_hides_nearly_all_is_refused(run_config, key):
    with pytest.raises(UsageError, match=f"--set {key}=0.9: give a share from 0 to 0.8"):
        next(train_runs(run_config(settings={key: "0.9"})))


@pytest.mark.parametrize("standardise", ["train", "speaker"])
@pytest.mark.parametrize("head", ["mlp", "attention", "mha"])
def test_masks_that_hide_nothing_give_the_run_without_masks(run_config, head, standardise):
    """Nothing else changes: neither standardisation, nor batches, nor validation."""
    nothing = {"mask_time": "1e-12", "mask_features": "1e-12"}
    plain, masked = (
        next(
            train_runs(
                run_config(heads=(head,), seeds=1, settings=settings, standardise=standardise)
            )
        )
        for settings in ({}, nothing)
    )
    columns = [name for name in plain.predictions if name.startswith("pred_")]
    np.testing.assert_allclose(
        masked.predictions[columns], plain.predictions[columns], rtol=1e-4, atol=1e-5
    )


def test_smoothing_changes_neither_class_weights_nor_validation(run_config, monkeypatch):
    """Both are of the targets as they are; the training loss alone is smoothed."""
    from heads.train import fit as module

    tasks = []
    train = module.train_stack

    def spy(head, frames, task, *rest):
        tasks.append(task)
        return train(head, frames, task, *rest)

    monkeypatch.setattr(module, "train_stack", spy)
    runs = [
        next(train_runs(run_config(seeds=1, class_weights="balanced", settings={"epochs": "1"},
                                   labels=LabelConfig(smoothing=share))))
        for share in (0.0, 0.4)
    ]  # fmt: skip
    plain, smoothed = (task.objective for task in tasks)
    np.testing.assert_array_equal(plain.weights, smoothed.weights)
    np.testing.assert_array_equal(plain.targets, smoothed.targets)
    assert smoothed.smoothing == 0.4
    first, second = (run.history for run in runs)
    assert (first["train_loss"] != second["train_loss"]).all()


def test_smoothing_trains_on_other_targets_and_is_scored_on_the_real_ones(run_config):
    smoothed = next(train_runs(run_config(seeds=1, labels=LabelConfig(smoothing=0.3))))
    plain = next(train_runs(run_config(seeds=1)))
    true = [name for name in plain.predictions if name.startswith("true_")]
    assert smoothed.predictions[true].equals(plain.predictions[true])
    predicted = [name for name in plain.predictions if name.startswith("pred_")]
    sharpest = [run.predictions[predicted].max(axis=1).mean() for run in (smoothed, plain)]
    assert sharpest[0] < sharpest[1]
