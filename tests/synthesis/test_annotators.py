"""Annotators: each votes once, hears what is there, and is unsure where it is unclear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.synthesis import annotators
from embedcache.synthesis.actors import Take, cast_actors, plan_takes
from embedcache.synthesis.annotators import count_votes
from embedcache.synthesis.design import Config
from embedcache.synthesis.emotions import DIRECTIONS, EMOTIONS

CONFIG = Config(annotators=300)
TAKES = [take for actor in cast_actors(CONFIG)[:2] for take in plan_takes(actor, CONFIG)]


def with_emotion(cues: np.ndarray) -> Take:
    """A take whose cues lie so far from its actor's neutral voice."""
    return replace(TAKES[0], cues=TAKES[0].actor.neutral + cues)


@settings(deadline=None)
@given(st.sampled_from(TAKES), st.integers(1, 20))
def test_each_annotator_has_one_vote_whoever_else_votes(take: Take, count: int) -> None:
    before = np.array(count_votes(take, Config(annotators=count)))
    after = np.array(count_votes(take, Config(annotators=count + 1)))
    assert before.sum() == count
    assert sorted(after - before) == [0, 0, 0, 1]


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_what_is_strongly_acted_is_heard(emotion: str) -> None:
    votes = count_votes(with_emotion(DIRECTIONS[emotion]), CONFIG)
    assert EMOTIONS[int(np.argmax(votes))] == emotion


def test_the_stronger_the_acting_the_more_hear_it() -> None:
    counts = [
        count_votes(with_emotion(strength * DIRECTIONS["sad"]), CONFIG)[EMOTIONS.index("sad")]
        for strength in (0.0, 0.5, 1.0, 1.5)
    ]
    assert counts == sorted(counts) and counts[-1] > 2 * counts[0]


def test_a_clip_half_way_divides_them() -> None:
    half_way = (DIRECTIONS["angry"] + DIRECTIONS["sad"]) / 2
    clear, unclear = (
        max(count_votes(with_emotion(cues), CONFIG)) for cues in (DIRECTIONS["angry"], half_way)
    )
    assert unclear < 0.8 * clear


@settings(deadline=None)
@given(st.sampled_from(TAKES), st.floats(-5, 5))
def test_they_judge_by_the_difference_from_the_voices_own_neutral(take: Take, by: float) -> None:
    shifted = replace(take, actor=replace(take.actor, neutral=take.actor.neutral + by))
    shifted = replace(shifted, cues=take.cues + by)
    few = Config(annotators=8)
    assert count_votes(shifted, few) == count_votes(take, few)


def test_they_mishear_neutral_speech_as_emotional(monkeypatch: pytest.MonkeyPatch) -> None:
    take = with_emotion(DIRECTIONS["neutral"])
    misheard = max(count_votes(take, CONFIG))
    monkeypatch.setattr(annotators, "HEARING_ERROR", 0.0)
    assert max(count_votes(take, CONFIG)) > misheard + 0.05 * CONFIG.annotators


def test_another_seed_gives_other_votes() -> None:
    assert [count_votes(take, Config(seed=0)) for take in TAKES] != [
        count_votes(take, Config(seed=1)) for take in TAKES
    ]
