from __future__ import annotations

import os
from pathlib import Path

import pytest
import soundfile

from embedcache.corpora import audio_files, load_corpus, read_corpus, split_name
from embedcache.errors import SerError, UsageError


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, [0.0, 0.1] * 800, 16_000)
    return path


def test_two_utterances_with_one_id_are_named_with_their_paths(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label,id\na.wav,sad,x\nb.wav,sad,x\n")
    with pytest.raises(SerError, match=r"1 utterance ids occur twice.*a\.wav and .*b\.wav; give"):
        read_corpus("manifest", tmp_path)


def test_a_corpus_that_is_there_twice_is_read_by_its_paths(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "03-01-05-02-01-02-01.wav")
    touch(tmp_path / "b" / "03-01-05-02-01-02-01.wav")
    found = [u.id for u in read_corpus("ravdess", tmp_path)]
    assert found == ["a/03-01-05-02-01-02-01", "b/03-01-05-02-01-02-01"]


def test_files_that_differ_in_their_suffix_alone_are_two(tmp_path: Path) -> None:
    touch(tmp_path / "sad" / "a.wav")
    touch(tmp_path / "sad" / "a.flac")
    touch(tmp_path / "sad" / "b.wav")
    assert [u.id for u in read_corpus("folder", tmp_path)] == ["sad/a.flac", "sad/a.wav", "sad/b"]


def test_named_data_sets_have_speakers_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path / "angry" / "anna" / "x.wav")
    assert read_corpus("folder:mine", tmp_path)[0].speaker == "mine/anna"
    assert read_corpus("folder", tmp_path)[0].speaker == "folder/anna"


def test_a_corpus_that_is_one_takes_no_name() -> None:
    with pytest.raises(UsageError, match="takes no name; write 'ravdess'"):
        load_corpus("ravdess:mine")


@pytest.mark.parametrize("name", ["folder:", "folder:../up", "folder:a b", "folder:-x"])
def test_names_that_are_no_folder_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="the name after the colon"):
        split_name(name)


def test_a_loop_of_links_is_walked_once(tmp_path: Path) -> None:
    touch(tmp_path / "angry" / "x.wav")
    (tmp_path / "angry" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [p.name for p in audio_files(tmp_path)] == ["x.wav"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_one_sentence(tmp_path: Path) -> None:
    touch(tmp_path / "angry" / "x.wav")
    (tmp_path / "angry").chmod(0)
    with pytest.raises(SerError, match="cannot be read"):
        read_corpus("folder", tmp_path)


def test_upper_case_suffixes_are_audio(tmp_path: Path) -> None:
    touch(tmp_path / "angry" / "x.wav").rename(tmp_path / "angry" / "X.WAV")
    assert [u.id for u in read_corpus("folder", tmp_path)] == ["angry/X"]
