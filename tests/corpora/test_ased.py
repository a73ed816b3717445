"""ASED: its grammar of names beyond the contract."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from embedcache.corpora.ased import describe


def test_the_example_of_its_readme_is_read() -> None:
    told = describe(Path("05Angry/a5-03-01-02-50.wav"))
    assert told
    assert (told.label, told.speaker, told.gender) == ("angry", "50", "male")
    assert told.extra == {"repetition": "1"}


def test_two_sentences_are_common_and_five_belong_to_each_emotion() -> None:
    labels = defaultdict(set)
    for emotion in ("n1", "f2", "h3", "s4", "a5"):
        for sentence in range(1, 8):
            told = describe(Path(f"{emotion}-{sentence:02}-01-01-01.wav"))
            assert told
            labels[told.sentence].add(told.label)
    assert Counter(len(own) for own in labels.values()) == {5: 2, 1: 25}


def test_the_one_name_in_another_case_is_read() -> None:
    told = describe(Path("04Sad/S4-04-02-01-29.wav"))
    assert told and told.label == "sad" and told.sentence == "s04" and told.gender == "female"
