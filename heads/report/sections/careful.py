"""What readers must be careful about: every note of the runs, explained once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from heads.analysis.leaderboard import notes
from heads.report.sections.parts import Badge, badges

_MEANING = {
    "CONTAMINATED": "The encoder has seen clips that it is tested on: the number is too good, and "
    "says nothing about new speakers.",
    "synthetic corpus": "Voices are generated and their effects planted: these numbers show that "
    "everything works, and nothing about people.",
    "untrained encoder": "The encoder's weights are random: what is reached says how much the "
    "architecture alone gives.",
    "encoder not pretrained": "The encoder was trained on this task alone.",
    "the encoder's training data are not known": "Nobody can say whether the encoder has seen the "
    "test clips.",
    "speakers unknown": "The corpus names no speakers, so the same voice may train and test.",
    "speakers shared": "The same speakers train and test: the number is too good for new speakers.",
    "recordings shared": "The same recordings train and test.",
    "missing": "The corpus lists clips that were not there.",
    "audio": "The audio was changed before it was encoded.",
    "trained on views": "Changed copies of the clips train too; only originals are tested.",
    "targets smoothed": "The targets in training are softer than the labels.",
    "speakers' own statistics": "Each speaker's clips are standardised by that speaker's own mean "
    "and deviation: an easier task, for which unlabelled clips of the speaker are needed.",
}
_TIES = "Their votes are tied for the first place, so that no prediction is right or wrong."
_DIVERGED = "Folds whose loss was no number any more are left out of the results."


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A note of some runs.

    Attributes:
        badge: The note.
        meaning: What it means for the numbers; empty where it says so itself.
        runs: How many runs carry it.
    """

    badge: Badge
    meaning: str
    runs: int


def careful_section(results: Sequence[Mapping[str, Any]]) -> list[Warned]:
    """Every note of the runs, grave ones first, with how many runs carry it."""
    counts: dict[str, int] = {}
    for one in results:
        for note in notes(one):
            counts[note] = counts.get(note, 0) + 1
    return [
        Warned(badge=badge, meaning=_meaning(badge.text), runs=counts[badge.text])
        for badge in badges(list(counts))
    ]


def _meaning(note: str) -> str:
    if note.endswith("ties not scored"):
        return _TIES
    if note.endswith("diverged"):
        return _DIVERGED
    return next((text for start, text in _MEANING.items() if note.startswith(start)), "")
