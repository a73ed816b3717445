"""Data sets that the library datasets itself has written are read whole; wrong ones are told."""

from __future__ import annotations

import importlib
import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from embedcache.corpora import read_corpus
from embedcache.errors import SerError, UsageError
from embedcache.utterance import Utterance

datasets = pytest.importorskip("datasets")

AUDIO = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache" / "ser-audio"


def sound(folder: Path, name: str, level: float = 0.1) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(800, level), 16_000)
    return path


def dataset(rows: list[dict[str, Any]], **features: Any) -> Any:
    """A data set whose column `audio` holds paths, or bytes, or nothing."""
    told = [{**row, "audio": as_cell(row.get("audio"))} for row in rows]
    found = datasets.Dataset.from_list(told, datasets.Features({"audio": AUDIO, **features}))
    return found.cast_column("audio", datasets.Audio())


def as_cell(audio: Path | bytes | None) -> dict[str, Any] | None:
    if audio is None:
        return None
    if isinstance(audio, bytes):
        return {"bytes": audio, "path": None}
    return {"bytes": None, "path": str(audio)}


def labelled(tmp_path: Path, count: int = 3) -> Any:
    rows = [
        {"audio": sound(tmp_path, f"src/{n}.wav", n / 10), "label": ("sad", "happy")[n % 2]}
        for n in range(count)
    ]
    return dataset(rows, label=datasets.Value("string"))


def saved(data: Any, folder: Path) -> Path:
    data.save_to_disk(str(folder))
    return folder


def read(root: Path) -> dict[str, Utterance]:
    return {utterance.id: utterance for utterance in read_corpus("huggingface:mine", root)}


def test_every_field_is_read(tmp_path: Path, cache: Path) -> None:
    value, names = datasets.Value, datasets.ClassLabel
    row = {
        "audio": sound(tmp_path, "src/x.wav"),
        "id": 12,
        "emotion": 1,
        "label": "cross",
        "votes": {"Angry": 2.0, "sad": None, "calm": 0.0},
        "speaker": 7,
        "Sex": 0,
        "age": 34.0,
        "session": "s1",
        "language": "de",
        "sentence": "a01",
        "transcript": "Der Lappen.",
        "valence": 2.5,
        "arousal": "4",
        "dominance": None,
        "start_s": 0.25,
        "end_s": 0.5,
        "room": "hall",
        "take": 3,
        "checked": True,
        "vector": [1.0, 2.0],
    }
    features = {
        "id": value("int64"),
        "emotion": names(names=["sad", "Angry"]),
        "label": value("string"),
        "votes": {x: value("float32") for x in ("Angry", "sad", "calm")},
        "speaker": value("int64"),
        "Sex": names(names=["F", "M"]),
        "age": value("float64"),
        **dict.fromkeys(("session", "language", "sentence", "transcript"), value("string")),
        "valence": value("float32"),
        "arousal": value("string"),
        "dominance": value("float32"),
        "start_s": value("float64"),
        "end_s": value("float64"),
        "room": value("string"),
        "take": value("int8"),
        "checked": value("bool"),
        "vector": datasets.List(value("float32")),
    }
    (found,) = read(saved(dataset([row], **features), tmp_path / "set")).values()
    assert found == Utterance(
        id="12",
        path=found.path,
        start_s=0.25,
        end_s=0.5,
        speaker="mine/7",
        gender="female",
        age=34.0,
        session="s1",
        language="de",
        sentence="a01",
        text="Der Lappen.",
        label="angry",
        votes={"angry": 2.0, "calm": 0.0},
        dimensions={"valence": 2.5, "arousal": 4.0},
        extra={"label": "cross", "room": "hall", "take": "3", "checked": "true"},
    )
    assert found.path.is_relative_to(cache)


