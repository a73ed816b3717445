"""Every combination of what is asked for, in as few stacks as can be."""

from __future__ import annotations

from itertools import product

import pytest

from embedcache.errors import UsageError
from embedcache.plugins import plugins
from heads.models import load_head
from heads.train.candidates import check_settings, make_candidates, settings_of, stacks
from heads.train.settings import TrainConfig

ONE = [("last",)]


def make(settings, head="mha", layers=ONE, select="ua"):
    return make_candidates(settings, load_head(head), layers, select)


def test_settings_are_combined_each_with_each_on_each_layer():
    settings = {"lr": "0.1,0.2", "dropout": "0.0,0.3,0.5", "epochs": "7", "hidden": "8-4"}
    found = make(settings, layers=[("0",), ("1",)])
    expected = set(product((0.1, 0.2), (0.0, 0.3, 0.5), (("0",), ("1",))))
    assert {(c.training.lr, c.head.dropout, c.layers) for c in found} == expected
    assert len(found) == len(expected)
    assert all((c.training.epochs, c.head.hidden) == (7, (8, 4)) for c in found)
    assert found[0].told == {"lr": "0.1", "dropout": "0.0", "layer": "0"}


def test_nothing_is_told_of_the_only_one():
    (found,) = make({"lr": "0.1"})
    assert found.told == {}
    assert found.training.select == "ua"


def test_a_heads_own_defaults_of_training_give_way_to_what_is_asked_for():
    own = load_head("transformer").TRAINING
    assert own["lr"] != TrainConfig().lr
    (found,) = make({}, head="transformer")
    assert {key: getattr(found.training, key) for key in own} == own
    assert found.told == {}
    found = make({"lr": "0.1,0.2", "epochs": "7"}, head="transformer")
    assert [(c.training.lr, c.training.epochs) for c in found] == [(0.1, 7), (0.2, 7)]
    assert {c.training.mask_time for c in found} == {own["mask_time"]}


@pytest.mark.parametrize("name", sorted(plugins("heads.models")))
def test_what_a_head_states_of_training_is_there_to_be_set(name):
    own = getattr(load_head(name), "TRAINING", {})
    (found,) = make({}, head=name)
    assert {key: getattr(found.training, key) for key in own} == own


def test_keys_of_other_heads_are_passed_over():
    (found,) = make({"heads": "2"}, head="attention")
    assert not hasattr(found.head, "heads")


def test_what_training_has_of_its_own_shares_a_stack_and_structure_does_not():
    found = make({"lr": "0.1,0.2", "dropout": "0,0.3", "weight_decay": "0,1", "clip": "1,2"})
    assert [len(stack) for stack in stacks(found)] == [16]
    found = make({"lr": "0.1,0.2", "hidden": "8,16", "batch_size": "4,8"}, layers=[("0",), ("1",)])
    groups = list(stacks(found))
    assert [len(stack) for stack in groups] == [2] * 8
    assert sorted(k for stack in groups for k in stack) == list(range(16))
    for group in groups:
        assert len({found[k].structure() for k in group}) == 1


def test_a_wrong_value_among_several_is_refused():
    with pytest.raises(UsageError, match="--set lr=-1.0: give a number above 0"):
        make({"lr": "0.1,-1"})
    with pytest.raises(UsageError, match="--set dropout=many: give a value of type float"):
        make({"dropout": "0.1,many"})


def test_a_key_must_be_one_of_some_head():
    modules = {name: load_head(name) for name in ("mlp", "mha")}
    check_settings({"queries": "2", "lr": "1"}, modules)
    with pytest.raises(UsageError, match="unknown key in --set 'nonsense'"):
        check_settings({"nonsense": "2"}, modules)


def test_a_setting_can_be_for_one_head_alone():
    """The head's own comes before the one for all; other heads never see it."""
    modules = {name: load_head(name) for name in ("mha", "transformer")}
    settings = {"width": "64", "transformer.width": "32", "transformer.lr": "1e-4", "lr": "0.5"}
    check_settings(settings, modules)
    found = {name: make(settings_of(name, settings), head=name)[0] for name in modules}
    assert (found["mha"].head.width, found["mha"].training.lr) == (64, 0.5)
    assert (found["transformer"].head.width, found["transformer"].training.lr) == (32, 1e-4)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("svm.c", r"--set svm.c=...: svm is not among --head mha,mlp"),
        ("mlp.heads", "unknown key in --set for mlp 'heads'"),
        ("mha.kernel", "unknown key in --set for mha 'kernel'"),
        (".lr", r"--set .lr=...:  is not among"),
    ],
)
def test_a_setting_for_a_head_that_does_not_have_it_is_refused(key, text):
    modules = {name: load_head(name) for name in ("mha", "mlp")}
    with pytest.raises(UsageError, match=text):
        check_settings({key: "1"}, modules)
