"""Classes stay where training and test both have them; what is left out is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.errors import SerError
from embedcache.utterance import Utterance
from heads.labels import LabelConfig
from heads.shared_classes import make_shared_targets

varied = settings(deadline=None, max_examples=80)


def clips(**corpora):
    """Utterances with labels by corpus, and the corpus of each."""
    pairs = [(name, label) for name, labels in corpora.items() for label in labels.split()]
    utterances = [
        Utterance(id=f"{n}", path=Path(f"{n}.wav"), label=label)
        for n, (_, label) in enumerate(pairs)
    ]
    return utterances, [name for name, _ in pairs]


THREE = {"a": "angry calm sad calm", "b": "angry sad bored", "c": "sad angry calm angry"}


def test_each_corpus_tests_once_so_all_must_have_a_class():
    targets, left_out = make_shared_targets(*clips(**THREE), (), LabelConfig())
    assert targets.names == ("angry", "sad")
    assert left_out == {"calm": {"a": 2, "c": 1}, "bored": {"b": 1}}
    assert targets.left_out == {"no label of a class": 4}
    assert len(targets.kept) == 11 - 4


def test_of_test_corpora_one_must_have_it_and_one_of_those_that_train():
    targets, left_out = make_shared_targets(*clips(**THREE), ("c",), LabelConfig())
    assert targets.names == ("angry", "calm", "sad")
    assert left_out == {"bored": {"b": 1}}
    targets, left_out = make_shared_targets(*clips(**THREE), ("b",), LabelConfig())
    assert targets.names == ("angry", "sad")
    assert left_out == {"calm": {"a": 2, "c": 1}, "bored": {"b": 1}}


def test_classes_are_compared_after_renaming():
    config = LabelConfig(rename={"anger": "angry"})
    found = clips(a="angry sad", b="anger sad")
    targets, left_out = make_shared_targets(*found, (), config)
    assert (targets.names, left_out) == (("angry", "sad"), {})


def test_classes_are_compared_after_the_label_set():
    classes = {"angry": "negative", "sad": "negative", "happy": "positive", "excited": "positive"}
    found = clips(a="angry excited bored", b="sad happy")
    targets, left_out = make_shared_targets(*found, (), LabelConfig(), classes=classes)
    assert (targets.names, left_out) == (("negative", "positive"), {})


def test_a_class_of_single_votes_is_no_class_of_a_corpus():
    """Nobody in `b` is mostly calm, so calm could be trained and never tested."""
    votes = [
        ("a", {"angry": 3.0, "calm": 1.0}),
        ("a", {"calm": 2.0}),
        ("a", {"sad": 2.0}),
        ("b", {"angry": 2.0}),
        ("b", {"sad": 3.0, "calm": 1.0}),
    ]
    utterances = [Utterance(id=f"{n}", path=Path("x"), votes=v) for n, (_, v) in enumerate(votes)]
    targets, left_out = make_shared_targets(
        utterances, [name for name, _ in votes], (), LabelConfig(kind="soft")
    )
    assert (targets.names, left_out) == (("angry", "sad"), {"calm": {"a": 1}})
    np.testing.assert_array_equal(targets.kept, [0, 2, 3, 4])
    np.testing.assert_allclose(targets.values.sum(axis=1), 1)


@varied
@given(
    st.lists(
        st.lists(st.sampled_from(("angry", "calm", "sad", "bored")), min_size=1, max_size=6),
        min_size=2,
        max_size=4,
    ),
    st.booleans(),
)
def test_it_is_what_sets_say(labels, tested):
    """Against plain sets of labels: an intersection, of all or of the two sides."""
    corpora = {f"corpus{n}": " ".join(own) for n, own in enumerate(labels)}
    test_corpora = ("corpus0",) if tested else ()
    sides = [set(labels[0]), set().union(*labels[1:])] if tested else [set(x) for x in labels]
    expected = set.intersection(*sides)
    found = clips(**corpora)
    if len(set().union(*labels)) < 2 or len(expected) < 2:
        with pytest.raises(SerError, match="training and test share|classes that are left"):
            make_shared_targets(*found, test_corpora, LabelConfig())
        return
    targets, left_out = make_shared_targets(*found, test_corpora, LabelConfig())
    assert set(targets.names) == expected
    assert left_out.keys() == set().union(*labels) - expected
    kept = [i for i, u in enumerate(found[0]) if u.label in expected]
    np.testing.assert_array_equal(targets.kept, kept)
    assert sum(sum(n.values()) for n in left_out.values()) == len(found[0]) - len(kept)


@pytest.mark.parametrize(
    ("corpora", "text"),
    [
        (
            {"a": "angry sad", "b": "anger sadness"},
            "training and test share no class, and it takes 2: a has angry, sad; b has anger, "
            "sadness; rename with --map OLD=NEW, or leave a corpus out",
        ),
        (
            {"a": "angry sad", "b": "angry sadness"},
            "share one class, angry, and it takes 2: a has angry, sad; b has angry, sadness",
        ),
    ],
)
def test_too_few_classes_are_said_with_those_of_each_corpus(corpora, text):
    with pytest.raises(SerError, match=text):
        make_shared_targets(*clips(**corpora), (), LabelConfig())


def test_a_corpus_without_votes_is_named():
    utterances, corpora = clips(a="angry sad", b="angry sad")
    voted = [Utterance(id=f"v{n}", path=Path("x"), votes={x: 2.0}) for n, x in enumerate("xy")]
    with pytest.raises(SerError, match="share no class, and it takes 2: a has none; b has none; c"):
        make_shared_targets(
            [*utterances, *voted], [*corpora, "c", "c"], (), LabelConfig(kind="soft")
        )
