"""Actors and takes: balanced where nothing is planted, and independent of one another."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.synthesis.actors import SENTENCES, Take, cast_actors, perform, plan_takes
from embedcache.synthesis.design import Config
from embedcache.synthesis.emotions import EMOTIONS, HIGHEST, LOWEST
from embedcache.synthesis.phones import read_syllables

MANY = Config(speakers=198, clips_per_emotion=1)
configs = st.builds(
    Config,
    speakers=st.integers(1, 6),
    clips_per_emotion=st.integers(1, 12),
    seed=st.integers(0, 99),
    weaker_expression=st.floats(0, 1),
    ambiguous_share=st.floats(0, 1),
)


def takes_of(config: Config) -> list[Take]:
    return [take for actor in cast_actors(config) for take in plan_takes(actor, config)]


@settings(deadline=None)
@given(st.integers(1, 198))
def test_half_are_women_and_half_men_each_with_a_name(speakers: int) -> None:
    actors = cast_actors(Config(speakers=speakers))
    genders = Counter(actor.gender for actor in actors)
    assert len({actor.name for actor in actors}) == speakers == genders.total()
    assert genders["female"] - genders["male"] == speakers % 2


def test_voices_are_womens_and_mens() -> None:
    def mean(field: str, gender: str) -> float:
        actors = [actor for actor in cast_actors(MANY) if actor.gender == gender]
        return float(np.mean([getattr(actor.voice, field) for actor in actors]))

    assert mean("f0_hz", "female") == pytest.approx(205, rel=0.04)
    assert mean("f0_hz", "male") == pytest.approx(115, rel=0.04)
    ratio = mean("formant_scale", "female") / mean("formant_scale", "male")
    assert ratio == pytest.approx(1.17, rel=0.01)


@pytest.mark.parametrize("weak", ["female", "male"])
@pytest.mark.parametrize("factor", [0.3, 1.0])
def test_one_gender_expresses_emotions_less(weak: str, factor: float) -> None:
    config = replace(MANY, weaker_gender=weak, weaker_expression=factor)
    expression = {"female": [], "male": []}
    for actor in cast_actors(config):
        expression[actor.gender].append(actor.expression)
    strong = "male" if weak == "female" else "female"
    ratio = np.mean(expression[weak]) / np.mean(expression[strong])
    assert ratio == pytest.approx(factor, rel=0.05)


@settings(deadline=None)
@given(configs)
def test_takes_are_the_whole_table_within_what_a_voice_can_do(config: Config) -> None:
    takes = takes_of(config)
    assert len({take.id for take in takes}) == len(takes)
    table = Counter((take.actor.name, take.emotion) for take in takes)
    assert len(table) == config.speakers * len(EMOTIONS)
    assert set(table.values()) == {config.clips_per_emotion}
    assert all((take.cues >= LOWEST).all() and (take.cues <= HIGHEST).all() for take in takes)


@settings(deadline=None)
@given(configs)
def test_every_speaker_and_emotion_has_the_same_share_of_ambiguous_clips(config: Config) -> None:
    asked = config.ambiguous_share * config.clips_per_emotion
    takes = takes_of(config)
    assert all(take.second is None or take.second != take.emotion for take in takes)
    ambiguous = Counter((t.actor.name, t.emotion) for t in takes if t.second is not None)
    for name in {(t.actor.name, t.emotion) for t in takes}:
        assert abs(ambiguous[name] - asked) < 1 + 1e-9


def test_all_clips_or_none_may_be_ambiguous() -> None:
    for share in (0.0, 1.0):
        takes = takes_of(Config(ambiguous_share=share))
        assert {take.second is not None for take in takes} == {share == 1}


def test_every_sentence_is_spoken_with_every_emotion() -> None:
    spoken = Counter((take.emotion, take.sentence) for take in takes_of(Config(speakers=2)))
    assert set(spoken) == {(emotion, name) for emotion in EMOTIONS for name in SENTENCES}
    assert set(spoken.values()) == {2}


@pytest.mark.parametrize("name", SENTENCES)
def test_sentences_are_six_or_seven_syllables_with_stress(name: str) -> None:
    syllables = read_syllables(SENTENCES[name])
    assert len(syllables) in (6, 7) and max(s.stress for s in syllables) == 1


def test_a_take_does_not_depend_on_how_many_others_there_are() -> None:
    small, large = Config(speakers=2, clips_per_emotion=2), Config(speakers=7, clips_per_emotion=5)
    others = {take.id: take for take in takes_of(large)}
    for take in takes_of(small):
        other = others[take.id]
        assert np.array_equal(take.cues, other.cues) and take.sentence == other.sentence
    assert np.array_equal(perform(take, small), perform(other, large))


def test_another_seed_gives_other_takes() -> None:
    pairs = zip(takes_of(Config(seed=0)), takes_of(Config(seed=1)), strict=True)
    assert all(not np.array_equal(a.cues, b.cues) for a, b in pairs)
