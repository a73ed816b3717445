"""MELD: tables joined to clips, what is missing on either side, and damaged tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedcache.corpora import read_corpus
from embedcache.corpora.meld import CLASSES, SPLITS, parse
from embedcache.errors import SerError

HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"


def table(root: Path, split: str, *lines: str, head: str = HEAD) -> Path:
    path = root / f"{split}_sent_emo.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def clips(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_counts_of_splits_and_classes_agree() -> None:
    assert sum(SPLITS.values()) == sum(CLASSES.values()) == 13708


def test_the_same_name_in_each_split_gives_three_utterances(tmp_path: Path) -> None:
    for split in SPLITS:
        table(tmp_path, split, f"1,In {split}.,Joey,joy,positive,0,0")
    clips(tmp_path, *(f"{split}/dia0_utt0.wav" for split in SPLITS))
    found = read_corpus("meld", tmp_path)
    assert [(u.id, u.text) for u in found] == [
        (f"{split}/dia0_utt0", f"In {split}.") for split in SPLITS
    ]
    assert [u.folds["official"] for u in found] == ["train", "val", "test"]
    assert {u.speaker for u in found} == {"meld/Joey"}


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train/train_splits", "train"),
        ("TRAIN_SPLITS", "train"),
        ("train_splits_wav", "train"),
        ("dev_splits_complete", "dev"),
        ("dev_audio", "dev"),
        ("output_repeated_splits_test", "test"),
        ("train/test", "test"),
        ("test/16k", "test"),
    ],
)
def test_the_nearest_folder_names_the_split(tmp_path: Path, folder: str, split: str) -> None:
    for name in SPLITS:
        table(tmp_path, name, "1,Hi.,Joey,joy,positive,3,4")
    clips(tmp_path, f"{folder}/dia3_utt4.flac")
    assert [u.id for u in parse(tmp_path)] == [f"{split}/dia3_utt4"]


def test_the_root_may_be_the_folder_of_one_split(tmp_path: Path) -> None:
    table(tmp_path / "dev", "dev", "1,Hi.,Joey,joy,positive,3,4")
    clips(tmp_path, "dev/dia3_utt4.wav")
    assert [u.id for u in parse(tmp_path / "dev")] == ["dev/dia3_utt4"]


def test_utterances_without_sound_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table(tmp_path, "dev", "1,A,Joey,joy,positive,0,0", "2,B,Joey,joy,positive,0,1")
    clips(tmp_path, "dev/dia0_utt0.wav")
    assert len(parse(tmp_path)) == 1
    assert "left out: 1 utterances without an audio file: dev/dia0_utt1" in caplog.text


def test_what_the_release_itself_lacks_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    table(tmp_path, "dev", "1,A,Joey,joy,positive,0,0", "2,B,Joey,neutral,neutral,110,7")
    clips(tmp_path, "dev/dia0_utt0.wav")
    parse(tmp_path)
    (record,) = [r for r in caplog.records if "dev/dia110_utt7" in r.getMessage()]
    assert record.levelname == "INFO"


def test_clips_that_no_table_names_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table(tmp_path, "test", "1,A,Joey,joy,positive,0,0")
    clips(
        tmp_path, "test/dia0_utt0.wav", "test/final_videos_testdia0_utt0.wav", "test/dia8_utt0.wav"
    )
    (utterance,) = parse(tmp_path)
    assert utterance.path.name == "dia0_utt0.wav"
    assert "2 audio files that no table names: test/dia8_utt0.wav, test/final_" in caplog.text


def test_a_missing_table_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table(tmp_path, "test", "1,A,Joey,joy,positive,0,0")
    clips(tmp_path, "test/dia0_utt0.wav")
    parse(tmp_path)
    assert "train (0 of 9989)" in caplog.text and "test (1 of 2610)" in caplog.text


def test_old_tables_in_a_windows_code_page_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, "test")
    path.write_bytes(HEAD.encode() + "1,It\u2019s me…,Joey,joy,positive,0,0\r\n".encode("cp1252"))
    clips(tmp_path, "test/dia0_utt0.wav")
    assert [u.text for u in parse(tmp_path)] == ["It\u2019s me…"]


def test_a_line_break_inside_a_text_breaks_no_row(tmp_path: Path) -> None:
    table(tmp_path, "test", '1,"One\u2028two\nthree",Joey,joy,positive,0,0')
    clips(tmp_path, "test/dia0_utt0.wav")
    assert [u.text for u in parse(tmp_path)] == ["One\u2028two\nthree"]


@pytest.mark.parametrize(
    ("head", "lines", "message"),
    [
        ("Utterance,Speaker\n", ["a,b"], r"train_sent_emo\.csv line 1: no column 'Emotion'"),
        ("", [], "line 1: no column 'Utterance'"),
        (HEAD, ["1,A,Joey,joy,positive,0"], "line 2: 6 fields, but the first line names 7"),
        (HEAD, ["1,A,Joey,joy,positive,0,x"], "Utterance_ID is 'x', not two whole numbers"),
        (HEAD, ["1,A,Joey,glee,positive,0,0"], "the emotion is 'glee', not one of anger, disgust"),
        (HEAD, ["1,A,Joey,joy,positive,0,0"] * 2, "line 3: train/dia0_utt0 stands in line 2"),
        (HEAD, ['1,"A"B,Joey,joy,positive,0,0'], "line 2: .*fetch the table anew from github"),
    ],
)
def test_damaged_tables_are_refused_with_their_line(
    tmp_path: Path, head: str, lines: list[str], message: str
) -> None:
    table(tmp_path, "train", *lines, head=head)
    clips(tmp_path, "train/dia0_utt0.wav")
    with pytest.raises(SerError, match=message):
        parse(tmp_path)
