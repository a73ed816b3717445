"""IEMOCAP: the whole release in its own layout, votes, and what is missing from it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from embedcache.corpora import label_sets, read_corpus
from embedcache.corpora.iemocap import _CODES, CLASSES, SESSIONS, describe
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
        assert utterance.label == _CODES[row["emo"]]
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
