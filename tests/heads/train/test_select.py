"""Each fold takes what is best on its validation part."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from heads.models import load_head
from heads.train.candidates import make_candidates
from heads.train.member import Member
from heads.train.run import train_runs
from heads.train.select import choose

CANDIDATES = make_candidates({"lr": "0.1,0.2,0.3"}, load_head("mlp"), [("last",)], "ua")


def members(scores, seeds=2):
    """scores [F, C] of (ua, -loss); seeds lie evenly around them."""
    return [
        Member(fold=f, seed=s, candidate=c, score=np.array(score) + 0.01 * (s - (seeds - 1) / 2),
               state={}, history=[], predictions=np.zeros((1, 2)), temperature=1.0,
               parameters=1, dim=1)
        for f, row in enumerate(scores) for c, score in enumerate(row) for s in range(seeds)
    ]  # fmt: skip


def test_each_fold_takes_its_own_best_with_all_of_its_seeds():
    found, choice = choose(
        members([[(0.5, -1), (0.7, -1), (0.6, -1)], [(0.5, -1), (0.1, -1), (0.2, -1)]]),
        CANDIDATES,
        "val_ua",
    )
    assert choice.of_fold == {0: 1, 1: 0}
    assert [(m.fold, m.seed, m.candidate) for m in found] == [
        (0, 0, 1), (0, 1, 1), (1, 0, 0), (1, 1, 0)
    ]  # fmt: skip
    told = choice.told(CANDIDATES)
    assert told["chosen"] == {"0": 1, "1": 0}
    assert told["by"] == "val_ua"
    np.testing.assert_allclose(told["scores"], [[0.5, 0.7, 0.6], [0.5, 0.1, 0.2]])


def test_a_tie_goes_to_the_lower_loss_and_then_to_the_first():
    _, choice = choose(members([[(0.5, -2), (0.5, -1), (0.5, -1)]]), CANDIDATES, "val_ua")
    assert choice.of_fold == {0: 1}


def test_what_diverged_with_any_seed_is_not_taken_and_a_fold_without_any_is_left_out(caplog):
    lost = (-np.inf, -np.inf)
    found = members([[lost, (0.1, -1), lost], [lost, lost, lost]])
    found[2].score[:] = -np.inf  # fold 0, candidate 1, seed 0
    chosen, choice = choose(found, CANDIDATES, "val_ua")
    assert not chosen
    assert choice.failed == ["fold 0", "fold 1"]
    assert choice.scores == [[None] * 3] * 2
    assert "diverged before it could be kept: fold 0, fold 1" in caplog.text


def test_there_is_nothing_to_tell_of_one():
    _, choice = choose(members([[(0.5, -1)]]), CANDIDATES[:1], "val_ua")
    assert choice.told(CANDIDATES[:1]) is None


# From a cache


def test_the_choice_is_shown_and_never_sees_the_test_part(run_config, caplog):
    """Of a learning rate that learns and one that cannot, each fold takes the former."""
    with caplog.at_level(logging.INFO):
        run = next(train_runs(run_config(settings={"lr": "1e-9,0.01", "epochs": "15"})))
    assert "fold 0 takes lr=0.01 by its validation part" in caplog.text
    choice = run.results["choice"]
    assert choice["candidates"] == [{"lr": "1e-9"}, {"lr": "0.01"}]
    assert set(choice["chosen"].values()) == {1}
    assert run.model["chosen"]["fold0"]["layers"] == ["last"]
    alone = next(train_runs(run_config(settings={"lr": "0.01", "epochs": "15"})))
    columns = [name for name in alone.predictions if name.startswith("pred_")]
    np.testing.assert_allclose(run.predictions[columns], alone.predictions[columns], atol=1e-5)
    assert run.results["run_id"] != alone.results["run_id"]


@pytest.fixture
def one_layer_holds_it(tmp_path, planted, write_cache):
    """A cache whose layer 0 is noise, and whose layer 1 tells the label plainly."""
    rng = np.random.default_rng(0)
    utterances, frames = planted
    labels = sorted({u.label for u in utterances})
    clear = {}
    for utterance in utterances:
        found = rng.standard_normal(frames[utterance.id].shape)
        found[1, :, labels.index(utterance.label)] += 2
        clear[utterance.id] = found.astype(np.float32)
    return write_cache(tmp_path / "cache", utterances, clear)


def test_the_best_layer_is_that_which_holds_the_label(one_layer_holds_it, run_config):
    run = next(train_runs(run_config(cache=one_layer_holds_it, layer="best")))
    choice = run.results["choice"]
    assert choice["candidates"] == [{"layer": "0"}, {"layer": "1"}]
    assert set(choice["chosen"].values()) == {1}
    assert run.model["chosen"]["fold0"]["layers"] == ["1"]
    only = next(train_runs(run_config(cache=one_layer_holds_it, layer="1")))
    assert run.results["metrics"]["ua"] == only.results["metrics"]["ua"]


@pytest.mark.parametrize("head", ["mlp", "attention", "mha"])
def test_weighted_layers_lean_to_the_one_that_holds_the_label(head, one_layer_holds_it, run_config):
    settings = {"lr": "0.03", "select": "loss", "epochs": "20"}
    config = run_config(
        heads=(head,), cache=one_layer_holds_it, layer="weighted", settings=settings
    )
    run = next(train_runs(config))
    scores = np.stack([t for name, t in run.weights.items() if name.endswith("layer_scores")])
    assert scores.shape[1] == 2
    assert (scores[:, 1] > scores[:, 0]).all()
    assert run.results["metrics"]["ua"]["mean"] > 0.8
