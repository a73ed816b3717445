"""IEMOCAP: the whole release in its own layout, votes, and what is missing from it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from embedcache.corpora import label_sets, read_corpus
from embedcache.corpora._emoevaluation import CODES
from embedcache.corpora.iemocap import CLASSES, SESSIONS, describe
from embedcache.errors import SerError
from embedcache.utterance import Utterance
from tests.material import real_data, write_iemocap


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_iemocap(tmp_path_factory.mktemp("iemocap"))


def write(root: Path, *lines: str, name: str = "Ses01F_impro01_F000", code: str = "neu") -> Path:
    """A release of one utterance with some evaluators' lines."""
    dialog = name.rpartition("_")[0]
    text = root / "Session1" / "dialog" / "EmoEvaluation" / f"{dialog}.txt"
    audio = root / "Session1" / "sentences" / "wav" / dialog / f"{name}.wav"
    for path in (text, audio):
        path.parent.mkdir(parents=True, exist_ok=True)
    audio.touch()
    summary = f"[6.2901 - 8.2357]\t{name}\t{code}\t[2.5000, 2.5000, 2.5000]"
    text.write_text("\n".join(["% header", "", summary, *lines, ""]), encoding="utf-8")
    return root


def only(root: Path) -> Utterance:
    (found,) = read_corpus("iemocap", root)
    return found


def test_the_whole_release_is_read_and_nothing_is_missing(
    release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = read_corpus("iemocap", release)
    assert len(found) == 10_039
    assert Counter(u.session for u in found) == SESSIONS
    assert Counter(u.label or "no majority" for u in found) == CLASSES
    assert Counter(u.folds["3"] for u in found if u.session == "3") == {"test": SESSIONS["3"]}
    assert len({u.speaker for u in found}) == 10
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "count"), [("iemocap-4", 5531), ("iemocap-5", 7380), ("iemocap-9", 7529)]
)
def test_label_sets_keep_the_published_number_of_utterances(
    release: Path, name: str, count: int
) -> None:
    """5,531 for four classes is the field's standard protocol (and EmoBox's list)."""
    classes = label_sets("iemocap")[name]["classes"]
    found = [u for u in read_corpus("iemocap", release) if u.label in classes]
    assert len(found) == count
    assert len(set(classes.values())) == int(name[-1])


def test_four_classes_have_the_published_counts(release: Path) -> None:
    classes = label_sets("iemocap")["iemocap-4"]["classes"]
    found = Counter(classes.get(u.label) for u in read_corpus("iemocap", release))
    assert [found[c] for c in ("angry", "happy", "sad", "neutral")] == [1103, 1636, 1084, 1708]


