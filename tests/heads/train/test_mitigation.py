"""Weights and choices for groups and ambiguous clips, from the command to the run's record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from embedcache.errors import SerError, UsageError
from embedcache.utterance import Utterance
from heads.analysis.leaderboard import notes
from heads.labels import LabelConfig
from heads.train.prepare import prepare
from heads.train.run import train_runs
from tests.heads.conftest import DIM, LABELS

SETTINGS = {"epochs": "25", "patience": "25", "lr": "0.02"}


def plant_minority(share=8, speakers=8, clips=96, seed=0):
    """A minority whose loudest features mislead: one utterance in eight of each emotion.

    In layer 0 the first three features say the emotion of the majority, and another one of the
    minority; the last two say that of all, and not too clearly. In layer 1 the majority is plain to
    hear, and of the minority there is nothing. The room is the group; each speaker has both.
    """
    rng = np.random.default_rng(seed)
    angles = 2 * np.pi * np.arange(len(LABELS)) / len(LABELS)
    utterances, frames = [], {}
    for s in range(speakers):
        for n in range(clips):
            c, few = n % len(LABELS), n // len(LABELS) % share == 0
            heard = (c + 1) % len(LABELS) if few else c
            both = np.cos(angles[c]), np.sin(angles[c])
            values = rng.normal(0, 0.75, (2, 1, DIM)) * np.ones((1, 3, 1))
            values[0] += np.concatenate([1.2 * np.eye(3)[heard], both])
            values[1] += 0 if few else 3 * np.eye(DIM)[c]
            clip = Utterance(
                id=f"s{s}-{n:02}", path=Path(f"s{s}-{n:02}.wav"), speaker=f"planted/s{s}",
                label=LABELS[c], extra={"room": "booth" if few else "hall"},
            )  # fmt: skip
            utterances.append(clip)
            frames[clip.id] = values.astype(np.float32)
    return utterances, frames


@pytest.fixture(scope="module")
def minority_cache(tmp_path_factory, write_cache):
    return write_cache(tmp_path_factory.mktemp("minority"), *plant_minority())


@pytest.fixture(scope="module")
def larger_cache(tmp_path_factory, write_cache, plant):
    """Twelve clips of each speaker in each room, so that one who validates has enough of both."""
    return write_cache(tmp_path_factory.mktemp("larger"), *plant(clips=8))


def ua_of(run, room):
    """UA of one room's utterances over all seeds."""
    rooms = {u.id: u.extra["room"] for u in run.utterances}
    rows = run.predictions[[rooms[i] == room for i in run.predictions["id"]]]
    truth, guess = (
        rows[[f"{side}_{x}" for x in LABELS]].to_numpy().argmax(1) for side in ("true", "pred")
    )
    return balanced_accuracy_score(truth, guess)


def train(run_config, head="linear", **changes):
    settings = changes.pop("settings", {} if head == "svm" else SETTINGS)
    config = replace(run_config(heads=(head,), **changes), settings=settings)
    return next(train_runs(config))


# A planted minority


@pytest.mark.parametrize("head", ["linear", "svm"])
def test_balance_serves_a_minority_that_training_neglects(run_config, minority_cache, head):
    plain, balanced = (
        train(run_config, head, cache=minority_cache, layer="0", seeds=1, balance=column)
        for column in ("", "room")
    )
    assert ua_of(plain, "booth") < 0.6
    assert ua_of(balanced, "booth") > ua_of(plain, "booth") + 0.15
    assert ua_of(balanced, "hall") > 0.75


@pytest.mark.parametrize(("head", "by"), [("linear", "val_worst_ua"), ("svm", "inner_worst_ua")])
def test_the_worst_group_chooses_a_layer_that_serves_it(run_config, minority_cache, head, by):
    """The layer that is best for most tells nothing of the few."""
    plain, fair = (
        train(run_config, head, cache=minority_cache, layer="best", seeds=1, balance="room",
              worst_group=column)
        for column in ("", "room")
    )  # fmt: skip
    assert set(plain.results["choice"]["chosen"].values()) == {1}
    assert set(fair.results["choice"]["chosen"].values()) == {0}
    assert fair.results["choice"]["by"] == by
    assert ua_of(fair, "booth") > ua_of(plain, "booth") + 0.15


def test_the_history_has_the_worst_group_beside_all(run_config, minority_cache):
    run = train(run_config, cache=minority_cache, layer="0", seeds=1, worst_group="room")
    columns = ["val_loss", "val_ua", "val_worst_loss", "val_worst_ua"]
    assert run.history.columns.tolist()[3:] == ["train_loss", *columns]
    assert (run.history["val_worst_loss"] > run.history["val_loss"]).all()
    assert (run.history["val_worst_ua"] <= run.history["val_ua"]).all()


# Nothing asked, and what asks for nothing


