"""Groups of utterances by what their corpus knows of them: gender, age band, any of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from embedcache.utterance import Utterance

FIELDS = ("gender", "speaker", "age", "session", "language", "sentence")
AGE_BAND = 10


def group_of(utterance: Utterance, column: str) -> str | None:
    """The group of an utterance, ages in bands of ten years; None where the corpus does not tell.

    >>> from pathlib import Path
    >>> from embedcache.utterance import Utterance
    >>> group_of(Utterance(id="a", path=Path("a.wav"), age=34.0), "age")
    '30-39'
    """
    if column == "age":
        if utterance.age is None:
            return None
        low = int(utterance.age) // AGE_BAND * AGE_BAND
        return f"{low}-{low + AGE_BAND - 1}"
    value = getattr(utterance, column) if column in FIELDS else utterance.extra.get(column)
    return str(value) if value else None


def columns(utterances: Collection[Utterance]) -> list[str]:
    """Columns that groups can be made by: those in which some utterance has a value."""
    own = sorted({name for utterance in utterances for name in utterance.extra})
    return [c for c in (*FIELDS, *own) if any(group_of(u, c) for u in utterances)]


def groups_by(utterances: Sequence[Utterance], asked: str, option: str) -> list[str | None]:
    """The group of each utterance; of several columns, those whose values are all known.

    Args:
        utterances: [N].
        asked: A column, or several joined with `+`, as in `gender+age`.
        option: That asks for it.

    Raises:
        UsageError: A column does not exist or is empty, or all utterances are of one group.
    """
    names = [name.strip() for name in asked.split("+")]
    there = columns(utterances)
    for name in names:
        if name not in there:
            raise UsageError(
                f"{option} {asked}: no utterance has a value in a column '{name}'; there are: "
                f"{', '.join(there)}"
            )
    parts = [[group_of(one, name) for name in names] for one in utterances]
    groups = ["+".join(map(str, own)) if all(own) else None for own in parts]
    found = sorted({group for group in groups if group})
    if len(found) < 2:
        raise UsageError(
            f"{option} {asked}: all utterances with a value are of one group, "
            f"{', '.join(found) or 'none'}; there is nothing to choose between: leave it out"
        )
    return groups
