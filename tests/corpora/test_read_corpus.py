from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import soundfile

from embedcache.corpora import (
    audio_files,
    emobox_name,
    load_corpus,
    read_corpus,
    split_name,
)
from embedcache.errors import SerError, UsageError
from embedcache.plugins import plugins
from embedcache.utterance import Utterance


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, [0.0, 0.1] * 800, 16_000)
    return path


def corpus_of(monkeypatch: pytest.MonkeyPatch, *utterances: Utterance) -> None:
    """Let `folder` find these utterances."""
    monkeypatch.setattr("embedcache.corpora.folder.parse", lambda root: list(utterances))


def test_two_utterances_with_one_id_are_named_with_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus_of(monkeypatch, *(Utterance(id="x", path=Path(f"{n}.wav")) for n in "ab"))
    with pytest.raises(SerError, match=r"1 utterance ids occur twice.*a\.wav and b\.wav; give"):
        read_corpus("folder", tmp_path)


@pytest.mark.parametrize(("start_s", "end_s"), [(2.0, 1.0), (2.0, 2.0), (-1.0, None), (0.0, 0.0)])
def test_reversed_bounds_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_s: float, end_s: float | None
) -> None:
    clip = Utterance(id="x", path=Path("x.wav"), start_s=start_s, end_s=end_s)
    corpus_of(monkeypatch, clip)
    with pytest.raises(SerError, match="utterance 'x' begins at .* it must begin at 0 s or later"):
        read_corpus("folder", tmp_path)


def test_clips_that_overlap_in_one_file_are_counted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bounds = {"a": (0.0, 1.0), "b": (0.9, 2.0), "c": (2.0, 3.0), "d": (2.5, None)}
    path = Path("long.wav")
    clips = [Utterance(id=n, path=path, start_s=s, end_s=e) for n, (s, e) in bounds.items()]
    corpus_of(monkeypatch, *clips, Utterance(id="other", path=Path("other.wav")))
    assert len(read_corpus("folder", tmp_path)) == 5
    assert "2 clips overlap one before them in the same file, the first: 'a' and 'b'" in (
        caplog.text
    )


def test_every_clip_inside_a_long_one_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bounds = [(0.0, 9.0), *((n, n + 0.5) for n in (1.0, 3.0, 5.0, 7.0)), (9.0, 10.0)]
    clips = [
        Utterance(id=f"{n}", path=Path("long.wav"), start_s=start_s, end_s=end_s)
        for n, (start_s, end_s) in enumerate(bounds)
    ]
    corpus_of(monkeypatch, *clips)
    read_corpus("folder", tmp_path)
    assert "4 clips overlap one before them in the same file, the first: '0' and '1'" in caplog.text


def test_bytes_that_are_no_text_are_written_out_in_all_fields_but_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As folder names of old archives have them; a later stage writes every field as UTF-8."""
    caplog.set_level("INFO")
    odd = os.fsdecode(b"lat\xe9in")
    texts = dict.fromkeys(
        ("id", "speaker", "gender", "session", "language", "sentence", "text", "label", "view"), odd
    )
    votes = {name: {odd: 1.0} for name in ("votes", "self_votes", "dimensions")}
    records = {"folds": {odd: "test"}, "extra": {odd: odd, "n\ud800": "é"}}
    clip = Utterance(path=Path(odd), **texts, **votes, **records)  # type: ignore[arg-type]
    corpus_of(monkeypatch, clip, Utterance(id="é", path=Path("é.wav")))
    found, plain = read_corpus("folder", tmp_path)
    record = found.to_json()
    assert record.pop("path") == odd
    json.dumps(record, ensure_ascii=False).encode()  # fails where a surrogate is left
    assert (found.id, found.speaker, found.label) == (
        r"lat\xe9in",
        r"folder/lat\xe9in",
        r"lat\xe9in",
    )
    assert found.extra == {r"lat\xe9in": r"lat\xe9in", r"n\ud800": "é"}
    assert plain.id == "é"
    assert "1 utterances have names or texts that are no UTF-8" in caplog.text
    assert caplog.messages[0].endswith(r": lat\xe9in")


def test_names_in_utf8_are_not_spoken_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    touch(tmp_path / "fröhlich" / "anna" / "x.wav")
    assert read_corpus("folder", tmp_path)[0].label == "fröhlich"
    assert not caplog.records


def test_names_that_are_the_same_once_written_out_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = os.fsdecode(b"a\xe9"), r"a\xe9"
    corpus_of(monkeypatch, *(Utterance(id=name, path=Path(f"{name}.wav")) for name in names))
    with pytest.raises(SerError, match="1 utterance ids occur twice"):
        read_corpus("folder", tmp_path)


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


def test_clips_outside_the_folders_of_emotions_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path / "angry" / "x.wav")
    touch(tmp_path / "loose.wav")
    assert [u.id for u in read_corpus("folder", tmp_path)] == ["angry/x"]
    assert caplog.messages == [
        "folder: left out: 1 audio files that lie in no folder of an emotion: loose.wav"
    ]


def test_the_actors_of_ravdess_are_the_same_when_they_sing(tmp_path: Path) -> None:
    """So that a fold of both corpora never tests a voice that it trained on."""
    for folder, name in (("spoken", "03-01-05-01-02-01-11"), ("sung", "03-02-05-01-02-01-11")):
        touch(tmp_path / folder / "Actor_11" / f"{name}.wav")
    (spoken,) = read_corpus("ravdess", tmp_path / "spoken")
    (sung,) = read_corpus("ravdess_song", tmp_path / "sung")
    assert spoken.speaker == sung.speaker == "ravdess/11"
    assert spoken.sentence == sung.sentence


def test_every_corpus_of_emobox_with_a_plug_in_of_its_own_is_found_by_it() -> None:
    """EmoBox has 32 corpora (arXiv 2406.07162); those that are no corpus of it have no lists."""
    known = plugins("embedcache.corpora")["emobox"].constants["DATA_SETS"]
    assert len(known) == len(set(known)) == 32
    lacking = {name for name in plugins("embedcache.corpora") if emobox_name(name) is None}
    assert lacking == {
        "audformat", "baved", "emobox", "folder", "huggingface", "manifest", "ravdess_song",
        "synthetic",
    }  # fmt: skip


def test_upper_case_suffixes_are_audio(tmp_path: Path) -> None:
    touch(tmp_path / "angry" / "x.wav").rename(tmp_path / "angry" / "X.WAV")
    assert [u.id for u in read_corpus("folder", tmp_path)] == ["angry/X"]