@pytest.mark.parametrize("head", ["mlp", "svm"])
def test_weights_that_are_all_alike_give_the_same_bits(run_config, head):
    """Each speaker says every emotion equally often in both rooms, and a fifth agrees on all."""
    plain, even, kept = (
        train(run_config, head, seeds=1, **changes)
        for changes in ({}, {"balance": "room"}, {"ambiguous": "drop=0.2"})
    )
    assert even.predictions.equals(plain.predictions)
    assert kept.predictions.equals(plain.predictions)
    assert "weights" not in plain.results
    weights = {"least": 1.0, "largest": 1.0, "effective_share": 1.0, "dropped": 0}
    assert even.results["weights"] == kept.results["weights"] == weights


def test_a_run_that_asks_for_nothing_tells_what_runs_told_before(run_config):
    """So that its id, a hash of this, is what it was."""
    told = train(run_config, "svm").results["training"]
    assert list(told) == [
        "target", "tried", "standardise", "labels", "label_set", "votes", "rename", "drop",
        "min_agreement", "ties", "smoothing", "views", "seed",
    ]  # fmt: skip


def test_what_is_asked_for_is_told_and_makes_another_run(run_config, larger_cache):
    options = {"balance": "gender", "ambiguous": "drop=0.5", "worst_group": "room"}
    asking = [*({k: v} for k, v in options.items()), {}]
    runs = [train(run_config, "svm", cache=larger_cache, **one).results for one in asking]
    assert len({run["run_id"] for run in runs}) == 4
    for run, (name, asked) in zip(runs, options.items(), strict=False):
        assert run["training"][name] == asked
        assert options.keys() & run["training"].keys() == {name}
    told = ["balanced by gender", "ambiguous clips: drop=0.5", "chosen by the worst room"]
    for run, note in zip(runs, told, strict=False):
        assert note in notes(run)
    assert not set(told) & set(notes(runs[-1]))


# Ambiguous clips


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_dropped_clips_are_those_that_least_agreement_leaves_out(run_config, kind):
    labels = LabelConfig(kind=kind)
    dropped = prepare(run_config(labels=labels, ambiguous="drop=0.6"))
    fewer = prepare(run_config(labels=replace(labels, min_agreement=0.6)))
    kept = dropped.weighting.trains
    assert {u.id for u, own in zip(dropped.utterances, kept, strict=True) if own} == {
        u.id for u in fewer.utterances
    }
    assert len(dropped.utterances) == 96 > len(fewer.utterances)


def test_what_is_dropped_from_training_is_validated_and_tested(run_config):
    plain, data = prepare(run_config()), prepare(run_config(ambiguous="drop=0.6"))
    for name in ("val", "test"):
        np.testing.assert_array_equal(data.role(name), plain.role(name))
    run = train(run_config, seeds=1, ambiguous="drop=0.6", settings={"epochs": "1"})
    assert set(run.predictions["id"]) == {u.id for u in plain.utterances}
    never = ~data.weighting.trains & data.role("train").any(axis=0)
    assert run.results["weights"]["dropped"] == never.sum() > 0
    assert (data.weights() > 0).tolist() == data.training().tolist()


def test_a_model_is_standardised_by_what_trains_it(run_config, planted):
    utterances, frames = planted
    run = train(run_config, "attention", seeds=1, ambiguous="drop=0.6", settings={"epochs": "1"})
    data = prepare(run_config(ambiguous="drop=0.6"))
    own = [frames[u.id][1] for u, k in zip(utterances, data.training()[0], strict=True) if k]
    found = run.weights["fold0.seed0.standardise.mean"]
    np.testing.assert_allclose(found, np.concatenate(own).mean(axis=0), atol=1e-5)


def test_views_count_for_what_their_utterance_does(run_config, tmp_path, planted, write_cache):
    utterances, frames = planted
    views = [replace(u, view="noise=20") for u in utterances if u.speaker != "planted/s1"]
    moved = {v.name: frames[v.id] + 1 for v in views}
    cache = write_cache(tmp_path / "cache", [*utterances, *views], {**frames, **moved})
    data = prepare(run_config(cache=cache, ambiguous="weight", balance="gender"))
    weights, train = data.weights(), data.training()
    assert weights.shape == (4, 96 + 84)
    trains = train[:, data.view_of]
    np.testing.assert_array_equal(weights[:, 96:], weights[:, data.view_of] * trains)
    for row, own in zip(weights, train, strict=True):
        assert row[own].mean() == pytest.approx(1)
        assert row[own].std() > 0.05


def test_what_validates_trains_a_baseline_and_counts_there(run_config):
    data = prepare(run_config(ambiguous="weight"))
    weights = data.weights(validating=True)
    np.testing.assert_array_equal(weights > 0, data.role("train") | data.role("val"))
    np.testing.assert_allclose(weights.sum(axis=1), (weights > 0).sum(axis=1))


def test_weights_by_agreement_change_training_and_can_be_repeated(run_config):
    plain, once, again = (
        train(run_config, "mlp", seeds=1, ambiguous=asked) for asked in ("keep", "weight", "weight")
    )
    assert once.predictions.equals(again.predictions)
    assert not once.predictions.equals(plain.predictions)


