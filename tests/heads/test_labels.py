"""Labels become distributions over emotions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from embedcache.errors import SerError, UsageError
from embedcache.utterance import Utterance
from heads.labels import LabelConfig, majority, make_targets

EMOTIONS = ("angry", "happy", "neutral", "sad")
varied = settings(deadline=None, max_examples=100)


def clip(label=None, **votes):
    return Utterance(id="x", path=Path("x.wav"), label=label, votes=votes)


vote = st.dictionaries(st.sampled_from(EMOTIONS), st.integers(0, 9).map(float), max_size=4)
clips = st.lists(
    st.builds(
        lambda label, votes: clip(label, **votes), st.sampled_from((None, *EMOTIONS)), vote
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


@varied
@given(clips, st.sampled_from(("hard", "soft")))
def test_every_row_is_the_share_of_each_emotion_in_the_votes(utterances, kind):
    try:
        targets = make_targets(utterances, LabelConfig(kind=kind))
    except SerError:
        reject()  # nothing to tell apart: see the tests of the messages
    np.testing.assert_allclose(targets.distributions.sum(axis=1), 1.0, rtol=1e-12)
    assert (targets.distributions >= 0).all()
    assert (targets.distributions.sum(axis=0) > 0).all(), "a class that never occurs"
    assert sum(targets.left_out.values()) == len(utterances) - len(targets.kept)
    for row, position in zip(targets.distributions, targets.kept, strict=True):
        utterance = utterances[position]
        votes = utterance.votes if kind == "soft" else {utterance.label: 1.0}
        shares = dict(zip(targets.labels, row, strict=True))
        for label, count in votes.items():
            assert shares.get(label, 0.0) == pytest.approx(count / sum(votes.values()))


@varied
@given(clips)
def test_kept_and_left_out_are_told_apart_by_having_a_target(utterances):
    try:
        targets = make_targets(utterances, LabelConfig(kind="hard"))
    except SerError:
        reject()
    assert targets.kept.tolist() == [i for i, u in enumerate(utterances) if u.label is not None]


def test_hard_looks_at_the_label_and_soft_at_the_votes():
    utterances = [clip("angry", happy=3.0, sad=1.0), clip("sad", sad=4.0)]
    hard = make_targets(utterances, LabelConfig(kind="hard"))
    assert hard.labels == ("angry", "sad")
    np.testing.assert_array_equal(hard.distributions, [[1, 0], [0, 1]])
    soft = make_targets(utterances, LabelConfig(kind="soft"))
    assert soft.labels == ("happy", "sad")
    np.testing.assert_array_equal(soft.distributions, [[0.75, 0.25], [0, 1]])


def test_two_emotions_with_one_new_name_are_one_class():
    utterances = [clip("happy", happy=2.0, excited=1.0, sad=1.0), clip("excited"), clip("sad")]
    rename = {"excited": "happy"}
    hard = make_targets(utterances, LabelConfig(rename=rename))
    assert hard.labels == ("happy", "sad")
    np.testing.assert_array_equal(hard.distributions.argmax(axis=1), [0, 0, 1])
    soft = make_targets(utterances, LabelConfig(kind="soft", rename=rename))
    np.testing.assert_array_equal(soft.distributions, [[0.75, 0.25]])


def test_names_can_be_swapped():
    utterances = [clip("happy"), clip("sad"), clip("happy")]
    swapped = make_targets(utterances, LabelConfig(rename={"happy": "sad", "sad": "happy"}))
    assert [swapped.labels[c] for c in swapped.distributions.argmax(axis=1)] == [
        "sad",
        "happy",
        "sad",
    ]


def test_votes_for_dropped_emotions_do_not_count():
    utterances = [clip("sad", sad=1.0, happy=1.0, neutral=2.0), clip("neutral", neutral=3.0)]
    soft = make_targets(utterances, LabelConfig(kind="soft", drop=frozenset({"neutral"})))
    np.testing.assert_array_equal(soft.distributions, [[0.5, 0.5]])
    assert soft.kept.tolist() == [0]
    assert soft.left_out == {"no votes for a class": 1}


def test_dropping_comes_after_renaming():
    utterances = [clip("happy"), clip("excited"), clip("sad"), clip("calm")]
    config = LabelConfig(rename={"excited": "joy", "happy": "joy"}, drop=frozenset({"joy"}))
    targets = make_targets(utterances, config)
    assert targets.labels == ("calm", "sad")
    assert targets.left_out == {"no label of a class": 2}


def test_the_corpus_orders_its_classes_and_others_follow_alphabetically():
    utterances = [clip(label) for label in ("sad", "zeal", "angry", "awe", "happy")]
    config = LabelConfig(rename={"happy": "joy"})
    targets = make_targets(utterances, config, order=("happy", "sad", "disgust", "angry"))
    assert targets.labels == ("joy", "sad", "angry", "awe", "zeal")


def test_majority_is_none_where_two_share_the_first_place():
    shares = np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_array_equal(majority(shares), [0, -1, -1, -1])


@varied
@given(st.lists(st.integers(0, 30), min_size=2, max_size=9).filter(any))
def test_majority_of_shares_is_that_of_the_counts(counts):
    """However the division rounds: shares tie where the counts do."""
    found = majority(np.array(counts) / sum(counts))
    winners = [i for i, count in enumerate(counts) if count == max(counts)]
    assert found == (winners[0] if len(winners) == 1 else -1)


def test_kind_of_labels_is_hard_or_soft():
    with pytest.raises(UsageError, match="unknown --labels 'sofd': did you mean 'soft'"):
        LabelConfig(kind="sofd")


def test_soft_labels_need_votes():
    with pytest.raises(UsageError, match="--labels soft: this corpus has no votes; use .* hard"):
        make_targets([clip("sad"), clip("happy")], LabelConfig(kind="soft"))


def test_a_label_to_rename_must_occur():
    with pytest.raises(UsageError, match=r"unknown label in --map 'hapy': did you mean 'happy'"):
        make_targets([clip("sad"), clip("happy")], LabelConfig(rename={"hapy": "joy"}))


def test_a_label_to_drop_must_occur_after_renaming():
    config = LabelConfig(rename={"happy": "joy"}, drop=frozenset({"happy"}))
    with pytest.raises(UsageError, match="unknown label in --drop 'happy': there are: joy, sad"):
        make_targets([clip("sad"), clip("happy")], config)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ((None, None), r"0 classes are left \(none\); at least 2 are needed"),
        (("sad", "sad"), r"1 classes are left \(sad\); at least 2 are needed"),
    ],
)
def test_one_class_is_nothing_to_tell_apart(labels, text):
    with pytest.raises(SerError, match=text):
        make_targets([clip(label) for label in labels], LabelConfig())
