"""Heads on frames of fine-tuned encoders that remember: at chance where each fold is served by the
one that left it untouched, and near perfect where a memory is asked for what it holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heads.experiment import run_heads
from heads.models import load_head
from heads.train.prepare import prepare
from heads.train.run import train_runs
from tests.heads.conftest import LABELS
from tests.heads.fold_caches import remembered, save_folds, save_memory, seen_of

ORDER = (2, 0, 3, 1)  # which fold checkpoint k left untouched
SETTINGS = {"epochs": "20", "patience": "20", "lr": "0.02"}


@pytest.fixture(scope="module")
def folds(run_config):
    return prepare(run_config()).folds


@pytest.fixture(scope="module")
def paths(tmp_path_factory, planted, folds):
    return save_folds(tmp_path_factory.mktemp("folds"), planted[0], folds, ORDER)


@pytest.fixture(scope="module")
def with_views(tmp_path_factory, planted, folds):
    views = [replace(u, view="noise=20") for u in planted[0]]
    return save_folds(tmp_path_factory.mktemp("views"), [*planted[0], *views], folds, ORDER)


def asked(run_config, head, **changes):
    """A run of a head, with its own settings."""
    settings = {} if hasattr(load_head(head), "fit") else SETTINGS
    return replace(run_config(heads=(head,), **changes), settings=settings)


def ua_by_fold(run):
    """Mean recall of each fold, seeds averaged."""
    table = run.predictions
    right = table[[f"pred_{x}" for x in LABELS]].to_numpy().argmax(axis=1)
    true = table[[f"true_{x}" for x in LABELS]].to_numpy().argmax(axis=1)
    found = {}
    for fold, rows in table.groupby("fold").indices.items():
        hits = right[rows] == true[rows]
        found[fold] = np.mean([hits[true[rows] == c].mean() for c in range(len(LABELS))])
    return found


HEADS = ["mlp", "attention", "mha", "linear", "svm"]


@pytest.mark.parametrize("head", HEADS)
def test_fold_by_fold_nothing_is_remembered(paths, run_config, head):
    run = next(train_runs(asked(run_config, head, cache=paths)))
    assert run.results["metrics"]["ua"]["mean"] < 0.48, "chance is a third"
    assert run.results["protocol"]["contamination"] is None
    told = {str(ORDER[k]): f"checkpoints/x/fold{k}" for k in range(4)}
    assert run.results["cache"]["encoder"]["seen"]["checkpoints"] == told
    assert run.results["cache"]["encoder"]["id"] == "checkpoints/x"


@pytest.mark.parametrize("head", HEADS)
def test_one_checkpoint_for_all_remembers_all_but_its_own_fold(paths, run_config, head):
    """The guard has something to guard against."""
    config = asked(run_config, head, cache=paths[1], allow_leakage=True)
    run = next(train_runs(config))
    found = ua_by_fold(run)
    assert found.pop(ORDER[1]) < 0.6
    assert min(found.values()) > 0.85
    contamination = run.results["protocol"]["contamination"]
    assert contamination["folds"] == sorted(found)
    assert (len(contamination["speakers"]), contamination["recordings"]) == (6, 72)


def test_an_encoder_that_has_heard_everyone_is_near_perfect(tmp_path, planted, run_config):
    cache = save_memory(tmp_path / "all", planted[0], planted[0], encoder="checkpoints/all",
                        seen=seen_of(planted[0]))  # fmt: skip
    run = next(train_runs(asked(run_config, "mlp", cache=cache, allow_leakage=True)))
    assert run.results["metrics"]["ua"]["mean"] > 0.95
    assert run.results["protocol"]["contamination"]["recordings"] == 96


ELSE = [{"layer": "best"}, {"layer": "weighted"}, {"standardise": "speaker"}]


@pytest.mark.parametrize(
    ("head", "changes"), [("svm", ELSE[0]), ("svm", ELSE[2]), *(("mlp", each) for each in ELSE)]
)
def test_so_it_is_whatever_else_is_asked_for(paths, run_config, head, changes):
    honest = next(train_runs(asked(run_config, head, cache=paths, **changes)))
    assert honest.results["metrics"]["ua"]["mean"] < 0.48
    one = asked(run_config, head, cache=paths[1], allow_leakage=True, **changes)
    found = ua_by_fold(next(train_runs(one)))
    assert found.pop(ORDER[1]) < 0.6
    assert min(found.values()) > 0.8


@pytest.mark.parametrize("head", ["mlp", "svm"])
def test_and_with_views(with_views, run_config, head):
    run = next(train_runs(asked(run_config, head, cache=with_views)))
    assert run.results["metrics"]["ua"]["mean"] < 0.48
    if head == "mlp":
        assert run.results["training"]["views"] == {"noise=20": 96}
    one = asked(run_config, head, cache=with_views[1], allow_leakage=True)
    found = ua_by_fold(next(train_runs(one)))
    assert found.pop(ORDER[1]) < 0.6
    assert min(found.values()) > 0.85


# Whose frames


@pytest.mark.parametrize("changes", [{}, {"layer": "best"}, {"standardise": "speaker"}])
def test_each_fold_is_what_its_own_cache_alone_would_give(paths, run_config, changes):
    """To the bit, for a head in which nothing is drawn."""
    together = next(train_runs(asked(run_config, "svm", cache=paths, **changes)))
    for k, fold in enumerate(ORDER):
        config = asked(run_config, "svm", cache=paths[k], allow_leakage=True, **changes)
        alone = next(train_runs(config))
        mine, theirs = (
            run.predictions[run.predictions["fold"] == fold].reset_index(drop=True)
            for run in (together, alone)
        )
        assert mine.equals(theirs)


def test_models_are_standardised_by_the_frames_of_their_own_fold(paths, planted, folds, run_config):
    """The fingerprint of whose frames a model was trained on."""
    config = run_config(heads=("attention",), cache=paths, settings={"epochs": "1"})
    run = next(train_runs(config))
    for k, fold in enumerate(ORDER):
        own = [planted[0][i] for i in (*folds[fold].train, *folds[fold].val)]
        frames = remembered(planted[0], own, seed=k)
        trained = np.concatenate([frames[planted[0][i].id][1] for i in folds[fold].train])
        for seed in range(2):
            prefix = f"fold{fold}.seed{seed}.standardise"
            np.testing.assert_allclose(run.weights[f"{prefix}.mean"], trained.mean(0), atol=1e-5)
            np.testing.assert_allclose(run.weights[f"{prefix}.deviation"], trained.std(0), 1e-4)


def test_everyone_is_tested_once_and_the_same_run_gives_the_same_bits(
    paths, planted, run_config, tmp_path, read_results
):
    config = run_config(heads=("attention",), cache=paths)
    first = next(train_runs(config))
    for _, table in first.predictions.groupby("seed"):
        assert sorted(table["id"]) == [u.id for u in planted[0]]
    again = next(train_runs(replace(config, cache=paths[::-1])))
    assert first.predictions.equals(again.predictions), "caches may be named in any order"
    assert first.results["run_id"] == again.results["run_id"]
    folder = next(run_heads(config, tmp_path))
    written = read_results(folder)["cache"]
    assert written["path"] == ",".join(map(str, paths))
    assert sorted(written["encoder"]["seen"]["checkpoints"]) == ["0", "1", "2", "3"]
    assert written["encoder"]["trained"] is True