def test_speakers_of_emobox_list_by_the_last_field(release: Path) -> None:
    """The letter after the session is the marker's side: it differs for 2,750 utterances."""
    text = (real_data("emobox") / "iemocap" / "iemocap.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    told = [describe(Path(row["wav"])) for row in rows]
    assert None not in told
    assert Counter(u.speaker for u in told if u) == {
        "1F": 528, "1M": 557, "2F": 481, "2M": 542, "3F": 522,
        "3M": 629, "4F": 528, "4M": 503, "5F": 590, "5M": 651,
    }  # fmt: skip
    assert sum(u.extra["dialog"][5] != (u.speaker or "")[1] for u in told if u) == 2750
    assert len({u.extra["dialog"] for u in told if u}) == 151


def test_emobox_list_in_the_release_layout_is_read_whole(tmp_path: Path) -> None:
    """All 5,531 names of the published list, letters in dialogues and scripts included."""
    text = (real_data("emobox") / "iemocap" / "iemocap.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    write_iemocap(tmp_path, [(row["key"].removeprefix("iemocap-"), row["emo"]) for row in rows])
    by_id = {u.id: u for u in read_corpus("iemocap", tmp_path)}
    for row in rows:
        utterance = by_id[row["key"].removeprefix("iemocap-")]
        assert utterance.label == CODES[row["emo"]]
        assert utterance.path == tmp_path / row["wav"].removeprefix("downloads/iemocap/")


def test_several_tags_of_one_evaluator_share_one_vote(tmp_path: Path) -> None:
    found = only(
        write(
            tmp_path,
            "C-E1:\tAnger; Frustration; Sadness;\t()",
            "C-E2:\tSadness;\t(slow, tired; quiet)",
            "C-E5:\tNeutral state;\t()",
            "C-F1:\tHappiness; Excited;\t()",
        )
    )
    third = pytest.approx(1 / 3)
    assert found.votes == {
        "angry": third,
        "frustrated": third,
        "sad": pytest.approx(4 / 3),
        "neutral": 1,
    }
    assert sum(found.votes.values()) == pytest.approx(3)  # as many as there are evaluators
    assert found.self_votes == {"happy": 0.5, "excited": 0.5}
    assert found.extra["annotations"] == (
        "E1=angry+frustrated+sad; E2=sad; E5=neutral; F1=happy+excited"
    )


@pytest.mark.parametrize("other", ["Other;\t(puzzled, a bit)", "Other; puzzled;\t()", "Other;\t()"])
def test_free_text_after_other_is_no_category(
    tmp_path: Path, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert only(write(tmp_path, f"C-E1:\t{other}", "C-E2:\tFear;\t()")).votes == {
        "other": 1.0,
        "fear": 1.0,
    }
    assert "understood" not in caplog.text


@pytest.mark.parametrize(
    "line", ["A-M1:\tval 2; act 4; dom  ;\t()", "A-M1:\tval 2; act 4; dom ; ()"]
)
def test_a_missing_digit_is_a_missing_value(tmp_path: Path, line: str) -> None:
    extra = only(write(tmp_path, line)).extra
    assert (extra["self_valence"], extra["self_arousal"]) == ("2", "4")
    assert "self_dominance" not in extra


def test_dimensions_are_the_evaluators_mean_and_not_the_actors(tmp_path: Path) -> None:
    found = only(
        write(tmp_path, "A-E1:\tval 1; act 1; dom  1;\t()", "A-F1:\tval 5; act 5; dom  5;\t()")
    )
    assert found.dimensions == {"valence": 2.5, "arousal": 2.5, "dominance": 2.5}


def test_unknown_lines_are_named_and_not_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = only(write(tmp_path, "C-E1:\tBored;\t()", "C-X1:\tAnger;\t()", "C-E2:\tAnger;\t()"))
    assert found.votes == {"angry": 1.0}
    assert "Ses01F_impro01.txt line 4 is not understood and not counted: C-E1" in caplog.text
    assert "line 5 is not understood" in caplog.text
    assert found.extra["annotations"] == "E2=angry"


@pytest.mark.parametrize("line", ["Anger; Annoyed;", "Annoyed; Anger; Bored;"])
def test_a_line_that_is_understood_in_part_says_what_was_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    found = only(write(tmp_path, f"C-E1:\t{line}\t()", "C-E2:\tSadness;\t()"))
    assert found.votes == {"angry": 1.0, "sad": 1.0}
    assert found.extra["annotations"] == "E1=angry; E2=sad"
    unknown = "; ".join(w for w in ("annoyed", "bored") if w in line.lower())
    assert f"line 4 is counted as angry; '{unknown}' is not understood and not counted: C-E1" in (
        caplog.text
    )


@pytest.mark.parametrize(
    "name", ["Ses06F_impro01_F000", "Ses01F_impro01_X000", "Ses01F_other01_F000"]
)
def test_a_summary_of_a_name_of_another_grammar_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(SerError, match=r"line 3 is no summary like"):
        read_corpus("iemocap", write(tmp_path, name=name))


@pytest.mark.parametrize("code", ["abc", "NEU", "ne"])
def test_a_summary_of_another_grammar_is_an_error_with_its_line(tmp_path: Path, code: str) -> None:
    with pytest.raises(SerError, match=r"Ses01F_impro01\.txt line 3 is no summary like"):
        read_corpus("iemocap", write(tmp_path, code=code))


def test_binary_leftovers_and_lists_of_single_evaluators_are_not_read(tmp_path: Path) -> None:
    root = write(tmp_path, "C-E1:\tAnger;\t()")
    folder = root / "Session1" / "dialog" / "EmoEvaluation"
    (folder / "._Ses01F_impro01.txt").write_bytes(b"\x00\x05\x16\x07\xff[")
    (folder / "Categorical").mkdir()
    (folder / "Categorical" / "Ses01F_impro01_e1_cat.txt").write_text("[no summary\n")
    assert only(root).votes == {"angry": 1.0}


TEXT = Path("Session1", "dialog", "EmoEvaluation", "Ses01F_impro01.txt")


def second(root: Path, old: str = "", new: str = "") -> Path:
    """The annotation text once more, in another folder, with something of it replaced."""
    copy = root / "again" / TEXT
    copy.parent.mkdir(parents=True)
    copy.write_text((root / TEXT).read_text().replace(old, new), newline="\r\n")
    return copy


def test_an_equal_text_in_another_folder_is_read_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = second(write(tmp_path, "C-E1:\tAnger;\t()"))
    assert only(tmp_path).votes == {"angry": 1.0}
    told = f"left out: 1 annotation texts that are equal to others: {copy.relative_to(tmp_path)}"
    assert caplog.text.count(told) == 1
    assert "without an audio file" not in caplog.text


@pytest.mark.parametrize(("old", "new"), [("\tneu\t", "\tang\t"), ("Anger", "Sadness")])
def test_two_texts_of_one_dialogue_that_differ_are_an_error(
    tmp_path: Path, old: str, new: str
) -> None:
    copy = second(write(tmp_path, "C-E1:\tAnger;\t()"), old, new)
    with pytest.raises(SerError, match=rf"{tmp_path / TEXT} and {copy} are of one dialogue and di"):
        read_corpus("iemocap", tmp_path)


def test_of_copies_of_audio_one_is_read_and_the_others_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = only(write(tmp_path)).path
    for copy in ("a.flac", "again/deep/down/in/folders/Ses01F_impro01_F000.wav"):
        other = tmp_path / copy
        other.parent.mkdir(parents=True, exist_ok=True)
        other.with_stem(path.stem).touch()
    caplog.clear()
    assert only(tmp_path).path == path
    told = "left out: 2 copies of audio files that are read: Ses01F_impro01_F000.flac, again/deep/"
    assert told in caplog.text
    path.unlink()
    assert only(tmp_path).path.is_relative_to(tmp_path / "again")  # wav before flac


def block(code: str = "neu", rest: str = "[2.5000, 2.5000, 2.5000]") -> str:
    return f"[6.2901 - 8.2357]\tSes01F_impro01_F000\t{code}\t{rest}"


def test_an_utterance_with_two_codes_is_an_error(tmp_path: Path) -> None:
    root = write(tmp_path, "C-E1:\tAnger;\t()", "", block("ang"))
    with pytest.raises(
        SerError,
        match=r"impro01\.txt line 3 and .*impro01\.txt line 6 are both of 'Ses01F_impro01_F000' "
        "and differ: neu and ang; keep the right one",
    ):
        read_corpus("iemocap", root)


def test_an_utterance_twice_with_one_code_is_read_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write(tmp_path, "C-E1:\tAnger;\t()", "", block(), "C-E1:\tSadness;\t()")
    assert only(root).votes == {"angry": 1.0}
    assert (
        "left out: 1 annotations of utterances that have one with the same code before: "
        "Ses01F_impro01_F000 (Ses01F_impro01.txt line 6)"
    ) in caplog.text
    assert "without an audio file" not in caplog.text


@pytest.mark.parametrize("bounds", ["8.2357 - 6.2901", "6.2 - 6.2"])
def test_a_summary_that_ends_before_it_begins_is_an_error(tmp_path: Path, bounds: str) -> None:
    root = write(tmp_path, block().replace("6.2901 - 8.2357", bounds).replace("F000", "F001"))
    begin, end = bounds.split(" - ")
    with pytest.raises(
        SerError,
        match=rf"impro01\.txt line 4: 'Ses01F_impro01_F001' begins at {begin} s and ends at {end}",
    ):
        read_corpus("iemocap", root)


def test_dimensions_beyond_the_scale_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write(tmp_path)
    text = (root / TEXT).read_text()
    (root / TEXT).write_text(text.replace(text[text.index("[2.5") :], "[25.0000, 5.5000, 0.4000]"))
    assert only(root).dimensions == {"arousal": 5.5}
    assert (
        "line 3: valence 25.0000 and dominance 0.4000 of 'Ses01F_impro01_F000' lies outside the "
        "scale of 0.5 to 5.5 and is left out"
    ) in caplog.text


def test_what_an_actor_gives_beyond_the_scale_is_not_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extra = only(write(tmp_path, "A-F1:\tval 9; act 4; dom  3;\t()")).extra
    assert "self_valence" not in extra
    assert "line 4 is not understood and not counted: A-F1" in caplog.text


@pytest.mark.parametrize("line", ["c-E3:\tAnger;\t()", " C-E3:\tAnger;\t()", "C-e3 : anger; ()"])
def test_evaluators_lines_are_counted_in_any_case_and_with_blanks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    found = only(write(tmp_path, line))
    assert (found.votes, found.extra["annotations"]) == ({"angry": 1.0}, "E3=angry")
    assert "not counted" not in caplog.text


@pytest.mark.parametrize("line", ["CE3:\tAnger;\t()", "C_E3:\tAnger;\t()", "Anger"])
def test_lines_of_no_grammar_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    assert not only(write(tmp_path, line)).votes
    assert f"line 4 is not understood and not counted: {line}" in caplog.text


def test_an_evaluators_line_before_every_summary_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write(tmp_path)
    (root / TEXT).write_text("C-E1:\tAnger;\t()\n" + (root / TEXT).read_text())
    assert not only(root).votes
    assert "line 1 stands before every summary and is not counted: C-E1" in caplog.text


def test_a_summary_after_blanks_or_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / TEXT).write_text(f" {block('ang')}\n", encoding="utf-8-sig")
    assert only(root).label == "angry"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_a_text_without_a_summary_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, encoding: str
) -> None:
    write(tmp_path, "C-E1:\tAnger;\t()", name="Ses01F_impro02_F000")
    root = write(tmp_path, "C-E1:\tAnger;\t()")
    (root / TEXT).write_text((root / TEXT).read_text(), encoding=encoding)
    assert [u.id for u in read_corpus("iemocap", root)] == ["Ses01F_impro02_F000"]
    assert caplog.messages[0] == (
        f"iemocap: left out: 1 annotation texts that hold no summary line in UTF-8: {TEXT}"
    )


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("*.wav", "1819 utterances are annotated, and none of their audio files is there"),
        ("*.txt", "1819 audio files of utterances are there, and no annotation of any"),
    ],
)
def test_annotations_or_audio_alone_are_an_error_with_counts(
    tmp_path: Path, gone: str, words: str
) -> None:
    write_iemocap(tmp_path)
    root = tmp_path / "Session1"
    for path in root.rglob(gone):
        path.unlink()
    with pytest.raises(
        SerError, match=rf"Session1: {words}; iemocap looks for Session1/dialog/Emo"
    ):
        read_corpus("iemocap", root)


