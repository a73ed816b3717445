"""SAVEE: its grammar of names against EmoBox's list and folds."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from embedcache.corpora import read_corpus
from embedcache.corpora.savee import CLIPS, OFFICIAL_FOLDS, describe
from tests.material import real_data

WORDS = {
    "a": "angry",
    "d": "disgust",
    "f": "fear",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprise",
}


def listed(file: str = "savee.jsonl") -> dict[Path, str]:
    text = (real_data("emobox") / "savee" / file).read_text(encoding="utf-8")
    return {Path(row["wav"]): row["emo"] for row in map(json.loads, text.splitlines())}


def original(path: Path) -> Path:
    """The path that a clip has in the corpus's own archive."""
    speaker, _, name = path.name.partition("_")
    return Path("AudioData") / speaker / name


def test_every_listed_clip_has_the_label_of_the_list() -> None:
    clips = listed()
    told = {path: describe(path) for path in clips}
    assert len(told) == 480
    assert {path: u and u.label for path, u in told.items()} == {
        path: WORDS[emotion] for path, emotion in clips.items()
    }
    assert Counter(u.speaker for u in told.values() if u) == CLIPS


def test_sentences_are_fifteen_per_emotion_and_thirty_neutral_ones() -> None:
    sentences = Counter((u.label, u.sentence) for u in map(describe, listed()) if u)
    assert set(sentences.values()) == {4}  # once by each speaker
    assert Counter(label for label, _ in sentences) == {
        **dict.fromkeys(WORDS.values(), 15),
        "neutral": 30,
    }


def test_the_original_folders_tell_the_same() -> None:
    for path in listed():
        flat, foldered = describe(path), describe(original(path))
        assert flat and foldered
        assert (flat.speaker, flat.label, flat.sentence) == (
            foldered.speaker,
            foldered.label,
            foldered.sentence,
        )


def test_folds_are_emobox_folds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in map(original, listed()):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = read_corpus("savee", tmp_path)
    assert len(found) == 480 and not caplog.records
    assert len(OFFICIAL_FOLDS) == 4
    for fold in range(1, 5):
        test = {original(p) for p in listed(f"fold_{fold}/savee_test_fold_{fold}.jsonl")}
        assert len(test) == 120
        assert {u.path.relative_to(tmp_path) for u in found if u.folds[str(fold)] == "test"} == test


@pytest.mark.parametrize(
    "path", ["DC_a00.wav", "DC_a16.wav", "DC_n31.wav", "DC_x01.wav", "a01.wav", "DC/XY_a01.wav"]
)
def test_other_names_are_left_out(path: str) -> None:
    assert describe(Path(path)) is None
