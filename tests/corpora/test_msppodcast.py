"""MSP-Podcast: tables of different releases, votes, folds, and damaged tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedcache.corpora import read_corpus
from embedcache.corpora.msppodcast import parse
from embedcache.errors import SerError

COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
HEAD = ",".join(COLUMNS)
FIRST = "MSP-PODCAST_0001_0001.wav,H,5,6,4,7,Female,Train"


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def clips(root: Path, *names: str, folder: str = "Audios") -> None:
    for name in names:
        write(root / folder / f"{name}.wav")


def release(root: Path, *lines: str, name: str = "labels_consensus.csv", head: str = HEAD) -> Path:
    """Labels, and audio for every line of them."""
    write(root / "Labels" / name, head, *lines)
    clips(root, *(line.partition(".")[0] for line in lines))
    return root


@pytest.mark.parametrize("name", ["labels_consensus.csv", "labels_concensus.csv"])
def test_both_spellings_of_the_table_are_read(tmp_path: Path, name: str) -> None:
    (utterance,) = parse(release(tmp_path, FIRST, name=name))
    assert utterance.dimensions == {"arousal": 5.0, "valence": 6.0, "dominance": 4.0}


def test_json_tables_say_the_same_as_csv_tables(tmp_path: Path) -> None:
    details = [("W1", "Happy"), ("W2", "Sad"), ("W3", "Happy")]
    one = release(tmp_path / "csv", FIRST)
    write(
        one / "Labels" / "labels_detailed.csv",
        "FileName,Workers,EmoClass_Major,EmoClass_Second",
        *(f"MSP-PODCAST_0001_0001.wav,{worker},{word},x" for worker, word in details),
    )
    two = tmp_path / "json"
    file, *values = FIRST.split(",")
    record = {file: dict(zip(COLUMNS[1:], values, strict=True))}
    write(two / "Labels" / "labels_consensus.json", json.dumps(record))
    judged = {file: {worker: {"EmoClass_Major": word} for worker, word in details}}
    write(two / "Labels" / "labels_detailed.json", json.dumps(judged))
    clips(two, file.partition(".")[0])
    (first,), (second,) = parse(one), parse(two)
    assert first.votes == second.votes == {"happy": 2.0, "sad": 1.0}
    assert {**first.to_json(), "path": ""} == {**second.to_json(), "path": ""}


def test_votes_of_both_kinds_of_detailed_tables_agree(tmp_path: Path) -> None:
    file = FIRST.partition(",")[0]
    words = ("Happy", "Other-Proud; of it", "Other", "Neutral")
    found = []
    for head, lines in (
        ("FileName,EmoClass_Major", [f'{file},"{word}"' for word in words]),
        ("FileName,EmoDetail", [f'{file},"W1; {word}; a,b; A:1; V:2; D:3;"' for word in words]),
    ):
        root = release(tmp_path / head, FIRST)
        write(root / "Labels" / "labels_detailed.csv", head, *lines)
        found += [u.votes for u in parse(root)]
    assert found == [{"happy": 1.0, "neutral": 1.0, "other": 2.0}] * 2


def test_an_unknown_emotion_of_a_listener_counts_as_other_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = release(tmp_path, FIRST)
    write(root / "Labels" / "labels_detailed.csv", "FileName,EmoClass_Major", f"{FIRST[:25]},Glee")
    assert [u.votes for u in parse(root)] == [{"other": 1.0}]
    assert "1 votes name an unknown emotion and count as other: glee" in caplog.text


def test_without_detailed_labels_votes_are_empty_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert [u.votes for u in parse(release(tmp_path, FIRST))] == [{}]
    assert "no labels_detailed beside" in caplog.text


def test_each_test_set_is_a_fold_with_the_same_training_part(tmp_path: Path) -> None:
    splits = ("Train", "Development", "Validation", "Test1", "Test3")
    lines = [f"MSP-PODCAST_0001_000{n}.wav,N,4,4,4,{n},Male,{s}" for n, s in enumerate(splits)]
    found = read_corpus("msppodcast", release(tmp_path, *lines))
    assert [u.folds for u in found] == [
        {"test1": "train", "test3": "train"},
        {"test1": "val", "test3": "val"},
        {"test1": "val", "test3": "val"},
        {"test1": "test"},
        {"test3": "test"},
    ]


def test_a_release_without_test_labels_has_no_folds(tmp_path: Path) -> None:
    (utterance,) = parse(release(tmp_path, FIRST))
    assert utterance.folds == {} and utterance.extra["split"] == "Train"


def test_no_agreement_is_no_label_and_unknown_speakers_are_none(tmp_path: Path) -> None:
    line = "MSP-PODCAST_0001_0001.wav,X,5,,nan,Unknown,Unknown,Train"
    (utterance,) = parse(release(tmp_path, line))
    assert (utterance.label, utterance.speaker, utterance.gender) == (None, None, None)
    assert utterance.dimensions == {"arousal": 5.0}


def test_further_columns_are_kept(tmp_path: Path) -> None:
    root = release(tmp_path, f"{FIRST},12.5", head=f"{HEAD},Start_Time")
    assert [u.extra["Start_Time"] for u in parse(root)] == ["12.5"]


def test_the_table_and_the_audio_nearest_to_the_root_are_read(tmp_path: Path) -> None:
    root = release(tmp_path, FIRST)
    old = "Previous_releases_information/v1.6"
    write(root / old / "label" / "labels_concensus.csv", HEAD, FIRST.replace(",H,", ",S,"))
    clips(root, "MSP-PODCAST_0001_0001", folder=f"A/{old}")
    (utterance,) = parse(root)
    assert utterance.label == "happy" and utterance.path.parent.name == "Audios"


def test_what_is_missing_on_either_side_is_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = release(tmp_path, FIRST)
    write(root / "Labels" / "labels_consensus.csv", HEAD, FIRST, FIRST.replace("_0001.", "_0002."))
    clips(root, "MSP-PODCAST_0005_0001")
    assert len(parse(root)) == 1
    assert "1 labelled clips without an audio file: MSP-PODCAST_0001_0002" in caplog.text
    assert "1 audio files without a label: MSP-PODCAST_0005_0001" in caplog.text


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([FIRST.replace(",H,", ",Q,")], r"line 2: EmoClass is 'Q', not one of A, H, S"),
        ([FIRST.replace("Train", "Dev")], "line 2: Split_Set is 'Dev', not Train, Development"),
        ([FIRST.replace(",5,", ",8,")], "EmoAct is '8', not a number from 1 to 7"),
        ([FIRST.replace(",6,", ",six,")], "EmoVal is 'six', not a number from 1 to 7"),
        ([FIRST.removesuffix(",Train")], "line 2: 7 fields, but the first line names 8"),
        ([f"{FIRST},surplus"], "line 2: 9 fields, but the first line names 8"),
        ([f'{FIRST},"{"x" * 200_000}'], "line 2: no valid CSV"),
        ([FIRST, FIRST], "names 'MSP-PODCAST_0001_0001' twice; take the table of one release"),
        ([f",{FIRST.partition(',')[2]}"], "line 2: no clip's name in the column 'FileName'"),
    ],
)
def test_damaged_consensus_tables_are_refused(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(SerError, match=message):
        parse(release(tmp_path, *lines))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels_detailed.csv", "FileName,Emo\nx.wav,Happy", "line 2: no value in a column 'Emo"),
        (
            "labels_detailed.csv",
            "FileName,EmoDetail\nx.wav,Happy",
            "EmoDetail is 'Happy', not",
        ),
        ("labels_detailed.json", "[1]", "is no JSON object of clips"),
        ("labels_detailed.json", "{", "is no JSON object of clips"),
        ("labels_detailed.json", '{"x.wav": {"W1": {}}}', "clip 'x.wav': no value in a column"),
        ("labels_consensus.json", '{"x.wav": {}}', None),
    ],
)
def test_damaged_detailed_tables_are_refused(
    tmp_path: Path, name: str, text: str, message: str | None
) -> None:
    root = release(tmp_path, FIRST)
    write(root / "Labels" / name, text)
    if message is None:  # a damaged twin of a table that is not read
        assert len(parse(root)) == 1
    else:
        with pytest.raises(SerError, match=message):
            parse(root)


def test_a_consensus_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    head = HEAD.replace("Split_Set", "Part")
    with pytest.raises(SerError, match="line 1: no column 'Split_Set'; the columns are FileName,"):
        parse(release(tmp_path, FIRST, head=head))


def test_a_json_clip_without_its_values_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "Labels" / "labels_consensus.json", '{"x.wav": {"EmoClass": "H"}}')
    with pytest.raises(SerError, match="clip 'x.wav': no value in a column 'Split_Set'"):
        parse(tmp_path)


def test_listeners_words_in_an_older_encoding_are_read(tmp_path: Path) -> None:
    root = release(tmp_path, FIRST)
    line = f"{FIRST.partition(',')[0]},Other-na\u00efve\n"
    text = f"FileName,EmoClass_Major\n{line}".encode("cp1252")
    (root / "Labels" / "labels_detailed.csv").write_bytes(text)
    assert [u.votes for u in parse(root)] == [{"other": 1.0}]
