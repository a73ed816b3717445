"""EMO-DB: its grammar of names against EmoBox's list of all clips."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from embedcache.corpora.emodb import CLIPS, SENTENCES, SPEAKERS, describe, parse
from tests.material import real_data

# EmoBox's words for the emotions, and ours.
WORDS = {
    "anger": "angry",
    "boredem": "bored",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happy",
    "sad": "sad",
    "neutral": "neutral",
}


def listed() -> dict[Path, str]:
    text = (real_data("emobox") / "emodb" / "emodb.jsonl").read_text(encoding="utf-8")
    return {Path(row["wav"]): row["emo"] for row in map(json.loads, text.splitlines())}


def test_every_listed_clip_has_the_label_of_the_list() -> None:
    clips = listed()
    told = {path: describe(path) for path in clips}
    assert len(told) == 535
    assert {path: u and u.label for path, u in told.items()} == {
        path: WORDS[emotion] for path, emotion in clips.items()
    }


def test_speakers_and_sentences_are_those_of_the_list() -> None:
    told = [u for u in map(describe, listed()) if u]
    assert Counter(u.speaker for u in told) == CLIPS
    assert {u.speaker for u in told} == set(SPEAKERS)
    assert {u.sentence for u in told} == set(SENTENCES)
    assert len({(u.speaker, u.sentence, u.label, u.extra["take"]) for u in told}) == 535


def test_five_women_and_five_men_have_ages() -> None:
    assert Counter(gender for gender, _ in SPEAKERS.values()) == {"female": 5, "male": 5}
    assert all(21 <= age <= 35 for _, age in SPEAKERS.values())


def test_a_name_without_a_take_is_read() -> None:
    told = describe(Path("03a01F.wav"))
    assert told and told.label == "happy" and told.extra == {}


@pytest.mark.parametrize("name", ["03a01Fab", "3a01Fa", "03a1Fa", "03a01fä", "03a01", "07a01Fa"])
def test_other_names_are_left_out(name: str) -> None:
    assert describe(Path(f"{name}.wav")) is None


def test_the_whole_corpus_is_read_without_a_warning_and_a_part_with_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in listed():
        (tmp_path / path.name).touch()
    assert len(parse(tmp_path)) == 535 and not caplog.records
    for path in tmp_path.glob("0[38]*"):
        path.unlink()
    assert len(parse(tmp_path)) == 428
    (record,) = caplog.records
    assert "emodb: 428 of 535 clips found" in record.getMessage()
    assert "03 (0 of 49), 08 (0 of 58)" in record.getMessage()
