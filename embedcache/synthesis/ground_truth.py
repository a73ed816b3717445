"""The ground truth: all that was decided, and what an analysis should therefore find."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from embedcache.synthesis.emotions import CUES, DIRECTIONS, NEUTRAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from embedcache.synthesis import Array
    from embedcache.synthesis.actors import Actor, Take
    from embedcache.synthesis.design import Config

DIGITS = 6  # of numbers after the point


def ground_truth(config: Config, actors: Iterable[Actor], takes: Iterable[Take]) -> dict[str, Any]:
    """All that was decided, as JSON values."""
    return {
        "findings": findings(config),
        "config": asdict(config),
        "neutral": _named(NEUTRAL),
        "emotions": {emotion: _named(shift) for emotion, shift in DIRECTIONS.items()},
        "speakers": {actor.name: _of_actor(actor) for actor in actors},
        "clips": {take.id: _of_take(take) for take in takes},
    }


def findings(config: Config) -> list[str]:
    """What an analysis that takes no notice of the ground truth should find."""
    weak = config.weaker_gender
    strong = "male" if weak == "female" else "female"
    by_gender = [
        f"accuracy over the four emotions: {strong} speakers are above {weak} speakers",
        f"clips of the other emotions that are called neutral: more of {weak} than of {strong} "
        "speakers",
        f"annotators' majority is the acted emotion: more often for {strong} than for {weak} "
        "speakers",
    ]
    by_ambiguity = [
        "entropy of the annotators' votes: ambiguous clips are above clear clips",
        "accuracy over the four emotions: clear clips are above ambiguous clips",
    ]
    return [
        *(by_gender if config.weaker_expression < 1 and config.speakers > 1 else []),
        *(by_ambiguity if 0 < config.ambiguous_share < 1 else []),
        "confusions: angry and happy with each other more often than angry and sad",
        "nothing was planted between ages or between sentences",
    ]


def _of_actor(actor: Actor) -> dict[str, Any]:
    return {
        "gender": actor.gender,
        "age": actor.age,
        "voice": {name: round(value, DIGITS) for name, value in asdict(actor.voice).items()},
        "neutral": _named(actor.neutral),
        "expression": round(actor.expression, DIGITS),
    }


def _of_take(take: Take) -> dict[str, Any]:
    return {
        "emotion": take.emotion,
        "second": take.second,
        "strength": round(take.strength, DIGITS),
        "prosody": _named(take.cues),
    }


def _named(cues: Array) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in zip(CUES, cues.tolist(), strict=True)}
