"""CREMA-D: its real tables, clip by clip, and tables that are missing or damaged."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from embedcache.corpora import read_corpus
from embedcache.corpora.cremad import CLIPS, EXAMPLE, LABELS, describe, parse
from embedcache.errors import SerError
from embedcache.utterance import Utterance
from embedcache.votes import parse_votes
from tests.material import real_data

CODES = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), LABELS, strict=True))
LETTERS = dict(zip(LABELS, "ADFHNS", strict=True))
VOTES, ACTORS = "processedResults/tabulatedVotes.csv", "VideoDemographics.csv"
ACTORS_TEXT = (
    '"ActorID","Age","Sex","Race","Ethnicity"\n'
    '1001,51,"Male","Caucasian","Not Hispanic"\n'
    '1091,29,"Female","Asian","Not Hispanic"\n'
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the real tables and an empty file for every clip."""
    tables = real_data("cremad-meta")
    root = tmp_path_factory.mktemp("CREMA-D")
    for name in ("SentenceFilenames.csv", ACTORS, "processedResults"):
        (root / name).symlink_to(tables / name)
    (root / "AudioWAV").mkdir()
    for row in table(tables / "SentenceFilenames.csv"):
        (root / "AudioWAV" / f"{row['Filename']}.wav").touch()
    return root


@pytest.fixture(scope="module")
def found(whole: Path) -> dict[str, Utterance]:
    return {u.id: u for u in parse(whole)}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout with two clips and both tables."""
    root = tmp_path / "CREMA-D"
    for path, text in {**EXAMPLE.text, ACTORS: ACTORS_TEXT}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for path in EXAMPLE.audio:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def winners(votes: dict[str, float]) -> str:
    """The emotions with most votes, as the corpus's tables write them."""
    most = max(votes.values())
    return ":".join(LETTERS[x] for x in LABELS if votes.get(x) == most)


