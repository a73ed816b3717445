"""Each protocol tests, validates and trains with whom it says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.corpora.ravdess import OFFICIAL_FOLDS
from embedcache.errors import SerError
from heads.splits import SplitTable, shared_speakers, split
from tests.heads.split_tables import (
    ravdess_like,
    require_apart,
    small,
    speaker_folds,
    tables,
    values,
    varied,
)


def test_folds_have_equal_shares_of_speakers_genders_and_emotions():
    table = ravdess_like()
    for fold in split("speaker", table, 6, 0):
        actors = {table.speakers[i] for i in fold.test}
        assert len(actors) == 4
        assert sum(int(actor[1:]) % 2 for actor in actors) == 2
        assert len({table.speakers[i] for i in fold.val}) == 4


def test_speaker_folds_are_as_many_as_asked_for():
    assert [len(split("speaker", ravdess_like(), n, 0)) for n in (2, 5, 24)] == [2, 5, 24]


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


def test_a_session_tests_as_a_whole():
    sessions = ["b", "a", "b", "a", "c", "c"]
    table = SplitTable(strata=["x"] * 6, speakers=list("124356"), sessions=sessions)
    tests = [fold.test.tolist() for fold in split("session", table, None, 0)]
    assert tests == [[1, 3], [0, 2], [4, 5]]


def test_a_speaker_of_two_sessions_is_counted_as_shared():
    table = SplitTable(strata=["x"] * 6, speakers=list("ababcd"), sessions=list("112233"))
    first = split("session", table, None, 0)[0]
    assert shared_speakers(first, table.speakers) == {"a", "b"}


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


def test_the_number_that_a_corpus_has_may_be_said():
    table = small(speakers=list("abcd"), official=speaker_folds("abcd", "ab", "cd"))
    assert len(split("official", table, 2, 0)) == len(split("official", table, None, 0)) == 2


def test_random_shares_speakers_and_says_which():
    table = ravdess_like()
    for fold in split("random", table, 5, 0):
        assert shared_speakers(fold, table.speakers) == set(table.speakers)
        tested = Counter(table.strata[i] for i in fold.test)
        assert all(abs(tested[x] - n / 5) < 1 for x, n in Counter(table.strata).items())
