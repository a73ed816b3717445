"""Votes over a run's classes: what is named how, and who can agree at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedcache.errors import SerError
from embedcache.utterance import Utterance
from heads.analysis.votes import votes_over
from heads.labels import LabelConfig, make_targets


def clips(*votes, **extra):
    return [
        Utterance(id=f"c{n}", path=Path(f"c{n}.wav"), votes=own, **extra)
        for n, own in enumerate(votes)
    ]


def test_emotions_of_no_class_count_for_agreement_and_not_for_the_distribution():
    votes = votes_over(clips({"angry": 2, "other": 1, "xxx": 1}, {"other": 3}), ["angry", "sad"])
    assert votes.emotions == ("angry", "sad", "other", "xxx")
    assert votes.agreement.tolist() == [0.5, 1.0]
    assert votes.distributions.tolist() == [[1, 0], [0, 0]]
    assert votes.winners.tolist() == [0, 2]


def test_a_label_set_and_renaming_give_the_names_that_training_gave():
    found = clips({"excited": 2, "happy": 1, "sad": 1}, {"sad": 2, "low": 1, "odd": 1})
    config = LabelConfig(kind="soft", label_set="own", rename={"sad": "low"}, drop=frozenset())
    classes = {"excited": "happy", "happy": "happy", "sad": "sad", "low": "low"}
    targets = make_targets(found, config, classes=classes)
    votes = votes_over(found, targets.names, "votes", config.rename, classes)
    np.testing.assert_array_equal(votes.distributions, targets.values)
    assert votes.agreement.tolist() == [0.75, 0.75]


def test_an_emotion_outside_the_label_set_is_not_the_class_that_bears_its_name():
    votes = votes_over(clips({"happy": 3, "excited": 1}), ["happy"], classes={"excited": "happy"})
    assert votes.emotions == ("happy", "happy (no class)")
    assert votes.counts.tolist() == [[1, 3]]


def test_votes_of_several_columns_are_added():
    found = clips({"sad": 1}, self_votes={"sad": 1}, extra={"crowd": "angry=2;sad=1"})
    assert votes_over(found, ["angry", "sad"], "votes+self_votes").counts.tolist() == [[0, 2]]
    assert votes_over(found, ["angry", "sad"], "crowd").counts.tolist() == [[2, 1]]


def test_a_column_without_votes_is_said():
    with pytest.raises(SerError, match=r"--votes room: utterance 'c0': votes are 'hall', not like"):
        votes_over(clips({}, extra={"room": "hall"}), ["angry"], "room")


def test_one_annotator_cannot_agree():
    votes = votes_over(clips({"sad": 1}, {"sad": 2}, {}, {"sad": 0.5, "angry": 0.5}), ["sad"])
    assert votes.compared.tolist() == [False, True, False, False]
    assert votes.voted.tolist() == [True, True, False, True]
    assert votes.reason() is None
    assert not votes.are_shares


def test_shares_of_unknown_numbers_of_votes_can_be_compared():
    votes = votes_over(clips({"sad": 1}, {"sad": 0.7, "angry": 0.3}), ["sad", "angry"])
    assert votes.are_shares
    assert votes.compared.all()


@pytest.mark.parametrize(
    ("votes", "reason"),
    [
        ([{}, {"sad": 0}], "no tested clip has annotators' votes"),
        ([{"sad": 1}, {"angry": 1}], "no tested clip has votes of two annotators"),
    ],
)
def test_why_nothing_can_be_said(votes, reason):
    assert votes_over(clips(*votes), ["sad", "angry"]).reason().startswith(reason)
