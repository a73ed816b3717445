"""Votes as text, as tables and extra columns hold them: `happy=3;neutral=1`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

MOST = 1e9  # votes for one emotion of one utterance

if TYPE_CHECKING:
    from collections.abc import Mapping


def parse_votes(text: str) -> dict[str, float]:
    """Numbers of votes per emotion.

    Raises:
        ValueError: The text is not of this form, a number is negative, or all are zero.

    >>> parse_votes("Happy=3; neutral=0.5")
    {'happy': 3.0, 'neutral': 0.5}
    """
    votes: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in text.split(";"))):
        label, equals, number = part.partition("=")
        label = label.strip().lower()
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not (label and equals and 0 <= value <= MOST) or label in votes:
            raise ValueError(f"votes are '{text}', not like happy=3;neutral=1")
        votes[label] = value
    if votes and not sum(votes.values()):
        raise ValueError(f"votes '{text}' sum to zero")
    return votes


def format_votes(votes: Mapping[str, float]) -> str:
    """The inverse of `parse_votes`, without emotions that nobody chose.

    >>> format_votes({"happy": 3.0, "sad": 0, "neutral": 0.5})
    'happy=3;neutral=0.5'
    """
    return ";".join(f"{label}={count:g}" for label, count in votes.items() if count)
