"""JL-Corpus, TurEV-DB, BAVED and ASED: their grammars beyond the contract."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from embedcache.corpora import ased, baved, jlcorpus, turevdb


def test_jlcorpus_has_2400_names_of_four_speakers_and_ten_emotions() -> None:
    found = [
        told
        for speaker in ("female1", "female2", "male1", "male2")
        for emotion in jlcorpus.LABELS
        for number in range(1, 16)
        for letter in "ab"
        for take in "12"
        if (told := jlcorpus.describe(Path(f"{speaker}_{emotion}_{number}{letter}_{take}.wav")))
    ]
    assert len(found) == 2400
    assert Counter(u.label for u in found) == jlcorpus.CLIPS
    assert Counter(u.gender for u in found) == {"female": 1200, "male": 1200}


def test_jlcorpus_primary_emotions_alone_share_sentences() -> None:
    labels = defaultdict(set)
    for emotion in jlcorpus.LABELS:
        told = jlcorpus.describe(Path(f"male1_{emotion}_3a_1.wav"))
        assert told
        labels[told.sentence].add(told.label)
    assert labels.pop("3a") == set(jlcorpus.LABELS[:5])
    assert all(len(own) == 1 for own in labels.values()) and len(labels) == 5


@pytest.mark.parametrize(
    "name", ["male3_sad_1a_1", "sad_1a_1", "male1_sad_1c_1", "male1_sad_1a_3", "male1_bored_1a_1"]
)
def test_jlcorpus_leaves_other_names_out(name: str) -> None:
    assert jlcorpus.describe(Path(f"{name}.wav")) is None


def test_turevdb_counts_are_those_of_the_whole() -> None:
    assert sum(turevdb.CLIPS.values()) == 1735


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("Sound Source/Sad/1157_hl_acik.wav", True),
        ("Happy/1358_mt_bugu.wav", True),
        ("Model Output for Test Data/testEmotions500HighPass/sound/Sad/1157_hl_acik.wav", False),
        ("testEmotions5000LowPass/sound/Sad/1157_hl_acik.wav", False),
        ("testEmotions5000LowPass/plain/Sad/1157_hl_acik.wav", False),
        ("Sound Source/1157_hl_acik.wav", False),
        ("Sound Source/Bored/1157_hl_acik.wav", False),
    ],
)
def test_turevdb_takes_the_recordings_and_no_filtered_copies(path: str, known: bool) -> None:
    assert (turevdb.describe(Path(path)) is not None) == known


def test_baved_names_tell_word_level_and_speaker() -> None:
    told = [
        baved.describe(Path(f"{word}/47-m-20-{word}-{level}-159.wav"))
        for word in range(7)
        for level in range(3)
    ]
    known = [u for u in told if u]
    assert Counter(u.label for u in known) == dict.fromkeys(baved.LABELS, 7)
    assert len({u.text for u in known}) == len({u.sentence for u in known}) == 7
    assert {(u.speaker, u.age, u.gender) for u in known} == {("47", 20.0, "male")}


def test_ased_reads_the_example_of_its_readme() -> None:
    told = ased.describe(Path("05Angry/a5-03-01-02-50.wav"))
    assert told
    assert (told.label, told.speaker, told.gender) == ("angry", "50", "male")
    assert told.extra == {"repetition": "1"}


def test_ased_has_two_common_sentences_and_five_of_each_emotion() -> None:
    labels = defaultdict(set)
    for emotion in ("n1", "f2", "h3", "s4", "a5"):
        for sentence in range(1, 8):
            told = ased.describe(Path(f"{emotion}-{sentence:02}-01-01-01.wav"))
            assert told
            labels[told.sentence].add(told.label)
    assert Counter(len(own) for own in labels.values()) == {5: 2, 1: 25}
    assert sum(ased.CLIPS.values()) == 2474


def test_ased_reads_the_one_name_in_another_case() -> None:
    told = ased.describe(Path("04Sad/S4-04-02-01-29.wav"))
    assert told and told.label == "sad" and told.sentence == "s04" and told.gender == "female"
