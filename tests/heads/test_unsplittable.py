"""What cannot be split is said, with the remedy."""

from __future__ import annotations

import pytest

from embedcache.errors import UsageError
from heads.shares import Shares
from heads.splits import parse_folds, split
from tests.heads.split_tables import small, speaker_folds

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
    ],
)
def test_what_cannot_be_one_split_is_said(protocol, table, folds, text):
    with pytest.raises(UsageError, match=text):
        split(protocol, table, folds, 0, Shares(test=0.2, val=0.3))


def test_a_number_of_folds_is_a_number_or_speakers():
    with pytest.raises(UsageError, match="--folds many: give a number, or 'speakers' to leave one"):
        parse_folds("many")
