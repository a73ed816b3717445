"""The study's design: its size, the effects that are planted in it, and its sources of chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedcache.errors import UsageError


@dataclass(frozen=True, slots=True)
class Config:
    """What to generate.

    Attributes:
        speakers: Half of them women, half men; one woman more where the number is odd.
        clips_per_emotion: Of each speaker, for each of the four emotions.
        annotators: Each gives every clip one vote.
        seed: Another seed gives other speakers, clips and votes, with the same planted effects.
        weaker_gender: `female` or `male`: who expresses emotions less strongly.
        weaker_expression: How strongly, relative to the other gender; 1 plants no difference.
        ambiguous_share: Of the clips, to lie between two emotions.
        rate_hz: Sample rate of the files.

    Raises:
        UsageError: A value lies outside its limits.
    """

    speakers: int = 12
    clips_per_emotion: int = 6
    annotators: int = 8
    seed: int = 0
    weaker_gender: str = "male"
    weaker_expression: float = 0.45
    ambiguous_share: float = 0.2
    rate_hz: int = 16_000

    def __post_init__(self) -> None:
        limits = {
            "speakers": (1, 198),
            "clips_per_emotion": (1, 99),
            "annotators": (1, 1000),
            "seed": (0, 2**63),
            "weaker_expression": (0, 1),
            "ambiguous_share": (0, 1),
            "rate_hz": (16_000, 48_000),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name} {getattr(self, name)} must lie between {low} and {high}")
        if self.weaker_gender not in ("female", "male"):
            raise UsageError(f"weaker_gender '{self.weaker_gender}' must be female or male")


def random_stream(seed: int, name: str) -> np.random.Generator:
    """The stream of one name, so that nothing depends on the order in which things are made.

    >>> random_stream(0, "f01").random() == random_stream(0, "f01").random()
    True
    >>> random_stream(0, "f01").random() == random_stream(0, "f02").random()
    False
    """
    return np.random.default_rng([seed, *name.encode()])