def test_all_three_go_together_with_class_weights_and_soft_labels(run_config, larger_cache):
    options = {"balance": "gender+room", "ambiguous": "weight", "worst_group": "room"}
    run = train(
        run_config, "attention", cache=larger_cache, seeds=1, class_weights="balanced",
        labels=LabelConfig(kind="soft"), settings={"epochs": "3", "lr": "0.01,0.1"}, **options,
    )  # fmt: skip
    assert run.results["training"].items() >= options.items()
    assert run.results["choice"]["by"] == "val_worst_loss"
    scores = -run.history.groupby("fold")["val_worst_loss"].min()
    chosen = [max(own) for own in run.results["choice"]["scores"]]
    np.testing.assert_allclose(scores, chosen, rtol=1e-6)
    assert 0 < run.results["weights"]["effective_share"] < 1


# Emotional dimensions


def test_dimensions_are_chosen_by_the_group_of_least_concordance(run_config, larger_cache):
    settings = {"epochs": "4", "hidden": "4", "lr": "0.01,0.1"}
    run = train(run_config, "mlp", cache=larger_cache, seeds=1, target="dimensions",
                worst_group="room", settings=settings)  # fmt: skip
    assert run.results["choice"]["by"] == "val_worst_ccc"
    assert (run.history["val_worst_ccc"] <= run.history["val_ccc"] + 1e-9).mean() > 0.5


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"target": "dimensions", "balance": "gender"}, "--balance gender evens groups out within"),
        ({"target": "dimensions", "ambiguous": "weight"}, "--ambiguous weight is by votes for emo"),
        (
            {"target": "dimensions", "worst_group": "gender", "heads": ("svm",)},
            "--worst-group gender: svm chooses its C by the correlation of each dimension over all",
        ),
        ({"ambiguous": "drop"}, "--ambiguous drop: give keep, weight, or drop=SHARE with a share"),
        ({"ambiguous": "drop=60"}, "--ambiguous drop=60: give keep, weight, or drop=SHARE"),
        ({"ambiguous": "wait"}, "--ambiguous wait: give keep, weight, or drop=SHARE"),
        (
            {"balance": "gander"},
            "--balance gander: no utterance has a value in a column 'gander'; there are: gender,",
        ),
        ({"worst_group": "language"}, "--worst-group language: no utterance has a value in a col"),
        (
            {"worst_group": "speaker+room+age+gender", "protocol": "random"},
            "in fold 0 no group has 10 utterances that validate; give a column with larger groups",
        ),
    ],
)
def test_what_cannot_be_is_refused(run_config, changes, text):
    with pytest.raises(UsageError) as caught:
        next(train_runs(replace(run_config(**changes), settings={})))
    assert text in str(caught.value)


def test_a_baseline_whose_training_part_is_too_small_for_its_groups_is_refused(
    run_config, tmp_path, plant, write_cache
):
    """Many sessions train, a clip or two of each; one validates, with clips enough."""
    utterances, frames = plant(speakers=8, clips=4)
    data = prepare(run_config())
    val = {data.utterances[i].id for i in data.folds[0].val}
    rest = iter(range(1000))
    mended = [
        replace(u, extra={"part": "one" if u.id in val else f"part{next(rest)}"},
                folds={"1": "val" if u.id in val else "train"})
        for u in utterances
    ]  # fmt: skip
    tested = mended[0].speaker
    mended = [replace(u, folds={"1": "test"}) if u.speaker == tested and u.id not in val else u
              for u in mended]  # fmt: skip
    cache = write_cache(tmp_path / "cache", mended, frames)
    config = run_config(heads=("svm",), cache=cache, protocol="official", folds=None,
                        worst_group="part")  # fmt: skip
    with pytest.raises(UsageError, match="in fold 0 no group has enough training utterances for"):
        next(train_runs(replace(config, settings={})))


def test_votes_that_are_not_there_are_missed(run_config, tmp_path, planted, write_cache):
    utterances, frames = planted
    nobody = [replace(u, votes={}) for u in utterances]
    cache = write_cache(tmp_path / "cache", nobody, frames)
    text = "--ambiguous weight: no utterance has votes in votes, from which ambiguity would be kn"
    with pytest.raises(UsageError, match=text):
        prepare(run_config(cache=cache, ambiguous="weight"))


def test_a_class_that_nobody_agrees_on_is_missed(run_config):
    text = r"--ambiguous drop=1 leaves fold 1 no training utterance of \w+.*; give a lower share"
    with pytest.raises(SerError, match=text):
        prepare(run_config(ambiguous="drop=1"))


def test_utterances_without_votes_are_told(run_config, tmp_path, planted, write_cache, caplog):
    """They count for the mean of the others, or are kept."""
    utterances, frames = planted
    some = [replace(u, votes={} if n < 20 else u.votes) for n, u in enumerate(utterances)]
    cache = write_cache(tmp_path / "cache", some, frames)
    counts = prepare(run_config(cache=cache, ambiguous="weight")).weighting.counts
    assert "20 of 96 utterances have no votes: they count as much as the others on" in caplog.text
    np.testing.assert_allclose(counts[:20], counts[20:].mean())
    kept = prepare(run_config(cache=cache, ambiguous="drop=0.6")).weighting.counts
    assert "20 of 96 utterances have no votes: they train as before" in caplog.text
    assert kept[:20].all() and not kept.all()
