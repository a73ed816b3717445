"""The real corpora, against the counts in their own documentation."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from embedcache.corpora import read_corpus
from tests.material import real_data


def test_ravdess_is_whole(ravdess: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read_corpus("ravdess", ravdess)
    assert len(found) == 1440
    assert Counter(u.label for u in found) == {
        "neutral": 96,
        **dict.fromkeys(("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 192),
    }
    assert set(Counter(u.speaker for u in found).values()) == {60}
    assert Counter(u.gender for u in found) == {"female": 720, "male": 720}
    assert Counter(u.extra["intensity"] for u in found) == {"normal": 768, "strong": 672}
    assert not caplog.records


def test_ravdess_names_the_actors_that_are_missing(caplog: pytest.LogCaptureFixture) -> None:
    found = read_corpus("ravdess", real_data("ravdess-original"))
    assert len(found) == 120
    (record,) = caplog.records
    assert "120 of 1440" in record.getMessage()
    assert "02 (0 of 60), 03" in record.getMessage() and " 20 (" not in record.getMessage()


def test_ravdess_agrees_with_emobox(ravdess: Path) -> None:
    folder = real_data("emobox") / "ravdess"
    lines = (folder / "ravdess.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    theirs = {r["key"].removeprefix("ravdess-"): r["emo"].lower() for r in rows}
    assert {u.id: u.label for u in read_corpus("ravdess", ravdess)} == theirs


def test_ravdess_official_folds_are_emobox_folds(ravdess: Path) -> None:
    found = read_corpus("ravdess", ravdess)
    for number in range(1, 7):
        file = f"emobox/ravdess/fold_{number}/ravdess_test_fold_{number}.jsonl"
        text = (real_data("emobox").parent / file).read_text(encoding="utf-8")
        keys = [json.loads(line)["key"] for line in text.splitlines()]
        tested = {u.id for u in found if u.folds[str(number)] == "test"}
        assert {key.removeprefix("ravdess-") for key in keys} == tested


def test_urdu_is_whole(urdu: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read_corpus("urdu", urdu)
    assert Counter(u.label for u in found) == dict.fromkeys(
        ("angry", "happy", "neutral", "sad"), 100
    )
    assert Counter(u.gender for u in found) == {"male": 344, "female": 56}
    assert len({u.speaker for u in found}) == 29
    assert all(u.path.parent.name.lower() == u.label for u in found)
    assert not caplog.records
