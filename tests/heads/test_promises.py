"""A broken promise names its fold and who is on both sides; other overlap is counted."""

from __future__ import annotations

import numpy as np
import pytest

from embedcache.errors import SerError
from heads.promises import overlap, require_promise
from heads.splits import Fold, SplitTable


def fold(train, val, test):
    return Fold(*(np.array(part, np.int64) for part in (train, val, test)))


def table(**columns):
    nothing = [None] * 6
    parts = {"strata": ["x"] * 6, "speakers": nothing, "sessions": nothing, "sentences": nothing}
    return SplitTable(**parts | columns)


GOOD = fold([0, 1], [2, 3], [4, 5])


@pytest.mark.parametrize(
    ("protocol", "columns", "text"),
    [
        ("speaker", {"speakers": list("aabbca")}, "fold 1 these speakers both train and test: a;"),
        ("speaker", {"speakers": list("aabbcb")}, "these speakers both validate and test: b;"),
        ("speaker", {"speakers": list("abbacc")}, "both train and validate: a, b; leave out"),
        ("session", {"sessions": list("112223")}, "these sessions both validate and test: 2;"),
        ("session", {"speakers": list("abbccc")}, "these speakers both train and validate: b;"),
        ("sentence", {"sentences": list("sttuvs")}, "these sentences both train and test: s;"),
        ("sentence", {"sentences": list("sttuvw")}, "sentences both train and validate: t;"),
        ("cross-corpus", {"corpora": list("ppqqqr")}, "these corpora both validate and test: q;"),
        (
            "cross-corpus",
            {"corpora": list("ppppqq"), "speakers": list("abcdea")},
            "these speakers both train and test: a; leave out a corpus that shares them",
        ),
    ],
)  # fmt: skip
def test_a_broken_promise_says_which_and_by_whom(protocol, columns, text):
    harmless = fold([0], [2], [4])
    apart = {name: [*values] for name, values in columns.items()}
    with pytest.raises(SerError, match=f"--protocol {protocol}: .*{text}"):
        require_promise(protocol, [harmless, GOOD], table(**apart))


def test_many_names_are_counted():
    everyone = [f"s{i}" for i in range(8)] * 2
    long = SplitTable(strata=["x"] * 17, speakers=[*everyone, "t"], sessions=[None] * 17)
    with pytest.raises(SerError, match="both train and test: s0, s1, s2, s3, s4 and 3 more; leave"):
        require_promise("speaker", [fold(range(8), [16], range(8, 16))], long)


@pytest.mark.parametrize(
    ("empty", "text"),
    [
        (fold([], [2, 3], [4, 5]), "fold 1 has no utterance to train with; give more clips"),
        (fold([0, 1], [], [4, 5]), "fold 1 has no utterance to validate with"),
        (fold([0, 1], [2, 3], []), "fold 1 has no utterance to test with"),
    ],
)
def test_an_empty_part_is_named(empty, text):
    with pytest.raises(SerError, match=f"--protocol random: {text}"):
        require_promise("random", [GOOD, empty], table())


@pytest.mark.parametrize("protocol", ["random", "official"])
def test_other_protocols_promise_nothing_of_speakers(protocol):
    require_promise(protocol, [GOOD], table(speakers=["a"] * 6))


def test_what_is_not_known_is_not_shared():
    require_promise("cross-corpus", [GOOD], table(corpora=list("ppppqq")))


def test_a_speaker_of_two_sessions_is_no_broken_promise():
    require_promise("session", [GOOD], table(sessions=list("112233"), speakers=list("aabbab")))


def test_overlap_counts_each_value_once_over_all_folds():
    again = fold([4, 5], [2, 3], [0, 1])
    assert overlap(list("abcdab"), [GOOD, again]) == 2
    assert overlap(list("abcdef"), [GOOD, again]) == 0
    assert overlap(["a", None, None, "a", None, "a"], [GOOD]) == 1
    assert overlap([None] * 6, [GOOD]) is None
