"""`ser corpora check`: the numbers of a corpus whose content is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from embedcache.errors import UsageError
from heads.report.corpus import check_corpus
from tests.material import noise


@pytest.fixture
def manifest(tmp_path):
    """Six clips: one recording twice under two speakers, one silent, one that is not there."""
    lines = ["path,label,speaker,gender,age,session,language,votes,fold"]
    votes = ["sad=3", "sad=2;happy=1", "happy=3", "happy=1;sad=1", "sad=3", ""]
    labels = ["sad", "sad", "happy", "", "sad", "sad"]
    for n, (label, vote) in enumerate(zip(labels, votes, strict=True)):
        samples = noise(0.5 + 0.25 * n, n) if n != 4 else np.zeros(8000)
        if n < 5:
            soundfile.write(tmp_path / f"{n}.wav", samples, 16_000 if n else 8_000)
        gender = "female" if n % 2 else "male"
        lines.append(f"{n}.wav,{label},s{n % 3},{gender},{20 + n},1,de,{vote},{n % 2}")
    data, rate = soundfile.read(tmp_path / "1.wav", dtype="int16")
    soundfile.write(tmp_path / "2.wav", data, rate)
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def record(root):
    text, usable = check_corpus("manifest:mine", root, "json")
    return json.loads(text), usable


def test_every_number_is_that_of_the_clips(manifest):
    found, usable = record(manifest)
    assert not usable
    assert found["utterances"] == 6
    assert found["labels"]["sad"]["clips"] == 4
    assert found["labels"]["sad"]["speakers"] == 3
    assert found["labels"]["happy"] == {"clips": 1, "speakers": 1, "minutes": 0.75 / 60}
    assert found["labels"]["(no majority)"]["clips"] == 1
    assert found["speakers"] == {"mine/s0": 2, "mine/s1": 2, "mine/s2": 2}
    assert (found["gender"], found["language"]) == ({"female": 3, "male": 3}, {"de": 6})
    assert found["ages"] == [20, 25]
    assert found["rates_hz"] == {"16000": 3, "8000": 1}
    seconds = found["seconds"]
    assert seconds["total"] == pytest.approx(sum((1.0, 0.75, 0.75, 1.25)), abs=0.01)
    assert seconds["longest"] == pytest.approx(1.25)


def test_the_same_audio_under_two_speakers_is_told_with_what_differs(manifest):
    found, _ = record(manifest)
    assert found["same_audio"] == [
        {"ids": ["1", "2"], "speakers": ["mine/s1", "mine/s2"], "labels": ["happy", "sad"]}
    ]
    text, _ = check_corpus("manifest:mine", manifest, "table")
    assert "1 = 2, speakers differ: mine/s1, mine/s2, labels differ: happy, sad" in text


def test_what_would_be_skipped_is_told_with_its_reason(manifest):
    found, _ = record(manifest)
    (silent, gone) = sorted(found["unusable"].items(), key=lambda item: item[1])
    assert silent == ("silent: all 8000 samples are 0", ["4"])
    assert gone == ("cannot be read (No such file or directory)", ["5"])


def test_votes_and_folds_are_told(manifest):
    found, _ = record(manifest)
    assert found["votes"]["utterances"] == 5
    assert found["votes"]["tied"] == 1
    assert found["votes"]["per_utterance"] == pytest.approx(14 / 5)
    assert found["votes"]["majority_share"] == pytest.approx((1 + 2 / 3 + 1 + 1 / 2 + 1) / 5)
    third = -np.log2(1 / 3) / 3 - 2 * np.log2(2 / 3) / 3
    assert found["votes"]["entropy_bits"] == pytest.approx((third + 1) / 5)
    assert found["folds"]["0"] == {
        "train": 3, "val": 0, "test": 3, "test_speakers": 3, "speakers_shared": 3
    }  # fmt: skip
    text, _ = check_corpus("manifest:mine", manifest, "table")
    assert "train 3, test 3; 3 of 3 test speakers also train" in text


def test_a_sound_corpus_without_anything_known_is_short(tmp_path):
    for n, label in enumerate(("sad", "happy")):
        (tmp_path / label).mkdir()
        soundfile.write(tmp_path / label / f"{n}.wav", noise(1, n), 16_000)
    text, usable = check_corpus("folder", tmp_path, "table")
    assert usable
    assert text.endswith("unusable    none")
    assert "2 utterances without a speaker" in text
    for name in ("votes", "ages", "gender", "fold 1", "same audio"):
        assert name not in text


def test_the_real_urdu_is_confounded_and_says_so(urdu: Path):
    """All angry clips are four men's: its README's own finding."""
    text, usable = check_corpus("urdu", urdu, "json")
    found = json.loads(text)
    assert found["labels"]["angry"]["speakers"] == 4
    assert len(found["speakers"]) == 29 and usable


def test_an_unknown_format_is_said(tmp_path):
    with pytest.raises(UsageError, match="unknown --format 'xml'.*json, table"):
        check_corpus("folder", tmp_path, "xml")
