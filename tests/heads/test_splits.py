"""Protocols: everyone is tested once, and nobody trains who is tested."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from embedcache.corpora.ravdess import OFFICIAL_FOLDS
from embedcache.errors import SerError, UsageError
from heads.promises import overlap
from heads.shares import Shares
from heads.splits import (
    PROTOCOLS,
    Fold,
    SplitTable,
    inner_parts,
    parse_folds,
    shared_speakers,
    split,
)

varied = settings(deadline=None, max_examples=80)
OPEN = ("random", "sentence", "speaker")  # those that leave the number of folds open
SPLITTABLE = (*OPEN, "session")
# What a protocol keeps apart: a column, and whether it does so between training and validation too.
APART = {
    "speaker": [("speakers", True)],
    "session": [("sessions", False), ("speakers", True)],
    "official": [("speakers", True)],  # as the published folds of these tables do
    "sentence": [("sentences", True)],
    "cross-corpus": [("corpora", False), ("speakers", True)],
    "random": [],
}
CANNOT = r"that it does not test|--folds|and it takes 3"


def speaker_folds(speakers, *tests):
    """Roles of utterances in folds that are told by their test speakers."""
    return [
        {str(n): "test" if speaker in test else "train" for n, test in enumerate(tests, start=1)}
        for speaker in speakers
    ]


@st.composite
def tables(draw):
    """Clips of speakers in unequal numbers; sessions and corpora have speakers of their own."""
    speakers = draw(st.integers(4, 9))
    clips = draw(st.lists(st.integers(1, 8), min_size=speakers, max_size=speakers))
    names = [f"s{s}" for s, count in enumerate(clips) for _ in range(count)]
    strata = draw(
        st.lists(st.sampled_from(("sad", "happy", "calm")), min_size=len(names),
                 max_size=len(names))
    )  # fmt: skip
    order = draw(st.permutations(range(len(names))))
    shuffled = [names[i] for i in order]
    return SplitTable(
        strata=strata,
        speakers=shuffled,
        sessions=[f"session{int(name[1:]) % 3}" for name in shuffled],
        sentences=draw(
            st.lists(st.sampled_from("abcde"), min_size=len(names), max_size=len(names))
        ),
        corpora=[f"corpus{int(name[1:]) % 2}" for name in shuffled],
        official=[
            {str(f): "test" if int(name[1:]) % 4 == f else "train" for f in range(4)}
            for name in shuffled
        ],
    )


def try_split(protocol, table, folds, seed, shares=None):
    """Folds, as many as are asked for where a protocol leaves that open."""
    try:
        return split(protocol, table, folds if protocol in OPEN else None, seed, shares)
    except UsageError as error:
        assert re.search(CANNOT, str(error)), error
        reject()


def values(table, column, part):
    return {getattr(table, column)[i] for i in part}


def require_apart(protocol, fold, table):
    """Parts share nothing that the protocol keeps apart."""
    for column, held_out in APART[protocol]:
        train, val, test = (values(table, column, p) for p in (fold.train, fold.val, fold.test))
        assert not test & (train | val), column
        assert not held_out or not train & val, column


def ravdess_like():
    """24 actors, half of them women, 8 emotions, 60 clips each."""
    clips = [(actor, clip % 8) for actor in range(24) for clip in range(60)]
    return SplitTable(
        strata=[f"{emotion}|{actor % 2}" for actor, emotion in clips],
        speakers=[f"a{actor}" for actor, _ in clips],
        sessions=[None] * len(clips),
    )


@varied
@given(tables(), st.sampled_from(sorted(PROTOCOLS)), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_every_utterance_is_tested_once_and_has_one_role_per_fold(table, protocol, folds, seed):
    made = try_split(protocol, table, folds, seed)
    everyone = np.arange(len(table.strata))
    np.testing.assert_array_equal(np.sort(np.concatenate([f.test for f in made])), everyone)
    for fold in made:
        roles = np.concatenate([fold.train, fold.val, fold.test])
        np.testing.assert_array_equal(np.sort(roles), everyone)
        assert min(len(fold.train), len(fold.val), len(fold.test)) > 0


@varied
@given(tables(), st.sampled_from(sorted(PROTOCOLS)), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_a_fold_keeps_apart_what_its_protocol_promises(table, protocol, folds, seed):
    made = try_split(protocol, table, folds, seed)
    for fold in made:
        require_apart(protocol, fold, table)
    if ("speakers", True) in APART[protocol]:  # sessions of these tables have their own speakers
        assert overlap(table.speakers, made) == 0


@varied
@given(tables(), st.integers(0, 2**32 - 1))
def test_one_speaker_is_left_out_in_each_fold(table, seed):
    made = split("speaker", table, "speakers", seed)
    tested = [values(table, "speakers", fold.test) for fold in made]
    assert tested == [{name} for name in sorted(set(table.speakers))]
    for fold in made:
        require_apart("speaker", fold, table)
        everyone = np.sort(np.concatenate([fold.train, fold.val, fold.test]))
        np.testing.assert_array_equal(everyone, np.arange(len(table.speakers)))


@varied
@given(
    tables(),
    st.sampled_from(SPLITTABLE),
    st.floats(0.02, 0.45),
    st.floats(0.02, 0.45),
    st.integers(0, 2**32 - 1),
)
def test_one_split_keeps_its_promise_and_comes_near_its_shares(table, protocol, test, val, seed):
    """Nearer than its largest group, unless no group is left that could be taken or given."""
    (fold,) = try_split(protocol, table, None, seed, Shares(test=test, val=val))
    require_apart(protocol, fold, table)
    everyone = np.arange(len(table.strata))
    roles = np.concatenate([fold.train, fold.val, fold.test])
    np.testing.assert_array_equal(np.sort(roles), everyone)
    assert min(len(fold.train), len(fold.val), len(fold.test)) > 0
    tested, held_out = {
        "speaker": (table.speakers, table.speakers),
        "sentence": (table.sentences, table.sentences),
        "session": (table.sessions, table.speakers),
        "random": (everyone.tolist(), everyone.tolist()),
    }[protocol]
    parts = [(fold.test, everyone, test, tested, 1 if protocol == "session" else 2),
             (fold.val, np.setdiff1d(everyone, fold.test), val, held_out, 1)]  # fmt: skip
    for part, of, share, groups, leave in parts:
        taken, there = {groups[i] for i in part}, {groups[i] for i in of}
        largest = max(Counter(groups[i] for i in of).values())
        if len(taken) > 1:
            assert len(part) < share * len(everyone) + largest
        if len(there) - len(taken) > leave:
            assert len(part) > share * len(everyone) - largest


@varied
@given(tables(), st.sampled_from(sorted(PROTOCOLS)), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_the_same_seed_makes_the_same_folds(table, protocol, folds, seed):
    shares = Shares(test=0.2, val=0.2) if protocol in SPLITTABLE and folds == 5 else None
    wanted = None if shares else folds
    once = try_split(protocol, table, wanted, seed, shares)
    for a, b in zip(once, try_split(protocol, table, wanted, seed, shares), strict=True):
        for part in ("train", "val", "test"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))


@pytest.mark.parametrize("protocol", ["speaker", "random"])
def test_another_seed_makes_other_folds(protocol):
    a, b = (split(protocol, ravdess_like(), 6, seed)[0].test for seed in (0, 1))
    assert not np.array_equal(a, b)


def test_folds_have_equal_shares_of_speakers_genders_and_emotions():
    table = ravdess_like()
    for fold in split("speaker", table, 6, 0):
        actors = {table.speakers[i] for i in fold.test}
        assert len(actors) == 4
        assert sum(int(actor[1:]) % 2 for actor in actors) == 2
        assert len({table.speakers[i] for i in fold.val}) == 4


@pytest.mark.parametrize("seed", range(5))
def test_random_folds_have_equal_shares_of_every_stratum(seed):
    table = ravdess_like()
    strata = np.array(table.strata)
    for fold in split("random", table, 6, seed):
        counts = np.unique(strata[fold.test], return_counts=True)[1]
        assert len(counts) == 16
        expected = np.unique(strata, return_counts=True)[1] / 6
        assert np.abs(counts - expected).max() <= 1


def test_speaker_folds_are_as_many_as_asked_for():
    assert [len(split("speaker", ravdess_like(), n, 0)) for n in (2, 5, 24)] == [2, 5, 24]


def test_without_a_number_there_are_five_folds_or_as_many_as_there_are_groups():
    assert [len(split(name, ravdess_like(), None, 0)) for name in ("speaker", "random")] == [5, 5]
    speakers = list("abcd") * 3
    few = SplitTable(strata=["x"] * 12, speakers=speakers, sessions=[None] * 12, sentences=speakers)
    assert [len(split(name, few, None, 0)) for name in ("speaker", "sentence")] == [4, 4]


@pytest.mark.parametrize("protocol", ["speaker", "random"])
@pytest.mark.parametrize("seed", range(5))
def test_one_split_of_ravdess_has_balanced_parts(protocol, seed):
    """15 % of 24 actors are 3.6: four actors, two of them women."""
    table = ravdess_like()
    (fold,) = split(protocol, table, None, seed, Shares(test=0.15, val=0.15))
    for part in (fold.test, fold.val):
        counts = np.unique(np.array(table.strata)[part], return_counts=True)[1]
        assert len(counts) == 16
        if protocol == "speaker":
            assert len(values(table, "speakers", part)) == 4
            assert sum(int(a[1:]) % 2 for a in values(table, "speakers", part)) == 2
        else:
            assert len(part) == 216
            expected = np.unique(table.strata, return_counts=True)[1] * 0.15
            assert np.abs(counts - expected).max() <= 1


def test_corpora_test_in_turn_and_the_others_validate_in_equal_shares():
    names = [f"{corpus}{s}" for corpus in "abc" for s in range(10) for _ in range(6)]
    table = SplitTable(
        strata=[name[0] for name in names],
        speakers=names,
        sessions=[None] * 180,
        corpora=[name[0] for name in names],
    )
    made = split("cross-corpus", table, None, 0)
    assert [values(table, "corpora", fold.test) for fold in made] == [{"a"}, {"b"}, {"c"}]
    for fold in made:
        assert Counter(table.corpora[i] for i in fold.val).most_common() == [
            (corpus, 12) for corpus in sorted(values(table, "corpora", fold.train))
        ]


def test_test_corpora_test_in_one_fold_and_never_train():
    names = [f"{corpus}{s}" for corpus in "abcd" for s in range(4)]
    table = SplitTable(
        strata=["x"] * 16,
        speakers=names,
        sessions=[None] * 16,
        corpora=[name[0] for name in names],
        test_corpora=["d", "b"],
    )
    (fold,) = split("cross-corpus", table, None, 0)
    assert values(table, "corpora", fold.test) == {"b", "d"}
    assert values(table, "corpora", [*fold.train, *fold.val]) == {"a", "c"}


def test_corpora_without_speakers_train_and_validate():
    table = SplitTable(
        strata=["x"] * 20,
        speakers=[None] * 10 + list("abcdeabcde"),
        sessions=[None] * 20,
        corpora=["one"] * 10 + ["two"] * 10,
    )
    unknown, known = split("cross-corpus", table, None, 0)
    assert unknown.test.tolist() == list(range(10))
    assert not values(table, "speakers", unknown.train) & values(table, "speakers", unknown.val)
    assert len(known.val) == 2


def test_corpora_that_share_a_speaker_are_refused_by_name():
    table = SplitTable(
        strata=["x"] * 12,
        speakers=[*"abcdef", "x", *"ghijf"],
        sessions=[None] * 12,
        corpora=["one"] * 6 + ["two"] * 6,
    )
    text = "--protocol cross-corpus: in fold 0 these speakers both .* and test: f; leave out a"
    with pytest.raises(SerError, match=text):
        split("cross-corpus", table, None, 0)


def test_a_sentence_tests_as_a_whole_and_speakers_are_shared():
    table = SplitTable(
        strata=["x"] * 24,
        speakers=list("abcd") * 6,
        sessions=[None] * 24,
        sentences=list("stuvwz" * 4),
    )
    for fold in split("sentence", table, 3, 0):
        require_apart("sentence", fold, table)
        assert shared_speakers(fold, table.speakers)


def test_a_session_tests_as_a_whole():
    sessions = ["b", "a", "b", "a", "c", "c"]
    table = SplitTable(strata=["x"] * 6, speakers=list("124356"), sessions=sessions)
    tests = [fold.test.tolist() for fold in split("session", table, None, 0)]
    assert tests == [[1, 3], [0, 2], [4, 5]]


def test_a_speaker_of_two_sessions_is_counted_as_shared():
    table = SplitTable(strata=["x"] * 6, speakers=list("ababcd"), sessions=list("112233"))
    first = split("session", table, None, 0)[0]
    assert shared_speakers(first, table.speakers) == {"a", "b"}


def test_official_folds_test_the_published_speakers():
    table = SplitTable(
        strata=["x"] * 8,
        speakers=list("aabbccdd"),
        sessions=[None] * 8,
        official=speaker_folds("aabbccdd", "ad", "bc"),
    )
    tests = [fold.test.tolist() for fold in split("official", table, None, 0)]
    assert tests == [[0, 1, 6, 7], [2, 3, 4, 5]]


def test_published_folds_are_taken_in_the_order_of_their_numbers():
    official = [{str(n): "test" if n == i else "train" for n in range(1, 12)} for i in range(1, 12)]
    table = SplitTable(
        strata=["x"] * 11, speakers=list("abcdefghijk"), sessions=[None] * 11, official=official
    )
    assert [fold.test.tolist() for fold in split("official", table, None, 0)] == [
        [i] for i in range(11)
    ]


def test_a_published_split_into_three_is_taken_as_it_is():
    roles = ["train", "test", "val", "train", "test", "val", "", "train"]
    table = SplitTable(
        strata=["x"] * 8,
        speakers=[None] * 8,
        sessions=[None] * 8,
        official=[{"official": role} if role else {} for role in roles],
    )
    (fold,) = split("official", table, None, 0)
    assert [part.tolist() for part in (fold.train, fold.val, fold.test)] == [
        [0, 3, 7],
        [2, 5],
        [1, 4],
    ]


def test_where_a_published_fold_shares_speakers_validation_does_so_too():
    """EmoBox's folds of EMO-DB, CREMA-D, TESS and URDU: everyone in training and in test."""
    speakers = list("abcd") * 10
    table = SplitTable(
        strata=["x"] * 40,
        speakers=speakers,
        sessions=[None] * 40,
        official=[{"1": "test" if i < 8 else "train"} for i in range(40)],
    )
    (fold,) = split("official", table, None, 0)
    assert fold.test.tolist() == list(range(8))
    assert sorted([*fold.train, *fold.val]) == list(range(8, 40))
    assert {speakers[i] for i in fold.val} & {speakers[i] for i in fold.train}
    assert shared_speakers(fold, speakers) == set("abcd")


