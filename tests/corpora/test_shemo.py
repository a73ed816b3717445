"""ShEMO: its grammar of names, and the corrected list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedcache.corpora.shemo import describe, parse
from embedcache.errors import SerError


def clips(root: Path, *names: str) -> None:
    root.mkdir(exist_ok=True)
    for name in names:
        (root / f"{name}.wav").touch()


def entry(name: str, emotion: str, text: str = "x") -> dict[str, str]:
    return {"speech_name": name, "text_name": "?", "emotion": emotion, "transcript": text}


def correct(root: Path, record: object) -> None:
    (root / "modified_shemo.json").write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "speaker", "gender", "label"),
    [
        # As EmoBox's list has them.
        ("F15A04", "F15", "female", "angry"),
        ("M12N61", "M12", "male", "neutral"),
        ("F01F01", "F01", "female", "fear"),
        ("M32H02", "M32", "male", "happy"),
        ("M51S02", "M51", "male", "sad"),
        ("M43W06", "M43", "male", "surprise"),
    ],
)
def test_names_tell_speaker_and_emotion(name: str, speaker: str, gender: str, label: str) -> None:
    told = describe(Path(f"{name}.wav"))
    assert told and (told.speaker, told.gender, told.label) == (speaker, gender, label)


@pytest.mark.parametrize("name", ["F32A01", "M57A01", "F00A01", "F01B01", "X01A01", "F1A1"])
def test_other_names_are_left_out(name: str) -> None:
    assert describe(Path(f"{name}.wav")) is None


def test_the_corrected_list_gives_label_and_text(tmp_path: Path) -> None:
    clips(tmp_path, "F21N05", "F21N06")
    correct(
        tmp_path,
        {
            "F21N05.wav": entry("F21N05", "anger", " a\u200e b "),
            "F21N06": entry("F21N06", "neutral"),
        },
    )
    first, second = parse(tmp_path)
    assert (first.label, first.text, first.extra) == ("angry", "a b", {"label_by_name": "neutral"})
    assert (second.label, second.extra) == ("neutral", {})


def test_an_entry_of_another_sound_corrects_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips(tmp_path, "F21N05")
    correct(tmp_path, {"F21N05.wav": entry("F21N07", "anger")})
    (utterance,) = parse(tmp_path)
    assert utterance.label == "neutral" and utterance.text is None
    assert "no entry for 1 clips, which keep the label of their name: F21N05" in caplog.text


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([1], "is no corrected list"),
        ({"F21N05.wav": {"emotion": "anger"}}, "no corrected list.*transcript"),
        ({"F21N05.wav": "anger"}, "no corrected list"),
        ({"F21N05.wav": entry("F21N05", "glee")}, "emotion 'glee' is not one of anger"),
    ],
)
def test_a_damaged_list_is_refused(tmp_path: Path, record: object, message: str) -> None:
    clips(tmp_path, "F21N05")
    correct(tmp_path, record)
    with pytest.raises(SerError, match=message):
        parse(tmp_path)


def test_missing_clips_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips(tmp_path, "F21N05")
    parse(tmp_path)
    assert "1 of 3000 clips found" in caplog.text
