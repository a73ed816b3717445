"""JL-Corpus: its grammar of names beyond the contract."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from embedcache.corpora.jlcorpus import LABELS, describe


@pytest.mark.parametrize(
    ("name", "gender", "sentence", "take"),
    [
        # As EmoBox's list has them.
        ("male2_concerned_6b_1", "male", "concerned-6b", "1"),
        ("female1_apologetic_15b_2", "female", "apologetic-15b", "2"),
        ("male2_angry_12a_2", "male", "12a", "2"),
        ("male2_assertive_7a_2", "male", "assertive-7a", "2"),
        ("female2_sad_10a_2", "female", "10a", "2"),
        ("female2_excited_5a_2", "female", "5a", "2"),
        ("male1_anxious_2b_2", "male", "anxious-2b", "2"),
        ("male1_happy_7b_2", "male", "7b", "2"),
        ("female2_neutral_15b_1", "female", "15b", "1"),
        ("male1_encouraging_12b_2", "male", "encouraging-12b", "2"),
    ],
)
def test_names_tell_speaker_emotion_and_sentence(
    name: str, gender: str, sentence: str, take: str
) -> None:
    told = describe(Path(f"{name}.wav"))
    assert told and (told.gender, told.sentence, told.extra["take"]) == (gender, sentence, take)
    assert name.startswith(f"{told.speaker}_{told.label}_")


def test_primary_emotions_alone_share_sentences() -> None:
    labels = defaultdict(set)
    for emotion in LABELS:
        told = describe(Path(f"male1_{emotion}_3a_1.wav"))
        assert told
        labels[told.sentence].add(told.label)
    # The README's five primary emotions.
    assert labels.pop("3a") == {"angry", "sad", "neutral", "happy", "excited"}
    assert all(len(own) == 1 for own in labels.values()) and len(labels) == 5


@pytest.mark.parametrize(
    "name", ["male3_sad_1a_1", "sad_1a_1", "male1_sad_1c_1", "male1_sad_1a_3", "male1_bored_1a_1"]
)
def test_other_names_are_left_out(name: str) -> None:
    assert describe(Path(f"{name}.wav")) is None
