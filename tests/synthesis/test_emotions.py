"""Emotions: directions in the space of a voice's prosody, which no clip leaves."""

from __future__ import annotations

from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.synthesis.emotions import (
    BETWEEN_CLIPS,
    BETWEEN_SPEAKERS,
    CUES,
    DIRECTIONS,
    EMOTIONS,
    HIGHEST,
    LOWEST,
    NEUTRAL,
    as_prosody,
    direction,
)
from embedcache.synthesis.prosody import Prosody


def test_the_cues_are_the_fields_of_prosody() -> None:
    assert tuple(field.name for field in fields(Prosody)) == CUES


def test_every_vector_has_every_cue() -> None:
    vectors = [*DIRECTIONS.values(), NEUTRAL, BETWEEN_CLIPS, BETWEEN_SPEAKERS, LOWEST, HIGHEST]
    assert {vector.shape for vector in vectors} == {(len(CUES),)}


@given(st.lists(st.floats(0, 1), min_size=len(CUES), max_size=len(CUES)))
def test_whatever_lies_within_the_limits_can_be_said(places: list[float]) -> None:
    cues = LOWEST + np.array(places) * (HIGHEST - LOWEST)
    assert list(asdict(as_prosody(cues)).values()) == cues.tolist()


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_neutral_voices_have_room_for_every_emotion(emotion: str) -> None:
    extreme = NEUTRAL + DIRECTIONS[emotion]
    assert (extreme > LOWEST).all() and (extreme < HIGHEST).all()


@pytest.mark.parametrize("first", EMOTIONS)
@pytest.mark.parametrize("second", EMOTIONS)
def test_a_mixture_lies_between_its_emotions_nearer_to_the_first(first: str, second: str) -> None:
    mixed = direction(first, second)
    to_first = np.linalg.norm(mixed - direction(first, None))
    to_second = np.linalg.norm(mixed - direction(second, None))
    whole = np.linalg.norm(direction(first, None) - direction(second, None))
    assert to_first + to_second == pytest.approx(whole)
    assert to_first < to_second or first == second
