"""BAVED: its grammar of names beyond the contract."""

from __future__ import annotations

from pathlib import Path

from embedcache.corpora.baved import describe


def test_names_tell_word_level_and_speaker() -> None:
    told = {
        (word, level): describe(Path(f"{word}/47-m-20-{word}-{level}-159.wav"))
        for word in range(7)
        for level in range(3)
    }
    for (word, level), utterance in told.items():
        assert utterance
        # The README: 0 is low, 1 the everyday way, 2 high.
        assert (utterance.sentence, utterance.label) == (
            str(word),
            {0: "low", 1: "normal", 2: "high"}[level],
        )
        assert (utterance.speaker, utterance.age, utterance.gender) == ("47", 20.0, "male")
    assert len({u.text for u in told.values() if u}) == 7
