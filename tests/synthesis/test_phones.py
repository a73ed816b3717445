"""Phones: sounds that a mouth can make, and transcripts that are read as written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.errors import UsageError
from embedcache.synthesis.phones import CONSONANTS, VOWELS, Syllable, read_syllables

syllables = st.builds(
    Syllable,
    onset=st.sampled_from(sorted(CONSONANTS)),
    vowel=st.sampled_from(sorted(VOWELS)),
    stress=st.sampled_from([0.3, 1.0]),
    pause=st.sampled_from([0.0, 0.5]),
)


def transcript(syllable: Syllable) -> str:
    pause = ", " if syllable.pause else ""
    return f"{pause}{syllable.onset}-{syllable.vowel}{'*' if syllable.stress == 1 else ''}"


@given(st.lists(syllables))
def test_a_transcript_is_read_as_written(said: list[Syllable]) -> None:
    assert read_syllables(" ".join(map(transcript, said))) == said


@pytest.mark.parametrize("name", VOWELS)
def test_formants_are_in_order(name: str) -> None:
    assert list(VOWELS[name]) == sorted(VOWELS[name])


@pytest.mark.parametrize("name", CONSONANTS)
def test_consonants_leave_time_for_the_vowel(name: str) -> None:
    consonant = CONSONANTS[name]
    noise_share = consonant.frication.share if consonant.frication else 0.0
    assert 0 < consonant.closure_share + noise_share < 0.5


@pytest.mark.parametrize(
    ("onset", "vowel", "message"),
    [
        ("sj", "aa", "unknown consonant 'sj': did you mean 's"),
        ("s", "ea", "unknown vowel 'ea': there are: aa, ae, ah"),
    ],
)
def test_what_no_mouth_can_say(onset: str, vowel: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Syllable(onset, vowel)