def test_every_clip_that_emobox_lists_has_the_label_of_the_list() -> None:
    text = (real_data("emobox") / "cremad" / "cremad.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    told = [describe(Path(row["wav"])) for row in rows]
    assert len(told) == 7442
    assert [u and u.label for u in told] == [CODES[row["emo"]] for row in rows]
    assert Counter(u.speaker for u in told if u) == CLIPS


def test_the_real_corpus_is_whole(whole: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read_corpus("cremad", whole)
    assert not caplog.records
    assert len(found) == 7442
    actors = {u.speaker: u for u in found}
    assert Counter(u.gender for u in actors.values()) == {"female": 43, "male": 48}
    ages = [u.age for u in actors.values() if u.age]
    assert (min(ages), max(ages), len(ages)) == (20, 74, 91)
    assert Counter(u.extra["intensity"] for u in found) == {
        "low": 455,
        "medium": 455,
        "high": 455,
        "unspecified": 6077,
    }
    assert Counter(u.sentence for u in found)["IEO"] == 1456


def test_actors_are_those_of_the_real_table(found: dict[str, Utterance]) -> None:
    rows = {row["ActorID"]: row for row in table(real_data("cremad-meta") / ACTORS)}
    for clip in found.values():
        row = rows[clip.id[:4]]
        assert (clip.speaker, clip.age) == (row["ActorID"], float(row["Age"]))
        assert (clip.extra["race"], clip.extra["ethnicity"]) == (row["Race"], row["Ethnicity"])
        assert clip.gender == row["Sex"].lower()


def test_votes_of_each_kind_are_those_of_the_real_tables(found: dict[str, Utterance]) -> None:
    """Row by row, by what the corpus's own summary says of voice, face, and both."""
    tables = real_data("cremad-meta") / "processedResults"
    summary = {row["FileName"]: row for row in table(tables / "summaryTable.csv")}
    rows = {(row[""][0], row["fileName"]): row for row in table(tables / "tabulatedVotes.csv")}
    assert len(rows) == 3 * len(found)
    for name, clip in found.items():
        kinds = {
            "Voice": ("1", clip.votes),
            "Face": ("2", parse_votes(clip.extra["votes_face"])),
            "MultiModal": ("3", parse_votes(clip.extra["votes_audio_visual"])),
        }
        for kind, (digit, votes) in kinds.items():
            row = rows[digit, name]
            assert sum(votes.values()) == float(row["numResponses"])
            assert {LETTERS[x]: n for x, n in votes.items()} == {
                letter: float(row[letter]) for letter in LETTERS.values() if row[letter] != "0"
            }
            assert winners(votes) == row["emoVote"] == summary[name][f"{kind}Vote"]
            assert list(votes) == [x for x in LABELS if x in votes]


def test_by_voice_most_clips_are_not_heard_as_acted(found: dict[str, Utterance]) -> None:
    heard = [winners(u.votes) for u in found.values()]
    assert sum(":" in letters for letters in heard) == 644
    acted = [LETTERS[str(u.label)] for u in found.values()]
    assert sum(a == h for a, h in zip(acted, heard, strict=True)) == 3099
    assert sum(sum(u.votes.values()) for u in found.values()) == 68568


def test_the_tables_are_found_beside_the_audio_folder(
    whole: Path, found: dict[str, Utterance], tmp_path: Path
) -> None:
    assert {u.id: u for u in parse(whole / "AudioWAV")} == found
    (tmp_path / "link").symlink_to(whole / "AudioWAV")
    linked = parse(tmp_path / "link")
    assert [u.votes for u in linked] == [u.votes for u in found.values()]


def test_the_working_folder_may_be_the_audio_folder(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small / "AudioWAV")
    assert [u.votes for u in parse(Path())] == [u.votes for u in parse(small)] != [{}, {}]


def test_columns_of_both_tables_stand_side_by_side(
    small: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, last = parse(small)
    assert (first.gender, first.age) == ("male", 51.0)
    assert first.extra == {
        "intensity": "low",
        "race": "Caucasian",
        "ethnicity": "Not Hispanic",
        "votes_face": "angry=1;happy=8",
        "votes_audio_visual": "happy=9;neutral=1",
    }
    assert first.votes == {"happy": 3.0, "neutral": 6.0}
    assert "votes_face" not in last.extra
    assert len(caplog.records) == 1 and "2 of 7442 clips" in caplog.text


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ((ACTORS,), "no VideoDemographics.csv in"),
        ((VOTES,), "no tabulatedVotes.csv in"),
        ((ACTORS, VOTES), "no VideoDemographics.csv and no tabulatedVotes.csv in"),
    ],
)
def test_without_tables_one_warning_names_the_columns(
    small: Path, caplog: pytest.LogCaptureFixture, gone: tuple[str, ...], named: str
) -> None:
    for name in gone:
        (small / name).unlink()
    found = parse(small)
    assert [u.label for u in found] == ["happy", "neutral"]
    (text,) = [r.getMessage() for r in caplog.records if "stay empty" in r.getMessage()]
    assert named in text and "github.com/CheyneyComputerScience/CREMA-D" in text
    assert ("gender, age, race and ethnicity" in text) == (ACTORS in gone)
    assert ("votes, votes_face and votes_audio_visual" in text) == (VOTES in gone)
    assert all((u.gender is None) == (ACTORS in gone) for u in found)
    assert all((u.votes == {}) == (VOTES in gone) for u in found)


def test_clips_and_actors_without_a_row_are_named(
    small: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (small / "AudioWAV" / "1005_TIE_SAD_XX.wav").touch()
    found = parse(small)
    assert (found[1].id, found[1].votes, found[1].gender) == ("1005_TIE_SAD_XX", {}, None)
    assert "VideoDemographics.csv has no row for 1 actors: 1005" in caplog.text
    assert "tabulatedVotes.csv has no row for 1 clips: 1005_TIE_SAD_XX" in caplog.text


def test_mp3_copies_are_read_only_where_there_is_nothing_else(
    small: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (small / "AudioMP3").mkdir()
    for path in (small / "AudioWAV").iterdir():
        (small / "AudioMP3" / f"{path.stem}.mp3").touch()
    assert {(u.id, u.path.suffix) for u in parse(small)} == {
        ("1001_IEO_HAP_LO", ".wav"),
        ("1091_WSI_NEU_XX", ".wav"),
    }
    assert "left out: 2 copies of clips that are read: AudioMP3/1001_IEO_HAP_LO.mp3" in caplog.text
    copies = parse(small / "AudioMP3")
    assert [u.path.suffix for u in copies] == [".mp3", ".mp3"]
    assert copies[0].votes == {"happy": 3.0, "neutral": 6.0}


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (VOTES, '"fileName"', '"file"', r"tabulatedVotes.csv line 1: no column 'fileName'"),
        (VOTES, '"",', '"row",', r"tabulatedVotes.csv line 1: no column ''"),
        (VOTES, '"100002"', '"400002"', r"line 2: the row's number is '400002', not like 100001"),
        (VOTES, '"200002"', '"1e5"', r"line 3: the row's number is '1e5'"),
        (VOTES, ",3,6,0,", ",3,-6,0,", r"line 2: the votes 0, 0, 0, 3, -6, 0 are not all whole"),
        (VOTES, '"1001_IEO_HAP_LO",9', '"1001_IEO_HAP_LO",', r"line 2: .* are not all whole"),
        (VOTES, ",3,6,0,", ",3,5,0,", r"line 2: the votes 0, 0, 0, 3, 5, 0 do not sum to 9"),
        (VOTES, '"200002"', '"100002"', r"line 3: clip 1001_IEO_HAP_LO has a row 1xxxxx already"),
        (VOTES, '"1091_WSI_NEU_XX",7', '"1091_WS', r"line 5: no valid CSV"),
        (VOTES, ',"1091_WSI_NEU_XX",7', "", r"line 5: 7 fields, but the first line names 9"),
        (ACTORS, '"Sex"', '"Gender"', r"VideoDemographics.csv line 1: no column 'Sex'"),
        (ACTORS, "1001,51", "1001,old", r"line 2: the age is 'old', not a whole number"),
        (ACTORS, '"Female"', '"F"', r"line 3: the sex is 'F', not Female or Male"),
        (ACTORS, "1091,29", "1001,29", r"line 3: actor 1001 has a row already"),
    ],
)
def test_a_damaged_table_is_one_sentence_with_file_and_line(
    small: Path, file: str, old: str, new: str, message: str
) -> None:
    text = (small / file).read_text(encoding="utf-8")
    assert old in text
    (small / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SerError, match=f"{message}.*; fetch the table anew from github.com/"):
        parse(small)


def test_a_table_that_is_no_text_is_one_sentence(small: Path) -> None:
    (small / ACTORS).write_bytes(ACTORS_TEXT.encode("utf-16"))
    with pytest.raises(SerError, match=r"VideoDemographics.csv line 1: no UTF-8 text \("):
        parse(small)


def test_an_empty_table_is_one_sentence(small: Path) -> None:
    (small / VOTES).write_text("")
    with pytest.raises(SerError, match=r"tabulatedVotes.csv line 1: no column ''"):
        parse(small)


@pytest.mark.parametrize(
    "name",
    ["1092_IEO_HAP_LO", "1000_IEO_HAP_LO", "1001_IEO_HAP_ZZ", "1001_IEO_JOY_LO", "1001_IEO_HAP"],
)
def test_other_names_are_left_out(name: str) -> None:
    assert describe(Path(f"{name}.wav")) is None
