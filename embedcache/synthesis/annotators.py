"""Who listens: annotators who mishear, have their likings, and vote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from embedcache.synthesis.design import Config, random_stream
from embedcache.synthesis.emotions import BETWEEN_CLIPS, CUES, DIRECTIONS, EMOTIONS

if TYPE_CHECKING:
    from embedcache.synthesis.actors import Take

HEARING_ERROR = 2.5  # standard deviation of each cue, in units of the variation between clips
SOFTNESS = 4.0  # the greater, the less a distance in these units means to them
LIKING = 0.4  # standard deviation of the liking for an emotion, a log probability


def count_votes(take: Take, config: Config) -> list[int]:
    """How many annotators chose each emotion.

    They know the voice, so they judge by the difference from neutral. Annotator a hears
    x = cues + error and votes for emotion e with a probability proportional to
    exp(liking_ae - |x - prototype_e|^2 / (2 softness^2)), where the prototype is the emotion as
    strongly as it is expressed on average.

    Shape:
        Returns [E], in the order of `EMOTIONS`.
    """
    rng = random_stream(config.seed, f"{take.id} votes")
    average_strength = (1 + config.weaker_expression) / 2
    prototypes = average_strength * np.stack([DIRECTIONS[e] for e in EMOTIONS]) / BETWEEN_CLIPS
    cues = (take.cues - take.actor.neutral) / BETWEEN_CLIPS
    votes = [0] * len(EMOTIONS)
    for annotator in range(config.annotators):
        character = random_stream(config.seed, f"annotator {annotator}")
        liking = character.normal(0, LIKING, len(EMOTIONS))
        heard = cues + HEARING_ERROR * rng.standard_normal(len(CUES))
        distance = np.linalg.norm(heard - prototypes, axis=1)
        # Gumbel noise turns the largest of log weights into a draw in proportion to the weights.
        score = liking - distance**2 / (2 * SOFTNESS**2) + rng.gumbel(size=len(EMOTIONS))
        votes[int(score.argmax())] += 1
    return votes
