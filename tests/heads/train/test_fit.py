"""Models side by side: in one stack, in parts where memory ends, and on inputs made once."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from embedcache.errors import SerError, UsageError
from heads.models import attention, load_head
from heads.train import inputs as inputs_module
from heads.train.candidates import make_candidates
from heads.train.inputs import Inputs
from heads.train.prepare import prepare
from heads.train.run import train_runs


def holding(most):
    """The head `attention` on a device whose memory holds so many models."""
    forward = attention.Head.forward

    def limited(self, frames, mask):
        if len(self.standardise.mean) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(self, frames, mask)

    return limited


@pytest.mark.parametrize("most", [1, 3])
def test_where_memory_ends_parts_of_a_stack_give_what_all_of_it_gives(
    run_config, monkeypatch, caplog, most
):
    config = run_config(heads=("attention",), settings={"dropout": "0.2,0.4"})
    whole = next(train_runs(config))
    monkeypatch.setattr(attention.Head, "forward", holding(most))
    with caplog.at_level(logging.INFO):
        parts = next(train_runs(config))
    assert "memory does not hold 16 models at once: they are trained in two parts" in caplog.text
    columns = [name for name in whole.predictions if name.startswith("pred_")]
    np.testing.assert_allclose(
        whole.predictions[columns], parts.predictions[columns], rtol=0, atol=1e-4
    )
    assert whole.results["choice"]["chosen"] == parts.results["choice"]["chosen"]


def test_memory_that_does_not_hold_one_model_is_said(run_config, monkeypatch):
    monkeypatch.setattr(attention.Head, "forward", holding(0))
    with pytest.raises(SerError, match="memory does not hold one model and a batch; give a small"):
        next(train_runs(run_config(heads=("attention",))))


def test_another_error_of_torch_is_no_want_of_memory(run_config, monkeypatch):
    def broken(self, frames, mask):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(attention.Head, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        next(train_runs(run_config(heads=("attention",))))


@pytest.fixture
def loads(monkeypatch):
    """The layers that frames were loaded of, one entry each time."""
    found = []
    load = inputs_module.load_frames

    def counted(reader, utterances, layers):
        found.append(layers)
        return load(reader, utterances, layers)

    monkeypatch.setattr(inputs_module, "load_frames", counted)
    return found


def test_what_several_heads_and_stacks_see_is_made_once(run_config, loads):
    settings = {"epochs": "1", "hidden": "4,8", "batch_size": "16,32"}
    config = run_config(heads=("attention", "mha"), seeds=1, settings=settings)
    assert len(list(train_runs(config))) == 2
    assert loads == [("last",)]


def test_each_layer_and_each_reduction_is_made_once(run_config, loads):
    settings = {"epochs": "1", "pooling": "mean,mean-std", "hidden": "4,8"}
    config = run_config(heads=("mlp",), layer="best", seeds=1, settings=settings)
    next(train_runs(config))
    assert loads == [("0",), ("0",), ("1",), ("1",)]


def test_a_baseline_reads_each_layer_once_for_all_of_its_settings(run_config, loads):
    config = run_config(heads=("svm",), layer="best")
    next(train_runs(replace(config, settings={"c": "0.01,0.1,1"})))
    assert loads == [("0",), ("1",)]


def test_an_input_that_comes_again_is_the_same_as_before(run_config):
    """Only the latest is kept, so that memory holds one; coming back to it changes nothing."""
    data = prepare(run_config())
    module = load_head("attention")
    first, second = (make_candidates({}, module, [(layer,)], "ua")[0] for layer in ("0", "1"))
    inputs, (source,) = Inputs(data, "train", "cpu"), data.sources
    once = inputs.find(module, first, source)
    assert inputs.find(module, first, source) is once
    assert inputs.find(module, second, source) is not once
    again = inputs.find(module, first, source)
    assert again is not once
    np.testing.assert_array_equal(again.mean, once.mean)
    np.testing.assert_array_equal(again.frames.read(3), once.frames.read(3))


def test_a_baseline_that_leaves_several_frames_is_refused(run_config, monkeypatch):
    monkeypatch.setattr(load_head("svm"), "reducer", lambda config, roles: None)
    config = replace(run_config(heads=("svm",)), settings={})
    with pytest.raises(UsageError, match=r"one vector of each utterance, and its reducer leaves 8"):
        next(train_runs(config))


def test_what_needs_gradients_is_refused_before_anything_is_trained(run_config):
    config = replace(run_config(heads=("mlp", "svm"), layer="weighted"), settings={})
    with pytest.raises(UsageError, match="--layer weighted is learned by gradients, and svm has"):
        next(train_runs(config))


@pytest.mark.parametrize("changes", [{"loss": "focal"}, {"class_weights": "balanced"}])
def test_a_loss_that_a_baseline_does_not_have_is_told(run_config, caplog, changes):
    alone = replace(run_config(heads=("svm",), **changes), settings={})
    with pytest.raises(UsageError, match="svm has a loss of its own; leave out --loss and"):
        next(train_runs(alone))
    next(train_runs(replace(alone, heads=("svm", "mlp"))))
    assert "svm has a loss of its own: --loss and --class-weights are for others" in caplog.text


def test_what_every_fold_of_a_baseline_has_to_say_is_said_once(
    run_config, planted, write_cache, tmp_path, caplog
):
    utterances, frames = planted
    nobody = [replace(u, speaker=None) for u in utterances]
    cache = write_cache(tmp_path / "cache", nobody, frames)
    config = run_config(heads=("svm",), cache=cache, protocol="random")
    for _ in range(2):  # another run says it again
        caplog.clear()
        next(train_runs(replace(config, settings={})))
        assert caplog.text.count("its inner folds are dealt at random") == 1
