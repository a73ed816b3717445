"""Labels become distributions over emotions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from embedcache.errors import SerError, UsageError
from embedcache.utterance import Utterance
from heads.labels import LabelConfig, count_votes, majority, make_targets, smooth

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
    np.testing.assert_allclose(targets.values.sum(axis=1), 1.0, rtol=1e-12)
    assert (targets.values >= 0).all()
    assert (targets.values.sum(axis=0) > 0).all(), "a class that never occurs"
    assert sum(targets.left_out.values()) == len(utterances) - len(targets.kept)
    for row, position in zip(targets.values, targets.kept, strict=True):
        utterance = utterances[position]
        votes = utterance.votes if kind == "soft" else {utterance.label: 1.0}
        shares = dict(zip(targets.names, row, strict=True))
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
    assert hard.names == ("angry", "sad")
    np.testing.assert_array_equal(hard.values, [[1, 0], [0, 1]])
    soft = make_targets(utterances, LabelConfig(kind="soft"))
    assert soft.names == ("happy", "sad")
    np.testing.assert_array_equal(soft.values, [[0.75, 0.25], [0, 1]])


def test_two_emotions_with_one_new_name_are_one_class():
    utterances = [clip("happy", happy=2.0, excited=1.0, sad=1.0), clip("excited"), clip("sad")]
    rename = {"excited": "happy"}
    hard = make_targets(utterances, LabelConfig(rename=rename))
    assert hard.names == ("happy", "sad")
    np.testing.assert_array_equal(hard.values.argmax(axis=1), [0, 0, 1])
    soft = make_targets(utterances, LabelConfig(kind="soft", rename=rename))
    np.testing.assert_array_equal(soft.values, [[0.75, 0.25]])


def test_names_can_be_swapped():
    utterances = [clip("happy"), clip("sad"), clip("happy")]
    swapped = make_targets(utterances, LabelConfig(rename={"happy": "sad", "sad": "happy"}))
    assert [swapped.names[c] for c in swapped.values.argmax(axis=1)] == [
        "sad",
        "happy",
        "sad",
    ]


def test_votes_for_dropped_emotions_do_not_count():
    utterances = [clip("sad", sad=2.0, happy=2.0, neutral=1.0), clip("neutral", neutral=3.0)]
    soft = make_targets(utterances, LabelConfig(kind="soft", drop=frozenset({"neutral"})))
    np.testing.assert_array_equal(soft.values, [[0.5, 0.5]])
    assert soft.kept.tolist() == [0]
    assert soft.left_out == {"most votes are for no class": 1}


def test_dropping_comes_after_renaming():
    utterances = [clip("happy"), clip("excited"), clip("sad"), clip("calm")]
    config = LabelConfig(rename={"excited": "joy", "happy": "joy"}, drop=frozenset({"joy"}))
    targets = make_targets(utterances, config)
    assert targets.names == ("calm", "sad")
    assert targets.left_out == {"no label of a class": 2}


def test_the_corpus_orders_its_classes_and_others_follow_alphabetically():
    utterances = [clip(label) for label in ("sad", "zeal", "angry", "awe", "happy")]
    config = LabelConfig(rename={"happy": "joy"})
    targets = make_targets(utterances, config, order=("happy", "sad", "disgust", "angry"))
    assert targets.names == ("joy", "sad", "angry", "awe", "zeal")


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
        ((None, None), r"classes that are left: none; at least 2 are needed"),
        (("sad", "sad"), r"classes that are left: sad; at least 2 are needed"),
    ],
)
def test_one_class_is_nothing_to_tell_apart(labels, text):
    with pytest.raises(SerError, match=text):
        make_targets([clip(label) for label in labels], LabelConfig())


def voted(name="x", label=None, self_votes=None, extra=None, **votes):
    return Utterance(
        id=name, path=Path("x.wav"), label=label, votes=votes, self_votes=self_votes or {},
        extra=extra or {},
    )  # fmt: skip


FOUR = {"angry": "angry", "happy": "happy", "excited": "happy", "sad": "sad"}


def test_a_label_set_merges_and_leaves_out():
    utterances = [clip("angry"), clip("excited"), clip("happy"), clip("surprise"), clip(None)]
    targets = make_targets(utterances, LabelConfig(), ("happy", "excited", "angry"), FOUR)
    assert targets.names == ("happy", "angry")
    assert targets.kept.tolist() == [0, 1, 2]
    assert targets.left_out == {"no label of a class": 1, "no majority label": 1}


def test_a_label_set_merges_votes_before_they_are_shared():
    utterances = [voted(happy=1.0, excited=2.0, sad=1.0, surprise=2.0), voted(sad=1.0)]
    targets = make_targets(utterances, LabelConfig(kind="soft"), (), FOUR)
    assert targets.names == ("happy", "sad")
    np.testing.assert_allclose(targets.values, [[0.75, 0.25], [0, 1]])
    assert targets.ignored_votes == pytest.approx(2 / 7)


@pytest.mark.parametrize("kind", ["majority", "soft"])
def test_an_utterance_that_most_heard_as_something_else_is_no_example(kind):
    """Nine of ten heard frustration, which is no class: the one vote for anger is no target."""
    utterances = [voted(frustrated=9.0, angry=1.0), voted(angry=2.0), voted(sad=2.0)]
    targets = make_targets(utterances, LabelConfig(kind=kind), (), FOUR)
    assert targets.kept.tolist() == [1, 2]
    assert targets.left_out == {"most votes are for no class": 1}


def test_a_tie_with_something_else_has_no_majority():
    utterances = [voted(frustrated=1.0, angry=1.0), voted(angry=2.0), voted(sad=2.0)]
    targets = make_targets(utterances, LabelConfig(kind="majority"), (), FOUR)
    assert targets.left_out == {"tied for the first place": 1}
    assert len(make_targets(utterances, LabelConfig(kind="soft"), (), FOUR).kept) == 3


def test_agreement_counts_all_votes_and_for_hard_labels_those_for_the_label():
    surely = [voted(label="angry", angry=4.0), voted(label="sad", sad=4.0)]
    doubtful = voted(label="angry", angry=5.0, frustrated=4.0)  # 5 of 9, not 5 of 5
    contradicted = voted(label="happy", sad=10.0)
    utterances = [*surely, doubtful, contradicted]
    for kind, kept in {"hard": [0, 1], "majority": [0, 1, 3], "soft": [0, 1, 3]}.items():
        config = LabelConfig(kind=kind, min_agreement=0.6)
        assert make_targets(utterances, config, (), FOUR).kept.tolist() == kept
        agreement = make_targets(utterances, LabelConfig(kind=kind), (), FOUR).agreement
        np.testing.assert_allclose(agreement, [1, 1, 5 / 9, 0.0 if kind == "hard" else 1.0])


def test_agreement_without_votes_is_not_known():
    utterances = [clip("sad"), voted(label="angry", angry=3.0, sad=1.0)]
    np.testing.assert_array_equal(make_targets(utterances, LabelConfig()).agreement, [np.nan, 0.75])


def test_the_users_map_and_drop_name_classes_of_the_set():
    utterances = [clip("angry"), clip("excited"), clip("sad")]
    config = LabelConfig(rename={"happy": "joy"}, drop=frozenset({"sad"}))
    assert make_targets(utterances, config, (), FOUR).names == ("angry", "joy")
    with pytest.raises(UsageError, match="unknown label in --map 'excited'"):
        make_targets(utterances, LabelConfig(rename={"excited": "joy"}), (), FOUR)


@varied
@given(clips)
def test_majority_is_the_most_voted_and_a_tie_has_none(utterances):
    try:
        targets = make_targets(utterances, LabelConfig(kind="majority"))
    except (SerError, UsageError):
        reject()
    assert set(np.unique(targets.values)) <= {0.0, 1.0}
    for position, utterance in enumerate(utterances):
        counts = [*sorted(utterance.votes.values(), reverse=True), 0.0, 0.0]
        kept = position in targets.kept
        assert kept == (counts[0] > counts[1])
        if kept:
            row = targets.values[targets.kept.tolist().index(position)]
            assert utterance.votes[targets.names[int(row.argmax())]] == counts[0]


def test_ties_of_soft_labels_are_kept_or_dropped():
    utterances = [voted(sad=2.0, happy=2.0), voted(sad=3.0), voted(happy=1.0)]
    kept = make_targets(utterances, LabelConfig(kind="soft"))
    dropped = make_targets(utterances, LabelConfig(kind="soft", ties="drop"))
    assert (len(kept.kept), len(dropped.kept)) == (3, 2)
    assert dropped.left_out == {"tied for the first place": 1}


@pytest.mark.parametrize(("least", "count"), [(0.0, 4), (0.5, 3), (2 / 3, 2), (0.7, 1), (1.0, 1)])
def test_agreement_is_the_share_of_the_commonest_emotion(least, count):
    utterances = [
        voted(label="sad", sad=3.0),
        voted(label="sad", sad=2.0, happy=1.0),
        voted(label="happy", sad=1.0, happy=1.0),
        voted(label="happy", sad=1.0, happy=1.0, angry=1.0),
    ]
    sure = [voted(label=label, **{label: 1.0}) for label in ("sad", "happy", "angry")]
    for kind in ("hard", "soft"):
        config = LabelConfig(kind=kind, min_agreement=least)
        assert len(make_targets([*utterances, *sure], config).kept) == count + len(sure)


def test_agreement_needs_votes():
    with pytest.raises(UsageError, match="--min-agreement: this corpus has no votes; use --labels"):
        make_targets([clip("sad"), clip("happy")], LabelConfig(min_agreement=0.5))


def test_votes_are_taken_from_where_they_are_asked_for():
    extra = {"votes_face": "sad=3;happy=1"}
    utterance = voted(self_votes={"angry": 1.0}, extra=extra, sad=1.0)
    other = voted(happy=1.0, angry=1.0)
    for source, wanted in {
        "votes": {"sad": 1.0},
        "self_votes": {"angry": 1.0},
        "votes_face": {"sad": 3.0, "happy": 1.0},
        "votes+self_votes": {"sad": 1.0, "angry": 1.0},
        "votes+votes_face": {"sad": 4.0, "happy": 1.0},
    }.items():
        assert count_votes(utterance, source) == wanted
    targets = make_targets([utterance, other], LabelConfig(kind="soft", votes="votes+self_votes"))
    np.testing.assert_allclose(targets.values, [[0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])


def test_votes_from_a_column_that_is_not_there_are_said():
    utterances = [voted(sad=1.0, extra={"votes_face": "sad=1"}), voted(happy=1.0)]
    for source in ("votes_fase", "votes+votes_fase"):
        with pytest.raises(
            UsageError, match="unknown column in --votes 'votes_fase': did you mean"
        ):
            make_targets(utterances, LabelConfig(kind="soft", votes=source))
    with pytest.raises(UsageError, match="--labels soft: this corpus has no votes in self_votes"):
        make_targets(utterances, LabelConfig(kind="soft", votes="votes+self_votes"))


def test_a_column_that_holds_no_votes_is_an_error_with_its_utterance():
    with pytest.raises(SerError, match="--votes room: utterance 'x': votes are 'hall', not like"):
        count_votes(voted(extra={"room": "hall"}), "room")


def test_votes_that_sum_to_zero_are_no_votes():
    """Of some utterances: they are left out and counted; of all: a sentence."""
    some = [clip(angry=2.0), clip(sad=3.0, angry=0.0), clip(angry=0.0, sad=0.0), clip()]
    targets = make_targets(some, LabelConfig(kind="soft"))
    assert (targets.kept.tolist(), targets.left_out) == ([0, 1], {"no votes": 2})
    none = [clip("angry", angry=0.0), clip("sad", sad=0.0)]
    text = "--labels soft: the votes in votes sum to zero for all 2 utterances; use --labels hard"
    with pytest.raises(UsageError, match=text):
        make_targets(none, LabelConfig(kind="soft"))
    with pytest.raises(UsageError, match="--min-agreement: the votes in votes sum to zero for all"):
        make_targets(none, LabelConfig(min_agreement=0.5))


def test_a_label_set_and_a_cache_that_do_not_meet_are_said():
    config = LabelConfig(label_set="iemocap-4")
    text = (
        "--label-set iemocap-4: its emotions are excited, frustrated, and those of the cache "
        "angry, sad; give the label set of this corpus, or --map and --drop"
    )
    classes = {"frustrated": "angry", "excited": "happy"}
    with pytest.raises(UsageError, match=text):
        make_targets([clip("angry"), clip("sad")], config, classes=classes)
    with pytest.raises(UsageError, match="those of the cache none; give the label set"):
        make_targets([clip(), clip()], config, classes=classes)


@varied
@given(st.lists(st.floats(0, 1), min_size=2, max_size=9).filter(any), st.floats(0, 0.99))
def test_smoothing_keeps_a_distribution_and_its_order(weights, share):
    row = np.array(weights) / sum(weights)
    smoothed = smooth(row, share)
    assert smoothed.sum() == pytest.approx(1)
    assert smoothed.min() >= share / len(row) * (1 - 1e-9)
    np.testing.assert_allclose(np.diff(smoothed), (1 - share) * np.diff(row), atol=1e-12)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"ties": "kepp"}, "unknown --ties 'kepp': did you mean 'keep'"),
        ({"min_agreement": 1.1}, r"--min-agreement 1\.1: give a share from 0 to 1"),
        ({"min_agreement": float("nan")}, "--min-agreement nan"),
        ({"smoothing": 1.0}, r"--smoothing 1\.0: give a share from 0 to below 1"),
        ({"ties": "drop"}, "--ties drop: hard labels have no ties that could be kept"),
        ({"votes": "votes+votes"}, r"--votes 'votes\+votes': give votes, self_votes or an extra"),
        ({"votes": ""}, "--votes '': give votes"),
    ],
)
def test_what_cannot_be_is_refused(fields, text):
    with pytest.raises(UsageError, match=text):
        LabelConfig(**fields)
