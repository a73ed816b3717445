"""The synthetic corpus: written whole or not at all, always the same, and read as written."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from embedcache.corpora import is_synthetic, read_corpus, synthetic
from embedcache.corpora.synthetic import LABELS, Config, generate, parse
from embedcache.errors import SerError, UsageError
from embedcache.synthesis.actors import SENTENCES, Take
from embedcache.synthesis.emotions import EMOTIONS

SMALL = Config(speakers=2, clips_per_emotion=1, annotators=3)


def files(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()
    }


def planted(root: Path) -> Any:
    return json.loads((root / "planted.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus") / "synthetic"
    generate(root)
    return root


@pytest.fixture
def small(tmp_path: Path) -> Path:
    root = tmp_path / "small"
    generate(root, SMALL)
    return root


def test_it_says_that_it_is_synthetic() -> None:
    assert is_synthetic("synthetic")


def test_its_labels_are_the_emotions_that_are_acted() -> None:
    # They are spelled out because listings read them without importing the module.
    assert LABELS == EMOTIONS


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, embedcache.corpora.synthetic; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "scipy", "soundfile", "pandas", "sklearn"} & set(done.stdout.split())


# --- The audio ---


def test_the_clips_are_speech_as_recorded(corpus: Path) -> None:
    clips = parse(corpus)
    info = [soundfile.info(clip.path) for clip in clips]
    assert len(clips) == 12 * 4 * 6
    assert {(i.samplerate, i.channels, i.subtype) for i in info} == {(16_000, 1, "PCM_16")}
    assert 1 < np.mean([i.duration for i in info]) < 2
    assert max(i.duration for i in info) < 4
    assert max(np.abs(soundfile.read(clip.path)[0]).max() for clip in clips) < 0.96


def test_the_planted_level_is_in_the_audio(corpus: Path) -> None:
    truth = planted(corpus)["clips"]
    clips = parse(corpus)
    measured_db = [10 * np.log10(np.mean(soundfile.read(c.path)[0] ** 2)) for c in clips]
    asked_db = [truth[c.id]["prosody"]["level_dbfs"] for c in clips]
    assert np.corrcoef(measured_db, asked_db)[0, 1] > 0.95


# --- Seeds and order ---


def test_the_same_configuration_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", SMALL)
    assert files(small) == files(tmp_path / "again")


def test_another_seed_gives_other_audio_and_votes(small: Path, tmp_path: Path) -> None:
    generate(tmp_path / "other", replace(SMALL, seed=1))
    here, there = files(small), files(tmp_path / "other")
    assert here.keys() == there.keys()
    assert all(here[name] != there[name] for name in here)


def test_a_clip_does_not_depend_on_what_else_is_generated(small: Path, tmp_path: Path) -> None:
    generate(tmp_path / "more", Config(speakers=4, clips_per_emotion=2, annotators=5))
    here, there = files(small), files(tmp_path / "more")
    audio = [name for name in here if name.startswith("audio")]
    assert len(audio) == 8
    assert all(here[name] == there[name] for name in audio)


# --- Table and truth ---


def test_what_was_generated_is_what_is_parsed(small: Path) -> None:
    clips = read_corpus("synthetic", small)
    truth = planted(small)
    assert [clip.id for clip in clips] == list(truth["clips"])
    for clip in clips:
        name = str(clip.speaker).removeprefix("synthetic/")
        speaker = truth["speakers"][name]
        assert clip.id == f"{name}-{clip.label}-01"
        assert clip.path.is_file()
        assert clip.label == truth["clips"][clip.id]["emotion"]
        assert (clip.gender, clip.age) == (speaker["gender"], speaker["age"])
        assert clip.sentence in SENTENCES
        assert sum(clip.votes.values()) == SMALL.annotators
        assert clip.language is None and clip.extra == {}
    assert {clip.gender for clip in clips} == {"female", "male"}


# --- Where it is written ---


def test_an_empty_folder_is_filled_even_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    generate(Path(), SMALL)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["annotations.csv", "audio", "planted.json"]
    assert all(clip.path.is_file() for clip in parse(Path()))


def test_missing_folders_above_are_made(tmp_path: Path) -> None:
    generate(tmp_path / "a" / "b" / "c", SMALL)
    assert len(parse(tmp_path / "a" / "b" / "c")) == 8


def test_nothing_is_written_into_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is there already and is not an empty folder"):
        generate(tmp_path, SMALL)
    assert files(tmp_path) == {"thesis.txt": b"mine"}


def test_nothing_is_written_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(UsageError, match="taken is there already and is not an empty folder"):
        generate(tmp_path / "taken", SMALL)
    assert files(tmp_path) == {"taken": b"mine"}


@pytest.mark.parametrize("exists", [False, True])
def test_an_interrupted_corpus_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    root = tmp_path / "corpus"
    if exists:
        root.mkdir()
    perform, performed = synthetic.perform, []

    def interrupted(take: Take, config: Config) -> np.ndarray:
        performed.append(take)
        if len(performed) == 3:
            raise KeyboardInterrupt
        return perform(take, config)

    monkeypatch.setattr(synthetic, "perform", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(root, SMALL)
    assert [p.name for p in tmp_path.rglob("*")] == (["corpus"] if exists else [])
    monkeypatch.undo()
    generate(root, SMALL)
    assert len(parse(root)) == 8


def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SerError, match=r"cannot write .*corpus"):
        generate(tmp_path / "file" / "corpus", SMALL)


# --- Damage ---

HEADER = ",".join(synthetic.COLUMNS)
ROW = "f01-sad-01,f01,female,30,s1,sad,0,1,2,5"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "annotations.csv line 1 must name the columns id,speaker,gender"),
        (b"file,label\n", "annotations.csv line 1 must name the columns"),
        (f"{HEADER}\n{ROW}\n{ROW},9\n".encode(), "annotations.csv line 3 has 11 values for 10"),
        (f"{HEADER}\n{ROW[:20]}".encode(), "annotations.csv line 2 has 3 values for 10 columns"),
        (
            f"{HEADER}\n{ROW.replace(',sad,', ',bored,')}\n".encode(),
            "line 2 has the label 'bored', which is none of angry, happy, neutral, sad",
        ),
        (f"{HEADER}\n{ROW.replace(',5', ',-5')}".encode(), "line 2 has '-5' where age and votes"),
        (f"{HEADER}\n{ROW.replace('30', 'old')}".encode(), "line 2 has 'old' where age and votes"),
        (HEADER.encode() + b"\n\xff\xfe\n", "is no UTF-8 table of comma-separated values"),
        (f'{HEADER}\n"f01"x,{ROW}'.encode(), "is no UTF-8 table of comma-separated values"),
    ],
)
def test_a_damaged_table_is_named_with_its_line(tmp_path: Path, table: bytes, message: str) -> None:
    (tmp_path / "annotations.csv").write_bytes(table)
    with pytest.raises(SerError, match=message):
        parse(tmp_path)


def test_a_foreign_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SerError, match=r"annotations.csv is missing; .* must hold annotations.csv"):
        parse(tmp_path)
