"""Runs that learn valence, arousal and dominance, from the cache to the leaderboard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from embedcache.errors import SerError, UsageError
from heads.analysis.leaderboard import SHOWN
from heads.dimensional_metrics import dimensional_scores, dimensional_tally
from heads.dimensions import DimensionTargets
from heads.experiment import run_heads
from heads.labels import LabelConfig
from heads.models import load_head
from heads.report.bias import bias
from heads.results import Run
from heads.splits import Fold
from heads.train.folds import require_examples
from heads.train.prepare import prepare
from heads.train.run import train_runs
from tests.heads.boards import board_text

NAMES = ["valence", "arousal", "dominance"]


@pytest.fixture(scope="module")
def config(run_config):
    settings = {"epochs": "40", "lr": "0.02", "patience": "40"}
    return run_config(heads=("mlp",), target="dimensions", settings=settings)


@pytest.fixture(scope="module")
def folder(config, tmp_path_factory):
    return next(run_heads(config, tmp_path_factory.mktemp("dimensions")))


def test_what_was_planted_is_found_in_speakers_that_were_not_heard(folder, read_results):
    """Arousal and dominance are linear in the mean frame; a shuffled one would have CCC 0."""
    metrics = read_results(folder)["metrics"]
    assert metrics["ccc_arousal"]["mean"] > 0.8
    assert metrics["ccc_dominance"]["mean"] > 0.7
    assert metrics["ccc_valence"]["ci95"][0] > 0


def test_metrics_are_those_of_the_written_predictions(folder, read_results):
    run = Run(folder)
    by_seed = []
    for _, table in run.predictions.groupby("seed"):
        predicted, truth = (
            table[[f"{kind}_{name}" for name in NAMES]].to_numpy() for kind in ("pred", "true")
        )
        by_seed.append(dimensional_scores(dimensional_tally(predicted, truth).sum(axis=0), NAMES))
    metrics = read_results(folder)["metrics"]
    assert set(metrics) == set(by_seed[0]) == set(SHOWN["dimensions"])
    for name, summary in metrics.items():
        values = [float(scores[name]) for scores in by_seed]
        assert summary["mean"] == pytest.approx(np.mean(values), abs=1e-5)
        assert summary["std_seeds"] == pytest.approx(np.std(values, ddof=1), abs=1e-5)
        low, high = summary["ci95"]
        assert low <= summary["mean"] <= high


def test_what_is_not_annotated_is_predicted_and_not_scored(folder, planted):
    run = Run(folder)
    annotated = {u.id: u.dimensions for u in planted[0]}
    for row in run.predictions.itertuples():
        truth = [getattr(row, f"true_{name}") for name in NAMES]
        expected = [annotated[row.id].get(name, np.nan) for name in NAMES]
        np.testing.assert_allclose(truth, expected, rtol=1e-6)
    predicted = run.predictions[[f"pred_{name}" for name in NAMES]]
    assert np.isfinite(predicted.to_numpy()).all()


@pytest.mark.parametrize("head", ["linear", "mlp", "attention", "mha", "transformer", "cnn-rnn"])
def test_every_head_gives_values_on_any_scale(run_config, planted, write_cache, tmp_path, head):
    """On a scale a hundred times as wide it is the same run, a hundred times as wide."""
    small = {"transformer": {"width": "8", "heads": "2", "blocks": "1", "feedforward": "8"},
             "cnn-rnn": {"channels": "6", "rnn": "4"}}  # fmt: skip
    utterances, frames = planted
    wide = [
        replace(u, dimensions={name: 100 * x - 7 for name, x in u.dimensions.items()})
        for u in utterances
    ]
    caches = (None, write_cache(tmp_path / "wide", wide, frames))
    settings = {"epochs": "2", "lr": "0.02"} | small.get(head, {})
    config = run_config(heads=(head,), target="dimensions", seeds=1)
    config = replace(config, settings=settings)
    runs = [next(train_runs(replace(config, cache=cache or config.cache))) for cache in caches]
    columns = [f"pred_{name}" for name in NAMES]
    plain, scaled = (run.predictions[columns].to_numpy() for run in runs)
    np.testing.assert_allclose(100 * plain - 7, scaled, rtol=1e-2, atol=0.5)
    scale = runs[0].model["output_scales"]["fold0.seed0"]
    wider = runs[1].model["output_scales"]["fold0.seed0"]
    np.testing.assert_allclose(np.multiply(scale["factor"], 100), wider["factor"])


def test_the_baseline_finds_what_was_planted_on_any_scale(
    run_config, planted, write_cache, tmp_path
):
    utterances, frames = planted
    found = []
    for name, (factor, offset) in {"plain": (1, 0), "wide": (100, -7)}.items():
        some = [
            replace(u, dimensions={"arousal": factor * u.dimensions["arousal"] + offset})
            for u in utterances
        ]
        cache = write_cache(tmp_path / name, some, frames)
        config = run_config(heads=("svm",), cache=cache, target="dimensions")
        run = next(train_runs(replace(config, settings={})))
        assert run.results["metrics"]["ccc_arousal"]["mean"] > 0.8
        assert run.results["choice"] is None
        found.append(run.predictions["pred_arousal"].to_numpy())
    np.testing.assert_allclose(100 * found[0] - 7, found[1], rtol=1e-6)


def test_outputs_are_led_back_by_the_training_part_alone(config):
    run, data = next(train_runs(config)), prepare(config)
    assert set(run.model["output_scales"]) == {f"fold{f}.seed{s}" for f in range(4) for s in (0, 1)}
    for name, scale in run.model["output_scales"].items():
        own = data.targets.values[data.folds[int(name[4])].train]
        np.testing.assert_allclose(scale["offset"], np.nanmean(own, axis=0))
        np.testing.assert_allclose(scale["factor"], np.nanstd(own, axis=0))


def test_a_dimension_that_no_tested_utterance_has_leaves_a_run_all_the_same(
    run_config, planted, write_cache, tmp_path
):
    def untold(u):
        tests = u.speaker.endswith(("6", "7"))
        dimensions = {k: x for k, x in u.dimensions.items() if k != "arousal" or not tests}
        role = "test" if tests else "val" if u.speaker.endswith(("4", "5")) else "train"
        return replace(u, dimensions=dimensions, folds={"official": role})

    utterances, frames = planted
    cache = write_cache(tmp_path / "cache", [untold(u) for u in utterances], frames)
    config = run_config(cache=cache, protocol="official", folds=None, target="dimensions")
    metrics = Run(next(run_heads(config, tmp_path / "results"))).results["metrics"]
    assert metrics["ccc_arousal"]["mean"] is None
    assert "too few annotations" in metrics["ccc_arousal"]["reason"]
    assert metrics["ccc_valence"]["mean"] is not None


def test_history_and_pictures_are_of_concordance(folder):
    history = pd.read_csv(folder / "history.csv")
    assert list(history) == ["fold", "seed", "epoch", "train_loss", "val_loss", "val_ccc"]
    np.testing.assert_allclose(history["val_loss"], 1 - history["val_ccc"], atol=1e-5)
    there = {path.name for path in folder.glob("*.png")}
    assert there == {"predicted_values.png", "training_history.png"}


def test_the_leaderboards_of_emotions_and_of_dimensions_stand_apart(folder, hard_run):
    both = board_text([hard_run, folder])
    second = both.index("corpus", 1)
    emotions, dimensions = both[:second], both[second:]
    assert "UA" in emotions and "CCC" not in emotions
    assert "CCC valence" in dimensions and "UA" not in dimensions
    alone = board_text([hard_run, folder], metric="rmse")
    assert folder.name in alone and hard_run.name not in alone
    with pytest.raises(UsageError, match="--metric ua: none of the 1 runs has it"):
        board_text([folder], metric="ua")


def test_a_bias_report_is_of_emotions(folder):
    with pytest.raises(UsageError, match="has learned valence, arousal, dominance: recall and"):
        bias(Run(folder), ("gender",))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"labels": LabelConfig(kind="soft")}, "leave out what is about emotions: --labels"),
        ({"labels": LabelConfig(smoothing=0.1)}, "--smoothing, --map and --drop"),
        ({"loss": "kl"}, "learns by concordance: leave out --loss and --class-weights"),
        ({"class_weights": "balanced"}, "leave out --loss and --class-weights"),
        ({"corpus": "manifest:one,manifest:two"}, "--target dimensions takes one corpus"),
        ({"test_corpus": "manifest:one"}, "--target dimensions takes one corpus"),
        ({"target": "dimension"}, "unknown --target 'dimension': did you mean 'dimensions'"),
    ],
)
def test_what_does_not_go_with_dimensions_is_refused(config, changes, text):
    with pytest.raises(UsageError, match=text):
        replace(config, **changes)


@pytest.mark.parametrize(
    ("target", "select", "text"),
    [
        ("dimensions", "ua", "--set select=ua: give ccc or loss, or leave it out"),
        ("emotion", "ccc", "--set select=ccc: give ua or loss, or leave it out"),
    ],
)
def test_models_are_chosen_by_what_they_learn(run_config, target, select, text):
    with pytest.raises(UsageError, match=text):
        next(train_runs(run_config(target=target, settings={"select": select})))


def test_concordance_takes_two_utterances_in_a_batch(run_config):
    with pytest.raises(UsageError, match="--set batch_size=1: concordance is of two utterances"):
        next(train_runs(run_config(target="dimensions", settings={"batch_size": "1"})))


def test_a_head_that_only_tells_classes_apart_is_named(run_config, monkeypatch):
    monkeypatch.delattr(load_head("svm"), "fit_values")
    config = replace(run_config(heads=("svm",), target="dimensions"), settings={})
    with pytest.raises(UsageError, match="the head svm gives no values; leave it out"):
        next(train_runs(config))


def test_a_dimension_that_a_fold_cannot_learn_is_named(config, planted, write_cache, tmp_path):
    utterances, frames = planted
    odd = [
        replace(u, dimensions={"valence": 2.0 + (u.speaker.endswith("3") and n)})
        for n, u in enumerate(utterances)
    ]
    cache = write_cache(tmp_path / "odd", odd, frames)
    with pytest.raises(SerError, match="valence does not vary over the training utterances of"):
        prepare(replace(config, cache=cache))


def test_a_validation_part_without_values_is_named():
    values = np.array([[1.0, np.nan], [2.0, 3.0], [3.0, 5.0], [np.nan, 2.0], [4.0, 1.0]])
    targets = DimensionTargets(("valence", "arousal"), values, np.arange(5), {})
    train, val, test = (np.array(rows) for rows in ([0, 1, 2], [3], [4]))
    text = "the validation part of fold 0 has fewer than two values of each of valence, arousal"
    with pytest.raises(SerError, match=text):
        require_examples(targets, [Fold(train=train, val=val, test=test)])
    with pytest.raises(
        SerError, match="arousal does not vary over the training utterances of fold 0"
    ):
        require_examples(targets, [Fold(train=np.array([0, 1]), val=np.array([2, 4]), test=val)])
    require_examples(targets, [Fold(train=train, val=np.array([3, 4]), test=test)])