def test_ravdess_has_the_six_folds_of_emobox():
    """Z. Ma et al. (2024), arXiv 2406.07162: six folds of four actors, who are all 24."""
    assert [len(fold) for fold in OFFICIAL_FOLDS] == [4] * 6
    assert set().union(*OFFICIAL_FOLDS) == {f"{actor:02}" for actor in range(1, 25)}


def test_random_shares_speakers_and_says_which():
    table = ravdess_like()
    for fold in split("random", table, 5, 0):
        assert shared_speakers(fold, table.speakers) == set(table.speakers)


def test_shared_speakers_looks_at_validation_too_and_not_at_the_unknown():
    fold = Fold(train=np.array([0, 1]), val=np.array([2]), test=np.array([3, 4, 5]))
    assert shared_speakers(fold, ["a", None, "b", "b", "c", None]) == {"b"}


@varied
@given(st.integers(4, 12), st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_few_utterances_are_dealt_at_random(count, folds, seed):
    nobody = [None] * count
    table = SplitTable(strata=list("xy" * 6)[:count], speakers=nobody, sessions=nobody)
    for fold in split("random", table, folds, seed):
        assert min(len(fold.train), len(fold.val), len(fold.test)) > 0


# Messages


def small(**changes):
    parts = {"strata": ["x"] * 4, "speakers": list("aabb"), "sessions": list("1122")}
    return SplitTable(**parts | changes)


def nobody(count):
    return {"strata": ["x"] * count, "speakers": [None] * count, "sessions": [None] * count}


CANNOT_BE_SPLIT = [
    ("speakr", small(), 2, "unknown protocol 'speakr': did you mean 'speaker'"),
    ("speaker", small(), 1, "--folds 1: give 2 or more"),
    ("speaker", small(speakers=list("abcc")), 4, "--folds 4: there are 3 speakers; give at most"),
    ("speaker", small(), 2, "there are 2 speakers, and it takes 3, to train, to validate and"),
    ("speaker", small(speakers=["a"] * 4), 2, "--protocol speaker: there is 1 speaker, and it tak"),
    ("speaker", small(), "speakers", "there are 2 speakers, and it takes 3, to train, to valida"),
    (
        "random",
        small(),
        "speakers",
        "--folds speakers leaves one speaker out in each fold, which is for the protocol "
        "'speaker' and not for 'random'",
    ),
    (
        "speaker",
        small(speakers=["a", None, "b", None]),
        2,
        "--protocol speaker: 2 of 4 utterances name no speaker; add a speaker column",
    ),
    (
        "sentence",
        small(sentences=["s", None, "t", "u"]),
        2,
        "--protocol sentence: 1 of 4 utterances name no sentence; add a sentence column in a",
    ),
    (
        "sentence",
        small(sentences=list("stst")),
        2,
        "--protocol sentence: there are 2 sentences, and it takes 3, to train, to validate and",
    ),
    ("sentence", small(sentences=list("stus")), 4, "--folds 4: there are 3 sentences; give at"),
    ("session", small(), 2, "fold 0: there is 1 speaker that it does not test, and it takes one"),
    (
        "session",
        small(sessions=[None] * 4),
        2,
        "--protocol session: 4 of 4 utterances name no session; add a session column",
    ),
    (
        "session",
        small(speakers=[None] * 4),
        2,
        "--protocol session: 4 of 4 utterances name no speaker",
    ),
    (
        "session",
        small(sessions=["1"] * 4),
        2,
        "--protocol session: there is one session, 1; use 'speaker'",
    ),
    (
        "session",
        small(),
        3,
        "--folds 3: the protocol 'session' has one fold for each session, so their number is 2; "
        "leave --folds out",
    ),
    ("official", small(), 2, "--protocol official: this corpus has no published folds"),
    (
        "official",
        small(speakers=list("abcd"), official=speaker_folds("abcd", "ab", "cd")),
        5,
        "--folds 5: the protocol 'official' has the corpus's own folds, so their number is 2",
    ),
    (
        "official",
        small(speakers=list("abcd"), official=speaker_folds("abcd", "ab", "z")),
        2,
        "the cache lacks all test utterances of fold 2; extract the whole corpus",
    ),
    (
        "official",
        small(official=speaker_folds("aabb", "ab")),
        None,
        "the cache lacks all training utterances of fold 1; extract the whole corpus",
    ),
    (
        "official",
        small(speakers=list("abcc"), official=speaker_folds("abcc", "ab")),
        None,
        "fold 1: there is 1 speaker that it does not test, and it takes one to train and one to",
    ),
    (
        "cross-corpus",
        small(corpora=["ravdess"] * 4),
        None,
        "--protocol cross-corpus: there is one corpus, ravdess; name several, as in --corpus",
    ),
    (
        "cross-corpus",
        small(corpora=list("rrss")),
        5,
        "--folds 5: the protocol 'cross-corpus' has one fold for each corpus, so their number is 2",
    ),
    (
        "cross-corpus",
        small(corpora=list("rrss"), test_corpora=["s"]),
        2,
        "has one fold, its test corpora, so their number is 1; leave --folds out",
    ),
    (
        "cross-corpus",
        small(corpora=list("rrss")),
        None,
        "fold 0: there is 1 speaker that it does not test, and it takes one to train and one",
    ),
    ("random", small(), 5, "--folds 5: there are 4 utterances"),
    (
        "random",
        SplitTable(**nobody(2)),
        2,
        "fold 0: there is 1 utterance that it does not test, and it takes one to train and one "
        "to validate; give more clips",
    ),
]


@pytest.mark.parametrize(("protocol", "table", "folds", "text"), CANNOT_BE_SPLIT)
def test_what_cannot_be_split_is_said(protocol, table, folds, text):
    with pytest.raises(UsageError, match=text):
        split(protocol, table, folds, 0)


@pytest.mark.parametrize(
    ("protocol", "table", "folds", "text"),
    [
        ("speaker", small(), 5, "--folds 5 --test 0.2 --val 0.3: give a number of folds, or the"),
        ("official", small(), None, "the protocol 'official' says itself who is tested; shares ar"),
        ("cross-corpus", small(), None, "shares are for speaker, session, sentence, random"),
        ("speaker", small(), None, "there are 2 speakers, and it takes 3, to train, to validate"),
        ("session", small(), None, "fold 0: there is 1 speaker that it does not test"),
        ("random", SplitTable(**nobody(2)), None, "there are 2 utterances, and it takes 3, to tra"),
    ],
)
def test_what_cannot_be_one_split_is_said(protocol, table, folds, text):
    with pytest.raises(UsageError, match=text):
        split(protocol, table, folds, 0, Shares(test=0.2, val=0.3))


def test_a_number_of_folds_is_a_number_or_speakers():
    with pytest.raises(UsageError, match="--folds many: give a number, or 'speakers' to leave one"):
        parse_folds("many")


def test_the_number_that_a_corpus_has_may_be_said():
    table = small(speakers=list("abcd"), official=speaker_folds("abcd", "ab", "cd"))
    assert len(split("official", table, 2, 0)) == len(split("official", table, None, 0)) == 2


# Inner folds


@varied
@given(tables(), st.integers(2, 12))
def test_inner_parts_hold_everyone_once_and_share_no_speaker(table, parts):
    found = inner_parts(table.strata, table.speakers, parts, 0)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(table.strata)))
    speakers = [{table.speakers[i] for i in part} for part in found]
    assert sum(map(len, speakers)) == len(set(table.speakers)) >= len(found)
    again = inner_parts(table.strata, table.speakers, parts, 0)
    assert [part.tolist() for part in again] == [part.tolist() for part in found]


@pytest.mark.parametrize("speakers", [["s0"] * 6, ["s0", None, "s1", "s2", "s3", "s4"]])
def test_inner_parts_without_speakers_to_tell_apart_are_dealt_at_random(speakers, caplog):
    found = inner_parts(["sad"] * 6, speakers, 5, 0)
    assert sorted(np.concatenate(found).tolist()) == list(range(6))
    assert "its inner folds are dealt at random" in caplog.text
