"""How emotions move prosody: each is a direction away from the speaker's neutral voice.

A clip's prosody is a vector of cues. A speaker follows an emotion's direction as far as he or she
expresses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from embedcache.synthesis.prosody import Prosody

if TYPE_CHECKING:
    from embedcache.synthesis import Array

# The cues are the fields of Prosody; every vector below has them in this order.
CUES = (
    "pitch_semitones",
    "range_semitones",
    "slope_semitones",
    "syllables_per_s",
    "level_dbfs",
    "tilt_db_per_octave",
    "jitter",
)
NEUTRAL = np.array([0.0, 4.0, -2.5, 5.0, -27.0, 0.0, 0.006])
# Signs as Juslin and Laukka (2003), Psychological Bulletin 129, found them over 104 studies: anger
# is fast, loud, bright, high and varied; happiness fast, fairly loud, high, very varied and rising;
# sadness slow, soft, dull, low, monotonous and falling. The sizes are ours, for a strength of 1.
DIRECTIONS = {
    "angry": np.array([3.5, 3.5, -1.0, 1.0, 7.0, 3.0, 0.010]),
    "happy": np.array([6.0, 7.0, 4.0, 0.9, 3.5, 1.0, 0.0]),
    "neutral": np.zeros(len(CUES)),
    "sad": np.array([-2.5, -3.5, -2.5, -1.5, -5.0, -2.5, 0.004]),
}
EMOTIONS = tuple(DIRECTIONS)
SECOND_SHARE = 0.45  # of the other emotion, in an ambiguous clip

# Standard deviations: of speakers' neutral voices, and of the clips of one speaker and emotion. The
# level holds the distance to the microphone, too.
BETWEEN_SPEAKERS = np.array([0.0, 0.4, 0.4, 0.2, 0.9, 0.35, 0.0006])
BETWEEN_CLIPS = np.array([0.7, 0.8, 0.8, 0.3, 1.2, 0.5, 0.001])
# What a voice can do.
LOWEST = np.array([-12.0, 0.0, -12.0, 2.5, -40.0, -6.0, 0.001])
HIGHEST = np.array([12.0, 16.0, 12.0, 8.0, -16.0, 6.0, 0.03])


def direction(emotion: str, second: str | None) -> Array:
    """An emotion's direction, or that of its mixture with a second one.

    Shape:
        Returns [C].

    >>> direction("angry", None)[:2].tolist(), direction("angry", "neutral")[:2].round(3).tolist()
    ([3.5, 3.5], [1.925, 1.925])
    """
    if second is None:
        return DIRECTIONS[emotion]
    return (1 - SECOND_SHARE) * DIRECTIONS[emotion] + SECOND_SHARE * DIRECTIONS[second]


def as_prosody(cues: Array) -> Prosody:
    """The prosody that a vector of cues stands for.

    Shape:
        cues [C].

    >>> as_prosody(NEUTRAL).level_dbfs
    -27.0
    """
    return Prosody(**dict(zip(CUES, cues.tolist(), strict=True)))
