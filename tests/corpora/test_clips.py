"""Clips told by their names: copies are read once, and nothing vanishes unnamed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from embedcache.corpora import ravdess, ravdess_song, read_corpus, savee
from embedcache.corpora._clips import clips_by_name

CLIP = "03-01-05-02-01-02-01"


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def read(root: Path) -> list[tuple[str, str]]:
    found = clips_by_name("ravdess", root, ravdess.describe)
    return [(u.id, u.path.relative_to(root).as_posix()) for u in found]


@pytest.mark.parametrize(
    ("best", "copies"),
    [
        (f"b/{CLIP}.wav", [f"a/{CLIP}.flac", f"{CLIP}.mp3"]),
        (f"b/c/{CLIP}.WAV", [f"{CLIP}.flac"]),
        (f"b/{CLIP}.flac", [f"{CLIP}.mp3", f"{CLIP}.ogg"]),
        (f"z/{CLIP}.wav", [f"a/b/{CLIP}.wav", f"a/b/c/{CLIP}.wav"]),
        (f"a/{CLIP}.wav", [f"b/{CLIP}.wav", f"c/{CLIP}.wav"]),
    ],
)
def test_copies_are_one_clip(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, best: str, copies: list[str]
) -> None:
    """WAV before FLAC before the others, then the shortest path, then the first by name."""
    assert read(touch(tmp_path, best, *copies)) == [(CLIP, best)]
    (message,) = caplog.messages
    named = ", ".join(sorted(copies))
    assert message == (f"ravdess: left out: {len(copies)} copies of clips that are read: {named}")


def test_a_corpus_that_is_there_twice_is_read_once(tmp_path: Path) -> None:
    """As archives hold it: each actor's folder, and all of them again in a folder of folders."""
    names = [f"03-01-0{emotion}-01-01-01-{actor:02}" for emotion in (1, 2) for actor in (1, 2)]
    paths = [f"Actor_{name[-2:]}/{name}.wav" for name in names]
    again = [f"audio_speech_actors_01-24/{path}" for path in paths]
    once = read_corpus("ravdess", touch(tmp_path / "once", *paths))
    twice = read_corpus("ravdess", touch(tmp_path / "twice", *paths, *again))
    assert [u.id for u in twice] == [u.id for u in once]
    assert {u.path.relative_to(tmp_path / "twice").as_posix() for u in twice} == set(paths)


def test_equal_names_of_different_clips_are_different_clips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = touch(tmp_path, "DC/a01.wav", "JE/a01.wav", "copy/JE/A01.wav")
    found = clips_by_name("savee", root, savee.describe)
    assert [(u.id, u.speaker) for u in found] == [("DC/a01", "DC"), ("JE/a01", "JE")]
    assert caplog.messages == ["savee: left out: 1 copies of clips that are read: copy/JE/A01.wav"]


def test_every_audio_file_is_read_or_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever lies in a folder: clips, copies, songs, strangers; in any order of names."""
    caplog.set_level("INFO")
    rng = random.Random(0)
    names = [CLIP, CLIP.replace("-01-05", "-02-05", 1), "03-01-01-01-01-01-02", "notes", "take 1"]
    paths = {
        f"{rng.choice('abc')}/{rng.choice('de')}/{rng.choice(names)}{rng.choice(['.wav', '.flac'])}"
        for _ in range(60)
    }
    found = ravdess.parse(touch(tmp_path, *paths))
    assert sorted(u.id for u in found) == sorted({CLIP, "03-01-01-01-01-01-02"})
    left_out = [int(m.split("left out: ")[1].split()[0]) for m in caplog.messages if "left" in m]
    assert len(left_out) == 3  # songs, strangers, copies
    assert len(found) + sum(left_out) == len(paths)


def test_strangers_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    strangers = [f"x/{n}.wav" for n in range(7)]
    assert len(read(touch(tmp_path, f"{CLIP}.wav", *strangers))) == 1
    assert caplog.messages == [
        "ravdess: left out: 7 audio files whose names or folders do not follow its grammar: "
        "x/0.wav, x/1.wav, x/2.wav, x/3.wav, x/4.wav and 2 more"
    ]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (ravdess, "ravdess: left out: 1 sung clips, which are the corpus ravdess_song"),
        (ravdess_song, "ravdess_song: left out: 1 spoken clips, which are the corpus ravdess"),
    ],
)
def test_speech_and_songs_are_two_corpora_and_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, module: object, message: str
) -> None:
    caplog.set_level("INFO")
    touch(tmp_path, "03-01-05-02-01-02-01.wav", "03-02-05-02-01-02-01.wav")
    assert len(module.parse(tmp_path)) == 1
    (record,) = [r for r in caplog.records if "left out" in r.getMessage()]
    assert (record.levelname, record.getMessage()) == ("INFO", message)


def test_where_nothing_is_found_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The error that follows says what was looked for."""
    assert read(touch(tmp_path, "x.wav")) == []
    assert not caplog.records
