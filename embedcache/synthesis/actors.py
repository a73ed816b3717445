"""Who speaks, and what the clips are: the cast, and the prosody of every take.

Two effects are planted here: one gender expresses emotions less, and some clips lie between two
emotions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedcache.synthesis.design import Config, random_stream
from embedcache.synthesis.emotions import (
    BETWEEN_CLIPS,
    BETWEEN_SPEAKERS,
    CUES,
    EMOTIONS,
    HIGHEST,
    LOWEST,
    NEUTRAL,
    as_prosody,
    direction,
)
from embedcache.synthesis.phones import read_syllables
from embedcache.synthesis.voice import Speaker, say

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from embedcache.synthesis import Array

# Nonsense, so that no word has a feeling of its own. Clip number n of every emotion has sentence n,
# so that sentences are spread over the emotions evenly.
SENTENCES = {
    "s1": "t-aa* m-iy s-ae* n-uh , k-ao* l-eh",
    "s2": "m-ah* l-ih p-eh* t-uw n-aa* f-ih",
    "s3": "sh-iy* k-ah n-ao* , p-ih m-ae* l-uh t-iy",
    "s4": "l-uw* s-eh t-ae* m-ao k-iy* n-ah",
    "s5": "f-ae* n-iy , t-uh* l-aa s-ih* m-eh p-ao",
    "s6": "n-eh* sh-aa k-ih* l-ae p-uw* m-ah",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """A speaker who acts emotions.

    Attributes:
        name: `f01`, `m01` and so on.
        gender: `female` or `male`.
        age: In years; it has no effect on anything.
        voice: How it sounds, whatever is said.
        neutral: Cues without emotion, [C].
        expression: How far it follows an emotion's direction.
    """

    name: str
    gender: str
    age: int
    voice: Speaker
    neutral: Array
    expression: float


@dataclass(frozen=True, slots=True)
class Take:
    """The truth about a clip.

    Attributes:
        id: The clip's name.
        actor: Who speaks.
        emotion: The one that is acted.
        second: The other emotion of an ambiguous clip; None in a clear one.
        strength: How far the emotion's direction is followed this time.
        sentence: A name in `SENTENCES`.
        cues: The prosody, [C].
    """

    id: str
    actor: Actor
    emotion: str
    second: str | None
    strength: float
    sentence: str
    cues: Array


def cast_actors(config: Config) -> list[Actor]:
    """All actors, women first.

    >>> [actor.name for actor in cast_actors(Config(speakers=3))]
    ['f01', 'f02', 'm01']
    """
    women = (config.speakers + 1) // 2
    names = [f"f{n:02}" for n in range(1, women + 1)]
    names += [f"m{n:02}" for n in range(1, config.speakers - women + 1)]
    return [_actor(name, config) for name in names]


def _actor(name: str, config: Config) -> Actor:
    rng = random_stream(config.seed, name)
    woman = name.startswith("f")
    gender = "female" if woman else "male"
    voice = Speaker(
        f0_hz=(205.0 if woman else 115.0) * 2 ** (rng.normal(0, 1.7) / 12),
        formant_scale=(1.17 if woman else 1.0) * (1 + rng.normal(0, 0.03)),
        breathiness=(0.08 if woman else 0.05) * 2 ** rng.normal(0, 0.4),
        open_quotient=(0.62 if woman else 0.56) + rng.uniform(-0.04, 0.04),
    )
    factor = config.weaker_expression if gender == config.weaker_gender else 1.0
    return Actor(
        name=name,
        gender=gender,
        age=int(rng.integers(20, 70)),
        voice=voice,
        neutral=NEUTRAL + BETWEEN_SPEAKERS * rng.standard_normal(len(CUES)),
        expression=factor * np.exp(rng.normal(0, 0.1)),
    )


def plan_takes(actor: Actor, config: Config) -> list[Take]:
    """All takes of an actor, by emotion and number."""
    numbers = range(1, config.clips_per_emotion + 1)
    return [_take(actor, emotion, number, config) for emotion in EMOTIONS for number in numbers]


def _take(actor: Actor, emotion: str, number: int, config: Config) -> Take:
    name = f"{actor.name}-{emotion}-{number:02}"
    rng = random_stream(config.seed, f"{name} truth")
    strength = actor.expression * np.exp(rng.normal(0, 0.15))
    second = None
    if _is_ambiguous(actor, emotion, number, config):
        second = str(rng.choice([e for e in EMOTIONS if e != emotion]))
    chance = BETWEEN_CLIPS * rng.standard_normal(len(CUES))
    cues = actor.neutral + strength * direction(emotion, second) + chance
    sentence = list(SENTENCES)[(number - 1) % len(SENTENCES)]
    return Take(name, actor, emotion, second, strength, sentence, cues.clip(LOWEST, HIGHEST))


def _is_ambiguous(actor: Actor, emotion: str, number: int, config: Config) -> bool:
    # Systematic sampling: every fifth clip (at 0.2) from a random start. So all speakers and
    # emotions have the same share, and it explains no difference between them.
    start = random_stream(config.seed, f"{actor.name}-{emotion} ambiguous").random()
    share = config.ambiguous_share
    return int(start + share * number) > int(start + share * (number - 1))


def perform(take: Take, config: Config) -> NDArray[np.float32]:
    """The audio of a take.

    Shape:
        Returns [N] at the configured rate.
    """
    rng = random_stream(config.seed, f"{take.id} audio")
    syllables = read_syllables(SENTENCES[take.sentence])
    return say(syllables, take.actor.voice, as_prosody(take.cues), config.rate_hz, rng)
