from __future__ import annotations

from dataclasses import fields

import pytest

from embedcache.errors import UsageError
from heads.finetune.settings import Schedule, parse_settings
from heads.models import load_head

NO_NUMBERS = ("select", "schedule")


@pytest.mark.parametrize("name", [f.name for f in fields(Schedule) if f.name not in NO_NUMBERS])
@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
def test_no_number_of_a_schedule_may_be_anything(name, value):
    with pytest.raises(UsageError, match=f"--set {name}={value:g}: give "):
        Schedule(**{name: value})


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_words_of_a_schedule_are_known_ones(name):
    with pytest.raises(UsageError, match=f"unknown value of --set {name} 'nonsense'"):
        Schedule(**{name: "nonsense"})


def test_settings_go_to_the_schedule_or_to_the_head():
    module = load_head("attention")
    schedule, head = parse_settings(
        {"lr": "0.5", "hidden": "7", "dropout": "0.25"}, "attention", module
    )
    assert (schedule.lr, head.hidden, head.dropout) == (0.5, (7,), 0.25)
    with pytest.raises(UsageError, match="unknown key in --set for fine-tuning with attention"):
        parse_settings({"learning_rate": "1"}, "attention", module)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"unfreeze": "two"}, "--unfreeze two: give a number of transformer layers"),
        ({"unfreeze": "-1"}, "--unfreeze -1: give a number of transformer layers"),
        ({"fold": 1}, "--fold 1 --all-folds: give one of them"),
        ({"fold": -1, "all_folds": False}, "--fold -1: folds are numbered from 0"),
        ({"limit": -1}, "--limit -1: give 1 or more"),
        ({"corpus": "a,b"}, "--corpus a,b: fine-tuning takes one corpus"),
        ({"heads": ["mlp", "mha"]}, "--head mlp,mha: fine-tuning takes one head"),
        ({"all_folds": False}, "all speakers train or validate; give --fold 0"),
        ({"unfreeze": "0"}, "--unfreeze 0 leaves the encoder as it is, in every fold"),
    ],
)
def test_what_cannot_go_together_is_refused(finetuning, changes, text):
    with pytest.raises(UsageError, match=text):
        finetuning(**changes)
