"""A run from the cache to its numbers: what is asked for, who is seen, what can be repeated."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from embedcache.errors import SerError, UsageError
from embedcache.store.quantise import dequantise, quantise
from embedcache.store.reader import CacheReader
from heads.data import frame_set
from heads.labels import LabelConfig
from heads.models import load_head
from heads.stacked import Stack, Standardise
from heads.train.run import train_runs


@pytest.fixture(scope="module")
def attention(run_config):
    """A run, and its configuration."""
    config = run_config(heads=("attention",))
    return next(train_runs(config)), config


def test_each_head_gives_a_run_in_the_order_asked_for(run_config):
    config = run_config(heads=("mlp", "attention", "mlp"), seeds=1, settings={"epochs": "1"})
    runs = list(train_runs(config))
    assert [run.results["head"]["name"] for run in runs] == ["mlp", "attention"]


def test_the_same_run_gives_the_same_bits(attention):
    run, config = attention
    again = next(train_runs(config))
    assert again.results["run_id"] == run.results["run_id"]
    assert again.results["metrics"] == run.results["metrics"]
    assert again.predictions.equals(run.predictions)
    assert again.history.equals(run.history)
    assert again.weights.keys() == run.weights.keys()
    assert all(torch.equal(again.weights[name], tensor) for name, tensor in run.weights.items())


@pytest.mark.parametrize("head", ["mlp", "mha"])
def test_an_int8_cache_trains_as_one_that_holds_its_values_in_float32(
    run_config, planted, write_cache, tmp_path, head
):
    """Levels are worked out batch by batch: to the bit what float32 frames of them would give."""
    utterances, frames = planted
    values = {name: dequantise(*quantise(array)) for name, array in frames.items()}
    caches = (
        write_cache(tmp_path / "int8", utterances, frames, store_dtype="int8"),
        write_cache(tmp_path / "float32", utterances, values),
    )
    runs = [next(train_runs(run_config(heads=(head,), cache=cache))) for cache in caches]
    assert runs[0].predictions.equals(runs[1].predictions)
    assert runs[0].history.equals(runs[1].history)


SMALL = {
    "transformer": {"width": "8", "heads": "2", "blocks": "1", "feedforward": "8"},
    "cnn-rnn": {"channels": "6", "rnn": "4"},
}


@pytest.mark.parametrize("head", SMALL)
def test_models_that_train_one_after_another_are_each_as_alone(run_config, head):
    """With dropout: no model draws from what another draws from, or leaves anything behind."""
    config = run_config(heads=(head,), seeds=2, settings=SMALL[head] | {"epochs": "2"})
    both, first = (next(train_runs(one)) for one in (config, replace(config, seeds=1)))
    ours = both.predictions[both.predictions["seed"] == config.seed].reset_index(drop=True)
    assert ours.equals(first.predictions.reset_index(drop=True))
    assert {name.split(".")[1] for name in both.weights} == {"seed0", "seed1"}
    for name, tensor in first.weights.items():
        assert torch.equal(both.weights[name], tensor), name


def rebuild(run, fold, seed):
    """One model from what is written of a run."""
    prefix = f"fold{fold}.seed{seed}."
    state = {
        name.removeprefix(prefix): tensor[None]
        for name, tensor in run.weights.items()
        if name.startswith(prefix)
    }
    config = load_head(run.model["head"]).Config(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in run.model["config"].items()}
    )
    head = load_head(run.model["head"]).Head(
        config,
        run.model["dim"],
        len(run.model["labels"]),
        Standardise(state["standardise.mean"], state["standardise.deviation"]),
        Stack([torch.Generator()], [0.0]),
    )
    head.load_state_dict(state)
    return head.eval()


def test_each_prediction_is_of_the_model_of_its_fold_and_seed(attention, planted_cache):
    run, _ = attention
    reader = CacheReader(planted_cache)
    columns = [f"pred_{label}" for label in run.model["labels"]]
    for (fold, seed), table in run.predictions.groupby(["fold", "seed"]):
        frames = frame_set([reader.frames(name, reader.layer("last")) for name in table["id"]])
        with torch.no_grad():
            logits = rebuild(run, fold, seed)(*frames.batch(range(len(table)), "cpu"))[0]
        expected = logits.softmax(dim=-1).numpy()
        np.testing.assert_allclose(table[columns].to_numpy(), expected, atol=1e-5)


def test_everyone_is_tested_once_per_seed_by_a_fold_without_their_speaker(attention, planted):
    run, _ = attention
    protocol = run.results["protocol"]
    for _, table in run.predictions.groupby("seed"):
        assert sorted(table["id"]) == [utterance.id for utterance in planted[0]]
    tested = run.predictions.groupby("fold")["speaker"].agg(lambda names: sorted(set(names)))
    assert tested.tolist() == protocol["test_speakers"]
    assert sorted(chain(*protocol["test_speakers"])) == sorted({u.speaker for u in planted[0]})
    for test, val in zip(protocol["test_speakers"], protocol["val_speakers"], strict=True):
        assert val
        assert not set(test) & set(val)


def test_a_model_is_standardised_by_the_frames_of_its_training_speakers(attention, planted):
    """The fingerprint of who trained: neither those who validate nor those who test."""
    run, _ = attention
    utterances, frames = planted
    protocol = run.results["protocol"]
    for fold in range(protocol["folds"]):
        unseen = {*protocol["test_speakers"][fold], *protocol["val_speakers"][fold]}
        own = np.concatenate([frames[u.id][1] for u in utterances if u.speaker not in unseen])
        for seed in (0, 1):
            prefix = f"fold{fold}.seed{seed}.standardise"
            np.testing.assert_allclose(run.weights[f"{prefix}.mean"], own.mean(axis=0), atol=1e-5)
            np.testing.assert_allclose(run.weights[f"{prefix}.deviation"], own.std(axis=0), 1e-5)


def test_the_tested_speakers_frames_do_not_change_their_model(
    attention, planted, tmp_path, write_cache
):
    run, config = attention
    utterances, frames = planted
    tested = set(run.results["protocol"]["test_speakers"][0])
    names = {u.id for u in utterances if u.speaker in tested}
    turned = {name: -array if name in names else array for name, array in frames.items()}
    cache = write_cache(tmp_path / "cache", utterances, turned)
    changed = next(train_runs(replace(config, cache=cache)))
    assert changed.results["protocol"] == run.results["protocol"]
    moved = {
        int(name[4])
        for name, tensor in run.weights.items()
        if not torch.equal(tensor, changed.weights[name])
    }
    assert moved == {1, 2, 3}


def test_seeds_differ_in_their_weights_and_folds_stay(attention):
    run, _ = attention
    zero, one = (run.predictions[run.predictions["seed"] == seed] for seed in (0, 1))
    assert zero["fold"].tolist() == one["fold"].tolist()
    assert not np.allclose(zero["pred_sad"], one["pred_sad"])


def test_settings_reach_the_head_and_the_training(run_config):
    settings = {"epochs": "2", "batch_size": "16", "hidden": "4-3", "heads": "2", "width": "8"}
    config = run_config(heads=("mlp", "mha"), seeds=1, settings=settings)
    for run in train_runs(config):
        assert run.results["training"]["epochs"] == 2
        assert run.results["training"]["batch_size"] == 16
        assert run.results["head"]["config"]["hidden"] == (4, 3)
        assert run.history["epoch"].max() <= 2
    assert run.results["head"]["config"]["width"] == 8


def test_parameters_are_those_of_one_model(attention):
    run, _ = attention
    head = rebuild(run, 0, 0)
    assert run.results["head"]["parameters"] == sum(p.numel() for p in head.parameters())


@pytest.mark.parametrize(
    ("kind", "loss", "select"), [("hard", "cross-entropy", "ua"), ("soft", "kl", "loss")]
)
def test_auto_follows_the_kind_of_labels(run_config, kind, loss, select):
    config = run_config(labels=LabelConfig(kind=kind), seeds=1, settings={"epochs": "1"})
    training = next(train_runs(config)).results["training"]
    assert (training["loss"], training["select"]) == (loss, select)


def test_what_is_asked_for_goes_before_auto(run_config):
    config = run_config(loss="kl", seeds=1, settings={"epochs": "1", "select": "loss"})
    training = next(train_runs(config)).results["training"]
    assert (training["loss"], training["select"]) == ("kl", "loss")


def test_balanced_weights_lift_a_rare_class(tmp_path, run_config, plant, write_cache):
    utterances, frames = plant(clips=6)
    rare = [u for n, u in enumerate(utterances) if u.label != "sad" or n % 18 == 2]
    cache = write_cache(tmp_path / "cache", rare, {u.id: frames[u.id] for u in rare})
    recall = {}
    for kind in ("none", "balanced"):
        config = run_config(cache=cache, class_weights=kind, settings={"epochs": "15"})
        recall[kind] = next(train_runs(config)).results["per_class"]["sad"]["recall"]
    assert recall["balanced"] > recall["none"]


# Messages


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"heads": ("mpl",)}, "unknown head 'mpl': did you mean 'mlp'"),
        ({"settings": {"lrr": "1"}}, "unknown key in --set 'lrr': did you mean 'lr'"),
        ({"settings": {"queries": "1"}}, "unknown key in --set 'queries': there are: batch_size"),
        ({"settings": {"epochs": "few"}}, "--set epochs=few: give a value of type int"),
        ({"settings": {"dropout": "1"}}, "--set dropout=1.0: give a share from 0 to below 1"),
        ({"loss": "crossentropy"}, "unknown loss 'crossentropy': did you mean 'cross-entropy'"),
        ({"class_weights": "equal"}, "unknown --class-weights 'equal'"),
        ({"protocol": "speakers"}, "unknown protocol 'speakers': did you mean 'speaker'"),
        ({"protocol": "official"}, "manifest:planted has no published folds; use 'speaker'"),
        ({"layer": "3"}, "layer '3' is not in .*, which holds 0, 1"),
        ({"seeds": 0}, "--seeds 0: give 1 to 1000"),
        ({"seed": -1}, "--seed -1: give a number from 0 to 4294967295"),
        ({"seed": 2**32}, "--seed 4294967296: give a number from 0 to 4294967295"),
        ({"device": "gpu"}, "--device gpu: give auto, cpu, cuda"),
    ],
)
def test_what_does_not_exist_is_refused(run_config, changes, text):
    with pytest.raises(UsageError, match=text):
        next(train_runs(run_config(**changes)))


def test_the_largest_seed_works(run_config):
    config = run_config(seed=2**32 - 1, seeds=1, settings={"epochs": "1"})
    assert next(train_runs(config)).results["training"]["seed"] == 2**32 - 1


def test_a_key_need_only_fit_one_of_the_heads(run_config):
    config = run_config(
        heads=("mlp", "mha"), seeds=1, settings={"queries": "2", "epochs": "1"}
    )  # fmt: skip
    assert len(list(train_runs(config))) == 2


def test_a_fold_without_a_class_is_named(tmp_path, run_config, plant, write_cache):
    utterances, frames = plant()
    once = [replace(u, label="odd") if u.speaker == "planted/s3" else u for u in utterances]
    cache = write_cache(tmp_path / "cache", once, frames)
    text = r"fold \d has no training utterance of odd; give fewer --folds, --drop the class, or an"
    with pytest.raises(SerError, match=text):
        next(train_runs(run_config(cache=cache)))


def test_unknown_speakers_need_another_protocol(tmp_path, run_config, plant, write_cache):
    utterances, frames = plant()
    nobody = [replace(u, speaker=None) for u in utterances]
    cache = write_cache(tmp_path / "cache", nobody, frames)
    with pytest.raises(UsageError, match="96 of 96 utterances name no speaker"):
        next(train_runs(run_config(cache=cache)))
    config = run_config(cache=cache, protocol="random", seeds=1, settings={"epochs": "1"})
    protocol = next(train_runs(config)).results["protocol"]
    assert (protocol["speaker_disjoint"], protocol["speaker_overlap"]) == (None, None)


def test_divergence_names_fold_and_seed_and_a_remedy(run_config, caplog):
    text = r"mlp: in every fold the loss of one seed at least diverged .* as in --set lr=0.0003"
    with pytest.raises(SerError, match=text):
        next(train_runs(run_config(seed=10, settings={"lr": "1e30"})))
    assert re.search(
        r"fold 0, seed 10; .*; and 5 more: the loss diverged in epoch 1; there is no", caplog.text
    )
