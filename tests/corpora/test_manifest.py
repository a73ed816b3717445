from __future__ import annotations

from pathlib import Path

import pytest

from embedcache.corpora import read_corpus
from embedcache.errors import SerError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("path,emotion\na.wav,sad\n", 1, "no column 'label'"),
        ("file,label\na.wav,sad\n", 1, "no column 'path'"),
        ("path,label,label\na.wav,sad,sad\n", 1, "a column stands there twice"),
        ("path,label\na.wav,sad\nb.wav\n", 3, "1 fields, but the first line names 2"),
        ("path,label\n\n,sad\n", 3, "the path is empty"),
        ("path,label\na\0.wav,sad\n", 2, "the path 'a.x00.wav' holds a NUL character"),
        ("path,label\na.wav,\n", 2, "neither a label nor votes"),
        ("path,label,age\na.wav,sad,old\n", 2, "age is 'old'"),
        ("path,label,age\na.wav,sad,1987\n", 2, "age is '1987', not a number from 0 to 150"),
        ("path,label,age\na.wav,sad,-1\n", 2, "age is '-1', not a number from 0 to 150"),
        ("path,label,start_s\na.wav,sad,-1\n", 2, "start_s is '-1'"),
        ("path,label,start_s\na.wav,sad,1e308\n", 2, "start_s is '1e308'"),
        ("path,label\n.,sad\n", 2, "the path is empty"),
        ("path label\na.wav sad\n", 1, "no column 'path'; the columns are path label"),
        ("path,label,valence\na.wav,sad,low\n", 2, "valence is 'low', not a number from -1e"),
        ("path,label,self_votes\na.wav,sad,sad\n", 2, "votes are 'sad'"),
        ("path,label\na.wav,sad\nb.wav,sad\na.wav,sad\n", 4, "the id 'a' stands in line 2 already"),
        ("path,label,id\na.wav,sad,x\nb.wav,sad,x\n", 3, "the id 'x' stands in line 2 already"),
        ("", 1, "no column 'path'"),
        ("path,label,end_s\na.wav,sad,nan\n", 2, "end_s is 'nan'"),
        ("path,label,start_s,end_s\na.wav,sad,2,1\n", 2, "end_s 1 is not after start_s 2"),
        ("path,label,votes\na.wav,sad,happy\n", 2, "votes are 'happy'"),
        ("path,label,votes\na.wav,sad,happy=x\n", 2, "votes are 'happy=x'"),
        ("path,label,votes\na.wav,sad,a=1;a=2\n", 2, "votes are 'a=1;a=2'"),
        ("path,label,votes\na.wav,sad,a=0\n", 2, "votes 'a=0' sum to zero"),
        ('path,label\na.wav,"sad\n', 2, "no valid CSV"),
        ("path,label,fold\na.wav,sad,b\n", 2, "the fold is 'b', neither a whole number"),
        ("path,label,fold\na.wav,sad,1.5\n", 2, "the fold is '1.5', neither a whole number"),
        ("path,label,fold\na.wav,sad,-1\n", 2, "the fold is '-1', neither a whole number"),
        (
            "path,label,fold\na.wav,sad,\nb.wav,sad,1\nc.wav,sad,test\n",
            4,
            "the fold is 'test', and '1' in a line before; give all clips numbers",
        ),
        (
            "path,label,fold\na.wav,sad,dev\nb.wav,sad,1\n",
            3,
            "the fold is '1', and 'val' in a line before",
        ),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    with pytest.raises(SerError, match=rf"list\.csv line {line}: .*{what}"):
        read_corpus("manifest", write(tmp_path, text))


def test_bytes_that_are_no_text_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"\xef\xbb\xbfpath,label\na.wav,sad\n\xff\xfe\x00,sad\n")
    with pytest.raises(SerError, match=r"list\.csv line 3: no UTF-8 text .*; save it as UTF-8"):
        read_corpus("manifest", path)


def test_a_byte_order_mark_and_other_column_orders_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufefflabel,Path\nSad,a.wav\n")
    (found,) = read_corpus("manifest", path)
    assert (found.label, found.path) == ("sad", tmp_path / "a.wav")


def test_a_file_that_is_not_there_is_still_listed(tmp_path: Path) -> None:
    (found,) = read_corpus("manifest", write(tmp_path, "path,label\ngone.wav,sad\n"))
    assert not found.path.exists()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_are_separated_as_the_first_line_says(tmp_path: Path, separator: str) -> None:
    """A spreadsheet writes semicolons where a comma is the decimal sign; votes are then quoted."""
    lines = [["path", "label", "votes", "text"], ["a.wav", "sad", '"sad=2;happy=1"', '"no, not"']]
    path = write(tmp_path, "".join(f"{separator.join(cells)}\n" for cells in lines))
    (found,) = read_corpus("manifest", path)
    assert (found.votes, found.text) == ({"sad": 2.0, "happy": 1.0}, "no, not")


def with_folds(tmp_path: Path, *folds: str) -> list[dict[str, str]]:
    lines = "".join(f"{n}.wav,sad,{fold}\n" for n, fold in enumerate(folds))
    path = write(tmp_path, f"path,label,fold\n{lines}")
    return [u.folds for u in read_corpus("manifest", path)]


def test_numbers_are_the_folds_that_test_a_clip(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = with_folds(tmp_path, "1", "10", "01", "2")
    assert list(found[0]) == ["1", "2", "10"]
    assert found == [
        {"1": "test", "2": "train", "10": "train"},
        {"1": "train", "2": "train", "10": "test"},
        {"1": "test", "2": "train", "10": "train"},
        {"1": "train", "2": "test", "10": "train"},
    ]
    assert not caplog.records


def test_parts_of_a_split_are_one_published_fold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ("train", "Val", "valid", "validation", "DEV", "test")
    roles = [roles["official"] for roles in with_folds(tmp_path, *words)]
    assert roles == ["train", "val", "val", "val", "val", "test"]
    assert not caplog.records


@pytest.mark.parametrize("fold", ["1", "test"])
def test_clips_without_a_fold_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fold: str
) -> None:
    assert [bool(folds) for folds in with_folds(tmp_path, "", fold, "")] == [False, True, False]
    assert "2 of 3 clips have no fold and are in no part of the published folds: 0, 2" in (
        caplog.text
    )


def test_an_empty_fold_column_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert with_folds(tmp_path, "", "") == [{}, {}]
    assert not caplog.records


def test_every_known_column_is_a_field_and_others_are_kept(tmp_path: Path) -> None:
    columns = {"path": "a.wav", "label": "sad", "self_votes": "sad=1", "arousal": "1.5",
               "dominance": "-2", "session": "3", "language": "de", "sentence": "s1",
               "text": "so", "race": "Asian"}  # fmt: skip
    (found,) = read_corpus(
        "manifest", write(tmp_path, f"{','.join(columns)}\n{','.join(columns.values())}\n")
    )
    assert found.self_votes == {"sad": 1.0}
    assert found.dimensions == {"arousal": 1.5, "dominance": -2.0}
    assert (found.session, found.language, found.sentence, found.text) == ("3", "de", "s1", "so")
    assert found.extra == {"race": "Asian"}