def test_annotations_and_audio_of_different_utterances_are_an_error(tmp_path: Path) -> None:
    root = write(tmp_path)
    audio = only(root).path
    audio.rename(audio.with_stem("Ses01F_impro01_F001"))
    with pytest.raises(
        SerError, match="1 utterances are annotated, and the 1 audio files there are those of other"
    ):
        read_corpus("iemocap", root)


def test_what_is_not_there_is_counted_and_named(
    release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_iemocap(tmp_path)
    audio = sorted((tmp_path / "Session2" / "sentences").rglob("*.wav"))
    for path in audio[:7]:
        path.unlink()
    evaluation = sorted((tmp_path / "Session4" / "dialog" / "EmoEvaluation").iterdir())[0]
    evaluation.unlink()
    found = read_corpus("iemocap", tmp_path)
    messages = [record.getMessage() for record in caplog.records]
    assert f"7 annotated utterances without an audio file: {audio[0].stem}" in messages[0]
    assert "and 2 more" in messages[0]
    assert "audio files without an annotation: Ses04" in messages[1]
    counts = Counter(u.session for u in found)
    assert f"session 2 (1804 of 1811), session 4 ({counts['4']} of 2103)" in messages[2]
    assert counts["4"] < 2103
    assert "neutral (" in messages[3]
