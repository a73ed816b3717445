"""EMOVO: its grammar of names over the whole design, and the actors' folds."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from embedcache.corpora import read_corpus
from embedcache.corpora.emovo import AGES, EMOTIONS, SENTENCES, describe

# From EmoBox's label_dict.json and test lists for EMOVO.
WORDS = {
    "neu": "neutral",
    "dis": "disgust",
    "gio": "happy",
    "pau": "fear",
    "rab": "angry",
    "sor": "surprise",
    "tri": "sad",
}
FOLDS = ("f2", "m3", "m2", "f3", "f1", "m1")


def test_every_actor_speaks_every_sentence_with_every_emotion(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for emotion, actor, sentence in product(EMOTIONS, AGES, SENTENCES):
        (tmp_path / actor).mkdir(exist_ok=True)
        (tmp_path / actor / f"{emotion}-{actor}-{sentence}.wav").touch()
    found = read_corpus("emovo", tmp_path)
    assert len(found) == 588 and not caplog.records
    # EmoBox counts 84 clips of each emotion.
    assert set(Counter(u.label for u in found).values()) == {84}
    assert Counter(u.gender for u in found) == {"female": 294, "male": 294}
    assert len({u.text for u in found}) == len({u.sentence for u in found}) == 14
    for fold, actor in enumerate(FOLDS, start=1):
        tested = {u.speaker for u in found if u.folds[str(fold)] == "test"}
        assert tested == {f"emovo/{actor}"}
    (tmp_path / "m3" / "tri-m3-n5.wav").unlink()
    read_corpus("emovo", tmp_path)
    assert "emovo: 587 of 588 clips found" in caplog.text and "m3 (97 of 98)" in caplog.text


@pytest.mark.parametrize(("code", "label"), WORDS.items())
def test_codes_stand_for_the_words_of_emobox(code: str, label: str) -> None:
    told = describe(Path(f"downloads/emovo/f2/{code}-f2-b2.wav"))
    assert told and told.label == label
    assert (told.speaker, told.gender, told.age) == ("f2", "female", 23)


@pytest.mark.parametrize(
    "name", ["gio-f2", "gio-f0-b1", "gio-x1-b1", "gio-f1-c1", "gio_f1_b1", "gio-f1-b1-2"]
)
def test_other_names_are_left_out(name: str) -> None:
    assert describe(Path(f"{name}.wav")) is None
