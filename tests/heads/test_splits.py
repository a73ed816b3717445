"""Protocols: everyone is tested once, and nobody trains who is tested."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from embedcache.corpora.ravdess import OFFICIAL_FOLDS
from embedcache.errors import UsageError
from heads.splits import PROTOCOLS, Fold, SplitTable, inner_parts, shared_speakers, split

varied = settings(deadline=None, max_examples=80)
NO_REST = "speakers that are not tested"


def speaker_folds(speakers, *tests):
    """Roles of utterances in folds that are told by their test speakers."""
    return [
        {str(n): "test" if speaker in test else "train" for n, test in enumerate(tests, start=1)}
        for speaker in speakers
    ]


@st.composite
def tables(draw):
    """Clips of speakers in unequal numbers; each session has its own speakers."""
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
        official=[
            {str(f): "test" if int(name[1:]) % 4 == f else "train" for f in range(4)}
            for name in shuffled
        ],
    )


def try_split(protocol, table, folds, seed):
    try:
        return split(protocol, table, folds, seed)
    except UsageError as error:
        assert NO_REST in str(error) or "--folds" in str(error)
        reject()


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
@given(
    tables(),
    st.sampled_from(("speaker", "session", "official")),
    st.integers(2, 5),
    st.integers(0, 2**32 - 1),
)
def test_no_speaker_has_two_roles_in_a_fold(table, protocol, folds, seed):
    for fold in try_split(protocol, table, folds, seed):
        names = [{table.speakers[i] for i in part} for part in (fold.train, fold.val, fold.test)]
        assert sum(map(len, names)) == len(set.union(*names))
        assert shared_speakers(fold, table.speakers) == set()


@varied
@given(tables(), st.sampled_from(sorted(PROTOCOLS)), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_the_same_seed_makes_the_same_folds(table, protocol, folds, seed):
    once = try_split(protocol, table, folds, seed)
    for a, b in zip(once, split(protocol, table, folds, seed), strict=True):
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


def test_a_session_tests_as_a_whole():
    sessions = ["b", "a", "b", "a", "c", "c"]
    table = SplitTable(strata=["x"] * 6, speakers=list("124356"), sessions=sessions)
    tests = [fold.test.tolist() for fold in split("session", table, 5, 0)]
    assert tests == [[1, 3], [0, 2], [4, 5]]


def test_a_speaker_of_two_sessions_is_counted_as_shared():
    table = SplitTable(strata=["x"] * 6, speakers=list("ababcd"), sessions=list("112233"))
    first = split("session", table, 5, 0)[0]
    assert shared_speakers(first, table.speakers) == {"a", "b"}


def test_official_folds_test_the_published_speakers():
    table = SplitTable(
        strata=["x"] * 8,
        speakers=list("aabbccdd"),
        sessions=[None] * 8,
        official=speaker_folds("aabbccdd", "ad", "bc"),
    )
    tests = [fold.test.tolist() for fold in split("official", table, 5, 0)]
    assert tests == [[0, 1, 6, 7], [2, 3, 4, 5]]


def test_published_folds_are_taken_in_the_order_of_their_numbers():
    official = [{str(n): "test" if n == i else "train" for n in range(1, 12)} for i in range(1, 12)]
    table = SplitTable(
        strata=["x"] * 11, speakers=list("abcdefghijk"), sessions=[None] * 11, official=official
    )
    assert [fold.test.tolist() for fold in split("official", table, 5, 0)] == [
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
    (fold,) = split("official", table, 5, 0)
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
    (fold,) = split("official", table, 5, 0)
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


@pytest.mark.parametrize(
    ("protocol", "table", "folds", "text"),
    [
        ("speakr", small(), 2, "unknown protocol 'speakr': did you mean 'speaker'"),
        ("speaker", small(), 1, "--folds 1: give 2 or more"),
        (
            "speaker",
            small(speakers=list("abcc")),
            4,
            "--folds 4: there are 3 speakers; give at most",
        ),
        ("speaker", small(), 2, "there are 2 speakers, and it takes 3, to train, to validate and"),
        ("session", small(), 2, "a fold has 1 speakers that are not tested, and needs one to "),
        (
            "speaker",
            small(speakers=["a", None, "b", None]),
            2,
            "--protocol speaker: 2 of 4 utterances name no speaker; add a speaker column",
        ),
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
        ("official", small(), 2, "--protocol official: this corpus has no published folds"),
        (
            "official",
            small(speakers=list("abcd"), official=speaker_folds("abcd", "ab", "z")),
            2,
            "the cache lacks all test utterances of fold 2; extract the whole corpus",
        ),
        (
            "official",
            small(official=speaker_folds("aabb", "ab")),
            2,
            "the cache lacks all training utterances of fold 1; extract the whole corpus",
        ),
        ("random", small(), 5, "--folds 5: there are 4 utterances"),
        (
            "random",
            small(strata=["x"] * 2, speakers=[None] * 2, sessions=[None] * 2),
            2,
            "a fold has one utterance to train and to validate; give more clips",
        ),
    ],
)
def test_what_cannot_be_split_is_said(protocol, table, folds, text):
    with pytest.raises(UsageError, match=text):
        split(protocol, table, folds, 0)


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