def test_embedded_audio_is_written_once_whole_and_taken_again(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    root = saved(labelled(tmp_path), tmp_path / "set")
    first = read(root)
    assert [u.path.name for u in first.values()] == ["000000.wav", "000001.wav", "000002.wav"]
    for number, utterance in enumerate(first.values()):
        source = tmp_path / f"src/{number}.wav"
        assert utterance.path.read_bytes() == source.read_bytes()
        assert utterance.id == source.stem
    assert f"audio inside {root} is written to {first['0'].path.parent}, once" in caplog.text
    caplog.clear()
    written = {u.path: u.path.stat() for u in first.values()}
    assert read(root) == first
    assert {path: path.stat() for path in written} == written, "nothing is written again"
    assert not caplog.records
    assert {p.parent for p in written} == set(cache.iterdir())


def test_clips_that_are_damaged_or_older_than_the_data_set_are_written_again(
    tmp_path: Path,
) -> None:
    root = saved(labelled(tmp_path), tmp_path / "set")
    first = [u.path for u in read(root).values()]
    sounds = [path.read_bytes() for path in first]
    first[0].write_bytes(b"RIFF")
    first[1].unlink()
    first[2].write_bytes(b"x" * len(sounds[2]))
    os.utime(first[2], (0, 0))
    assert [u.path.read_bytes() for u in read(root).values()] == sounds


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    root = saved(labelled(tmp_path), tmp_path / "set")
    folder = read(root)["0"].path.parent
    leftover = folder / f".tmp-{socket.gethostname()}-{2**22 + 1}-0123abcd"
    leftover.write_bytes(b"half")
    read(root)
    assert not leftover.exists()


def test_other_audio_has_another_folder(tmp_path: Path, cache: Path) -> None:
    one = read(saved(labelled(tmp_path / "x"), tmp_path / "one"))
    rows = [{"audio": sound(tmp_path, "0.wav", 0.9), "label": "sad"}]
    two = read(saved(dataset(rows, label=datasets.Value("string")), tmp_path / "two"))
    assert one["0"].path.parent != two["0"].path.parent
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize(
    ("head", "suffix"),
    [(b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3\x04", ".mp3"), (b"\xff\xfb", ".mp3")],
)
def test_suffixes_follow_the_bytes(tmp_path: Path, head: bytes, suffix: str) -> None:
    rows = [{"audio": head + b"...", "label": "sad"}, {"audio": b"unknown", "label": "sad"}]
    found = read(saved(dataset(rows, label=datasets.Value("string")), tmp_path / "set"))
    assert [u.path.suffix for u in found.values()] == [suffix, ".audio"]
    assert list(found) == ["000000", "000001"], "clips without a name have their row's"


def without_bytes(root: Path, paths: list[str | None]) -> Path:
    """A data set with paths alone, as older versions of the library saved them."""
    cells = [path and {"bytes": None, "path": path} for path in paths]
    rows = {"audio": cells, "label": ["sad"] * len(cells)}
    features = datasets.Features({"audio": AUDIO, "label": datasets.Value("string")})
    datasets.Dataset.from_dict(rows, features).save_to_disk(str(root))
    info = json.loads((root / "dataset_info.json").read_text())
    info["features"]["audio"] = {"_type": "Audio"}
    (root / "dataset_info.json").write_text(json.dumps(info))
    return root


def test_paths_are_used_where_they_are_and_missing_ones_named(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there, root = sound(tmp_path, "src/a.wav"), tmp_path / "set"
    found = read(without_bytes(root, [str(there), "sub/b.wav", "hf://x/c.wav", None]))
    assert {name: u.path for name, u in found.items()} == {
        "a": there,
        "b": root / "sub/b.wav",
        "c": root / "hf:/x/c.wav",
    }
    assert not cache.exists()
    messages = [r.getMessage() for r in caplog.records]
    assert messages[0] == f"huggingface: 1 rows hold no audio, the first: {root} row 3"
    assert messages[1].startswith(f"huggingface: 2 of 3 audio files are not there: {root}/sub/b")


def test_bytes_come_before_a_path_that_means_nothing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = saved(labelled(tmp_path, 1), tmp_path / "set")
    for folder in (root, tmp_path / "here"):
        sound(folder, "0.wav", 0.9)
    monkeypatch.chdir(tmp_path / "here")
    assert read(root)["0"].path.read_bytes() == (tmp_path / "src/0.wav").read_bytes()


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (("train", "validation", "test"), ["train", "val", "test"]),
        (("train", "dev", "test"), ["train", "val", "test"]),
        (("train", "extra", "test"), ["train", None, "test"]),
        (("train",), [None]),
    ],
)
def test_splits_are_the_published_fold(
    tmp_path: Path, names: tuple[str, ...], roles: list[str | None]
) -> None:
    splits = {name: labelled(tmp_path / name, 1) for name in names}
    found = read(saved(datasets.DatasetDict(splits), tmp_path / "set"))
    rows = [f"{name}-000000" for name in names]
    assert list(found) == (rows if len(names) > 1 else ["0"]), "the clips have one name, 0"
    assert [u.folds.get("official") for u in found.values()] == roles
    assert [u.extra.get("split") for u in found.values()] == [
        name if name == "extra" else None for name in names
    ]
    assert len({u.path for u in found.values()}) == len(names)


def test_annotators_lists_of_words_or_classes_are_votes(tmp_path: Path) -> None:
    votes = [["sad", "Angry", "sad", None], ["sad", "angry"], [], None]
    rows = [{"audio": sound(tmp_path, f"{n}.wav"), "votes": v} for n, v in enumerate(votes)]
    data = dataset(rows, votes=datasets.List(datasets.Value("string")))
    found = read(saved(data, tmp_path / "words"))
    assert {name: (u.label, u.votes) for name, u in found.items()} == {
        "0": ("sad", {"sad": 2.0, "angry": 1.0}),
        "1": (None, {"sad": 1.0, "angry": 1.0}),
    }
    rows = [{"audio": rows[0]["audio"], "votes": [1, 0, 1, -1], "label": None}]
    classes = datasets.ClassLabel(names=["Angry", "sad"])
    data = dataset(rows, votes=datasets.List(classes), label=classes)
    (found_class,) = read(saved(data, tmp_path / "classes")).values()
    assert found_class.votes == {"sad": 2.0, "angry": 1.0}
    assert found_class.label is None, "an empty label says that there is no majority"


def test_rows_without_an_emotion_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    rows = [{"audio": sound(tmp_path, f"{n}.wav"), "label": n} for n in (-1, 0)]
    data = dataset(rows, label=datasets.ClassLabel(names=["Sad"]))
    assert [u.label for u in read(saved(data, tmp_path / "set")).values()] == ["sad"]
    assert "1 rows without an emotion are left out" in caplog.text


def test_ages_that_are_none_are_extra_and_ids_that_repeat_are_not_taken(tmp_path: Path) -> None:
    rows = [
        {"audio": sound(tmp_path, f"{n}.wav"), "label": "sad", "age": age, "id": "same"}
        for n, age in enumerate(("thirties", "-1", "30"))
    ]
    texts = dict.fromkeys(("label", "age", "id"), datasets.Value("string"))
    found = read(saved(dataset(rows, **texts), tmp_path / "set"))
    assert [u.age for u in found.values()] == [None, None, 30.0]
    assert found["1"].extra == {"age": "-1", "id": "same"}
    assert found["0"].extra == {"age": "thirties", "id": "same"}


def test_names_in_the_files_lead_to_no_other_folder(tmp_path: Path, cache: Path) -> None:
    root = saved(datasets.DatasetDict({"train": labelled(tmp_path, 1)}), tmp_path / "set/in")
    (root / "dataset_dict.json").write_text(json.dumps({"splits": ["../in/train"]}))
    (found,) = read(root).values()
    assert found.path.parent.parent == cache


def test_the_data_set_may_lie_below_the_root_but_must_be_one(tmp_path: Path) -> None:
    saved(labelled(tmp_path), tmp_path / "root/a/b")
    assert len(read(tmp_path / "root")) == 3
    saved(labelled(tmp_path), tmp_path / "root/c")
    with pytest.raises(UsageError, match=r"root holds 2 data sets: .*/c; give one of them as --ro"):
        read(tmp_path / "root")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset_info.json", b"{"),
        ("dataset_info.json", b"[]"),
        ("dataset_info.json", b'{"features": {"audio": {"_type": "Nothing"}}}'),
        ("dataset_info.json", None),
        ("state.json", b"{}"),
        ("data-00000-of-00001.arrow", b"ARROW"),
        ("data-00000-of-00001.arrow", None),
    ],
)
def test_damage_is_one_sentence(tmp_path: Path, name: str, content: bytes | None) -> None:
    root = saved(labelled(tmp_path), tmp_path / "set")
    (root / name).unlink() if content is None else (root / name).write_bytes(content)
    with pytest.raises(SerError, match=rf"{root} cannot be read as a saved data set \(.+\)$"):
        read(root)


def test_without_an_audio_column_the_remedy_is_named(tmp_path: Path) -> None:
    root = saved(labelled(tmp_path).remove_columns("audio"), tmp_path / "set")
    with pytest.raises(SerError, match="no column has the feature Audio; the columns are label; n"):
        read(root)


def test_of_several_audio_columns_one_must_be_called_audio(tmp_path: Path) -> None:
    data = labelled(tmp_path)
    both = data.add_column("noisy", data.with_format("arrow")["audio"].to_pylist())
    both = both.cast_column("noisy", datasets.Audio())
    assert len(read(saved(both, tmp_path / "one"))) == 3
    root = saved(both.rename_column("audio", "clean"), tmp_path / "two")
    with pytest.raises(SerError, match=r"2 columns hold audio \(clean, noisy\); rename the one"):
        read(root)


def test_without_a_label_column_the_columns_are_named(tmp_path: Path) -> None:
    root = saved(labelled(tmp_path).rename_column("label", "mood"), tmp_path / "set")
    with pytest.raises(SerError, match="no column 'emotion' or 'label' .*; the .* audio, mood$"):
        read(root)
    rows = [{"audio": sound(tmp_path, "a.wav"), "label": ["sad", "happy"]}]
    root = saved(dataset(rows, label=datasets.List(datasets.Value("string"))), tmp_path / "lists")
    with pytest.raises(SerError, match="'label' with one value a row"):
        read(root)


def test_votes_below_zero_are_named_with_their_row(tmp_path: Path) -> None:
    rows = [{"audio": sound(tmp_path, "a.wav"), "votes": {"sad": n}} for n in (1, -2)]
    data = dataset(rows, votes={"sad": datasets.Value("int8")})
    with pytest.raises(SerError, match="set row 1: votes for 'sad' are -2, not a number from 0"):
        read(saved(data, tmp_path / "set"))


def test_a_class_that_is_none_is_named_with_its_row(tmp_path: Path) -> None:
    root = saved(datasets.DatasetDict({"train": numbered(tmp_path)}), tmp_path / "set")
    path = root / "train/dataset_info.json"
    info = json.loads(path.read_text())
    info["features"]["label"] = {"_type": "ClassLabel", "names": ["sad"]}
    path.write_text(json.dumps(info))
    with pytest.raises(SerError, match="split train row 1: class 4 is none of the 1 that there"):
        read(root)


def numbered(tmp_path: Path) -> Any:
    rows = [{"audio": sound(tmp_path, f"{n}.wav"), "label": n} for n in (0, 4)]
    return dataset(rows, label=datasets.Value("int64"))


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path, cache: Path) -> None:
    root = saved(labelled(tmp_path), tmp_path / "set")
    cache.parent.write_text("a file, where the folder should be")
    with pytest.raises(SerError, match=r"cannot write .*/cache/ser-audio/.*; choose another"):
        read(root)


def test_without_the_library_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state.json").write_text("{}")
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name == "datasets":
            raise ModuleNotFoundError(f"No module named '{name}'")
        return real(name, package)

    monkeypatch.setattr("embedcache.corpora._library.import_module", missing)
    with pytest.raises(
        UsageError,
        match=r"^corpus huggingface needs the package datasets; install it with "
        r"`pip install 'ser-embedcache\[datasets\]'`$",
    ):
        read(tmp_path)
