"""Databases that audformat itself has written are read whole; wrong ones are one sentence."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from embedcache.corpora import read_corpus
from embedcache.errors import SerError, UsageError
from embedcache.utterance import Utterance

audformat = pytest.importorskip("audformat")
pd = pytest.importorskip("pandas")

# audformat calls pandas in ways that pandas is going to drop.
pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:audformat\..*")

FILES = ["audio/a.wav", "audio/b.wav", "audio/c.wav"]


def add(database: Any, table: str, columns: dict[str, tuple[Any, ...]], **index: Any) -> None:
    """A table of `columns`: name to (scheme, rater, values)."""
    files = index.pop("files", FILES)
    split = index.pop("split", None)
    rows = (
        audformat.segmented_index(files, index["starts"], index["ends"])
        if index
        else audformat.filewise_index(files)
    )
    database[table] = audformat.Table(rows, split_id=split)
    for name, (scheme, rater, values) in columns.items():
        database[table][name] = audformat.Column(scheme_id=scheme, rater_id=rater)
        database[table][name].set(values)


@pytest.fixture
def database() -> Any:
    database = audformat.Database("mine", source="here", languages=["de"])
    for rater in ("r1", "r2", "r3"):
        database.raters[rater] = audformat.Rater()
    database.raters["gold_standard"] = audformat.Rater(audformat.define.RaterType.VOTE)
    database.raters["model"] = audformat.Rater(audformat.define.RaterType.MACHINE)
    database.schemes["emotion"] = audformat.Scheme(labels=["Anger", "joy", "fear"])
    database.schemes["arousal"] = audformat.Scheme("float")
    return database


def saved(database: Any, folder: Path, storage_format: str = "csv", audio: bool = True) -> Path:
    database.save(str(folder), storage_format=storage_format)
    for name in FILES if audio else ():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"RIFF")
    return folder


def read(root: Path) -> dict[str, Utterance]:
    return {utterance.id: utterance for utterance in read_corpus("audformat:mine", root)}


@pytest.mark.parametrize("storage_format", ["csv", "parquet"])
def test_every_field_is_read(database: Any, tmp_path: Path, storage_format: str) -> None:
    table = pd.Index([3, 8], name="speaker", dtype="Int64")
    database["speaker"] = audformat.MiscTable(table)
    for name, kind, values in (("age", "int", [31, None]), ("sex", "str", ["female", "male"])):
        database.schemes[name] = audformat.Scheme(kind)
        database["speaker"][name] = audformat.Column(scheme_id=name)
        database["speaker"][name].set(values)
    database.schemes["speaker"] = audformat.Scheme("int", labels="speaker")
    database.schemes["transcription"] = audformat.Scheme(labels={"s1": "Der Lappen."})
    database.schemes["language"] = audformat.Scheme("str")
    database.schemes["duration"] = audformat.Scheme("time")
    database.schemes["confidence"] = audformat.Scheme("float", minimum=0, maximum=1)
    database.schemes["loud"] = audformat.Scheme("bool")
    add(
        database,
        "emotion",
        {
            "emotion": ("emotion", "gold_standard", ["Anger", "joy", "fear"]),
            "arousal": ("arousal", "gold_standard", [0.5, None, -1.0]),
            "emotion.confidence": ("confidence", "gold_standard", [0.9, 0.8, 0.7]),
        },
    )
    add(
        database,
        "files",
        {
            "speaker": ("speaker", None, [3, 8, None]),
            "transcription": ("transcription", None, ["s1", None, None]),
            "language": ("language", None, [None, "eng", "Klingon talk"]),
            "duration": ("duration", None, pd.to_timedelta([1.5, 2, None], unit="s")),
            "loud": ("loud", None, [True, None, False]),
        },
    )
    root = saved(database, tmp_path, storage_format)
    found = read(root)
    assert found["a"] == Utterance(
        id="a",
        path=root / "audio/a.wav",
        speaker="mine/3",
        gender="female",
        age=31.0,
        language="de",
        sentence="s1",
        text="Der Lappen.",
        label="anger",
        dimensions={"arousal": 0.5},
        extra={"emotion.confidence": "0.9", "duration": "1.5", "loud": "true"},
    )
    assert (found["b"].gender, found["b"].age, found["b"].language) == ("male", None, "en")
    assert found["b"].dimensions == {} and found["b"].text is None
    assert found["c"].language == "Klingon talk" and found["c"].speaker is None
    assert found["c"].dimensions == {"arousal": -1.0}


def test_raters_vote_and_make_the_label_where_nobody_else_does(
    database: Any, tmp_path: Path
) -> None:
    words = {
        "r1": ["joy", "Anger", None],
        "r2": ["joy", "joy", None],
        "r3": ["fear", None, None],
        "model": ["fear", "fear", "fear"],
    }
    levels = {"r1": [1.0, 2.0, 3.0], "r2": [2.0, 4.0, None], "model": [9.0, 9.0, 9.0]}
    add(database, "emotion", {r: ("emotion", r, values) for r, values in words.items()})
    add(database, "arousal", {r: ("arousal", r, values) for r, values in levels.items()})
    found = read(saved(database, tmp_path))
    assert found["a"].votes == {"joy": 2.0, "fear": 1.0} and found["a"].label == "joy"
    assert found["b"].votes == {"anger": 1.0, "joy": 1.0} and found["b"].label is None
    assert [u.dimensions for u in found.values()] == [{"arousal": 1.5}, {"arousal": 3.0}]
    assert found["a"].extra == {"emotion.model": "fear", "arousal.model": "9"}
    assert set(found) == {"a", "b"}, "nobody but a machine has judged c"


def test_the_gold_standard_comes_before_all_else(
    database: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(database, "acted", {"emotion": ("emotion", None, ["joy", "joy", "joy"])})
    add(
        database,
        "emotion",
        {r: ("emotion", r, ["joy", "joy", "fear"]) for r in ("r1", "r2")},
    )
    levels = {r: ("arousal", r, [1.0, 2.0, 3.0]) for r in ("r1", "r2")}
    add(database, "arousal", levels)
    add(database, "arousal.gold_standard", {"arousal": ("arousal", None, [7.0, 8.0, None])})
    add(database, "emotion.gold_standard", {"x": ("emotion", "r1", ["fear", None, "joy"])})
    found = read(saved(database, tmp_path))
    assert [u.label for u in found.values()] == ["fear", None, "joy"]
    assert found["a"].extra == {"acted.emotion": "joy"} and found["c"].extra == {}
    assert [u.dimensions["arousal"] for u in found.values()] == [7.0, 8.0, 3.0]
    assert found["b"].votes == {"joy": 2.0} and found["b"].extra == {"acted.emotion": "joy"}
    assert "2 clips have another emotion in another table, the first: a;" in caplog.text


def test_a_second_column_beside_the_emotion_is_no_vote(database: Any, tmp_path: Path) -> None:
    add(
        database,
        "emotion",
        {"emotion": ("emotion", None, ["joy"] * 3), "second": ("emotion", None, ["fear"] * 3)},
    )
    found = read(saved(database, tmp_path))
    assert found["a"].label == "joy" and found["a"].votes == {}
    assert found["a"].extra == {"emotion.second": "fear"}


def test_numbers_are_emotions_by_what_their_scheme_says(database: Any, tmp_path: Path) -> None:
    database.schemes["emotion"] = audformat.Scheme(labels={0: "Neutral", 1: {"name": "joy"}, 2: {}})
    add(database, "any", {"emotion": ("emotion", None, [0, 1, 2])})
    assert [u.label for u in read(saved(database, tmp_path)).values()] == ["neutral", "joy", "2"]


def test_segments_know_their_bounds_and_their_files(database: Any, tmp_path: Path) -> None:
    add(
        database,
        "emotion",
        {"emotion": ("emotion", None, ["joy", "fear", "joy", "Anger"])},
        files=[*FILES[:2], FILES[1], FILES[2]],
        starts=[0, 0, "1.25s", "3600.000123s"],
        ends=[pd.NaT, "1.25s", pd.NaT, "3601s"],
    )
    add(database, "files", {"room": (None, None, ["hall", "hut", None])})
    add(
        database,
        "segments",
        {"topic": (None, None, ["rain", "snow"])},
        files=[FILES[1], FILES[1]],
        starts=["1.25s", "0.5s"],
        ends=[pd.NaT, "1s"],
    )
    found = read(saved(database, tmp_path))
    bounds = {name: (u.start_s, u.end_s) for name, u in found.items()}
    assert bounds == {
        "a": (0.0, None),
        "b@0-1.25": (0.0, 1.25),
        "b@1.25-": (1.25, None),
        "c@3600.000123-3601": (3600.000123, 3601.0),
    }
    assert found["b@0-1.25"].extra == {"room": "hut"}
    assert found["b@1.25-"].extra == {"room": "hut", "topic": "rain"}


def test_splits_are_the_published_fold(
    database: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for split in ("train", "dev", "test"):
        database.splits[f"my-{split}"] = audformat.Split(split)
        files = {"train": [*FILES, "audio/d.wav"], "dev": FILES[1:2], "test": FILES[2:]}[split]
        files = files if split != "train" else [FILES[0], "audio/d.wav"]
        add(
            database,
            f"emotion.{split}",
            {"emotion": ("emotion", None, ["joy"] * len(files))},
            files=files,
            split=f"my-{split}",
        )
    found = read(saved(database, tmp_path))
    assert {u.id: u.folds["official"] for u in found.values()} == {
        "a": "train",
        "b": "val",
        "c": "test",
        "d": "train",
    }
    add(
        database,
        "emotion.more",
        {"emotion": ("emotion", None, ["joy"])},
        files=["audio/d.wav"],
        split="my-test",
    )
    assert read(saved(database, tmp_path))["d"].folds == {}
    assert "1 clips belong to several splits, the first: audio/d.wav;" in caplog.text


def test_a_lone_training_split_is_no_published_fold(database: Any, tmp_path: Path) -> None:
    database.splits["train"] = audformat.Split("train")
    add(database, "emotion", {"emotion": ("emotion", None, ["joy"] * 3)}, split="train")
    assert all(u.folds == {} for u in read(saved(database, tmp_path)).values())


def test_files_that_are_not_there_are_counted_named_and_kept(
    database: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(database, "emotion", {"emotion": ("emotion", None, ["joy"] * 3)})
    root = saved(database, tmp_path)
    (root / FILES[1]).unlink()
    assert set(read(root)) == {"a", "b", "c"}
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert record.getMessage() == f"audformat: 1 of 3 audio files are not there: {root / FILES[1]}"


def test_paths_may_lead_out_of_the_database(database: Any, tmp_path: Path) -> None:
    files = [str(tmp_path / "far/x.wav"), "../far/y.wav", "near/y.wav"]
    add(database, "emotion", {"emotion": ("emotion", None, ["joy"] * 3)}, files=files)
    root = saved(database, tmp_path / "root")
    found = read(root)
    assert [u.path for u in found.values()] == [
        tmp_path / "far/x.wav",
        root / files[1],
        root / files[2],
    ]
    assert len(found) == 3


def test_the_database_may_lie_below_the_root_but_must_be_one(database: Any, tmp_path: Path) -> None:
    add(database, "emotion", {"emotion": ("emotion", None, ["joy"] * 3)})
    saved(database, tmp_path / "1.0.0" / "ab12")
    assert set(read(tmp_path)) == {"a", "b", "c"}
    saved(database, tmp_path / "1.1.0" / "ab12")
    with pytest.raises(UsageError, match=r"holds 2 data sets: .*1\.0\.0.*; give one of them as"):
        read(tmp_path)


def test_pickles_are_never_read(database: Any, tmp_path: Path) -> None:
    add(database, "emotion", {"emotion": ("emotion", None, ["joy"] * 3)})
    root, mark = saved(database, tmp_path), tmp_path / "mark"
    (root / "db.emotion.pkl").write_bytes(f"cos\nmkdir\n(S'{mark}'\ntR.".encode())
    assert set(read(root)) == {"a", "b", "c"}, "the CSV beside it is read"
    assert not mark.exists()
    (root / "db.emotion.csv").unlink()
    with pytest.raises(SerError, match=r"db\.emotion\.pkl is a pickle, which can run any code"):
        read(root)


def test_a_header_that_would_run_code_is_refused(database: Any, tmp_path: Path) -> None:
    add(database, "emotion", {"emotion": ("emotion", None, ["joy"] * 3)})
    root, mark = saved(database, tmp_path), tmp_path / "mark"
    with (root / "db.yaml").open("a") as file:
        file.write(f"note: !!python/object/apply:os.mkdir ['{mark}']\n")
    with pytest.raises(SerError, match=r"db\.yaml is no plain YAML \(.*python/object/apply"):
        read(root)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("db.yaml", b"name: [", r"db\.yaml is no plain YAML \(.*line 2, column 1"),
        ("db.yaml", b"\xff\xfe", r"db\.yaml is no plain YAML \(.*decode"),
        ("db.yaml", b"mine: {source: here, usage: [}\n", r"db\.yaml is no plain YAML"),
        ("db.yaml", b"mine: {source: here}\n", "is no header of an audformat database: no usage"),
        ("db.yaml", b"- a\n", "is no header of an audformat database: no name, source, usage"),
        ("db.yaml", b"name: mine\n", "is no header of an audformat database: no source, usage"),
        ("db.emotion.csv", b"file,emotion\n", "no utterance found under"),
        ("db.emotion.csv", b"\xff\xfe\x00", r"is no database that audformat reads \("),
        ("db.emotion.csv", None, r"reads \(No file found for table .*/root/db\.emotion"),
    ],
)
def test_damage_is_one_sentence(
    database: Any, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    add(database, "emotion", {"emotion": ("emotion", None, ["joy"] * 3)})
    root = saved(database, tmp_path / "root")
    (root / name).unlink() if content is None else (root / name).write_bytes(content)
    with pytest.raises(SerError, match=message):
        read(root)


def test_a_database_without_emotions_names_its_columns(database: Any, tmp_path: Path) -> None:
    add(
        database,
        "files",
        {
            "room": (None, None, ["hall"] * 3),
            "emotion": ("arousal", None, [0.1] * 3),
            "guess": ("emotion", "model", ["joy"] * 3),
        },
    )
    with pytest.raises(
        SerError,
        match=r"db\.yaml: no table has a column of emotions.*are files\.room, files\.emotion, "
        r"files\.guess$",
    ):
        read(saved(database, tmp_path))


def test_without_the_library_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "db.yaml").write_text("name: mine\n")
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name == "audformat":
            raise ModuleNotFoundError(f"No module named '{name}'")
        return real(name, package)

    monkeypatch.setattr("embedcache.corpora._library.import_module", missing)
    with pytest.raises(
        UsageError,
        match=r"^corpus audformat needs the package audformat; install it with "
        r"`pip install 'ser-embedcache\[audformat\]'`$",
    ):
        read(tmp_path)
