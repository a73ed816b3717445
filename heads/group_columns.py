"""Groups of utterances by what their corpus knows of them: columns, and intersections of them.

Letters: N utterances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from embedcache.utterance import Utterance

FIELDS = ("gender", "speaker", "age", "session", "language", "sentence")
AGE_BAND = 10
BETWEEN = "+"


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


def require_columns(by: Sequence[str], there: Sequence[str], whose: str) -> None:
    """See that each column, or each part of an intersection, is there.

    Args:
        by: Columns, intersections as `gender+age`.
        there: Those that have values.
        whose: What has them, for the message.

    Raises:
        UsageError: One has not, an intersection names a column twice, or speakers are crossed.
    """
    for column in by:
        parts = parts_of(column, there)
        for part in parts:
            if part not in there:
                raise UsageError(
                    f"--by {column}: {whose} have no such column; there are: {', '.join(there)}"
                )
        if len(set(parts)) < len(parts):
            raise UsageError(f"--by {column}: a column is named twice; give each once")
        if len(parts) > 1 and "speaker" in parts:
            raise UsageError(
                f"--by {column}: groups are of several speakers, and this makes groups of one; "
                "give speaker by itself"
            )


def parts_of(column: str, there: Sequence[str]) -> list[str]:
    """The columns that an intersection is of; a column may have a plus in its own name.

    >>> parts_of("gender+age", ["gender", "age"]), parts_of("a+b", ["a+b"])
    (['gender', 'age'], ['a+b'])
    """
    return [column] if column in there else [part.strip() for part in column.split(BETWEEN)]


def values_of(
    utterances: Sequence[Utterance], column: str, there: Sequence[str]
) -> list[str | None]:
    """The group of each utterance: [N]; None where it has no value in a part.

    In an intersection a plus that stands in a value is written with a backslash before it, so that
    `a+b` with `c` and `a` with `b+c` are two groups.

    Args:
        utterances: The N utterances.
        column: A column or an intersection; ages are in bands of ten years.
        there: The columns that have values.
    """
    parts = parts_of(column, there)
    found: list[str | None] = []
    for utterance in utterances:
        values = [group_of(utterance, part) for part in parts]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            found.append(None)
        else:
            found.append(known[0] if len(known) == 1 else BETWEEN.join(map(_escaped, known)))
    return found


def _escaped(value: str) -> str:
    r"""A value whose pluses are told from those between values: `a+b` is `a\+b`."""
    return value.replace("\\", "\\\\").replace(BETWEEN, f"\\{BETWEEN}")


def groups_by(utterances: Sequence[Utterance], asked: str, option: str) -> list[str | None]:
    """The group of each utterance; of several columns, those whose values are all known.

    Args:
        utterances: [N].
        asked: A column, or several joined with `+`, as in `gender+age`.
        option: That asks for it.

    Raises:
        UsageError: A column does not exist or is empty, or all utterances are of one group.
    """
    there = columns(utterances)
    for name in parts_of(asked, there):
        if name not in there:
            raise UsageError(
                f"{option} {asked}: no utterance has a value in a column '{name}'; there are: "
                f"{', '.join(there)}"
            )
    groups = values_of(utterances, asked, there)
    found = sorted({group for group in groups if group})
    if len(found) < 2:
        raise UsageError(
            f"{option} {asked}: all utterances with a value are of one group, "
            f"{', '.join(found) or 'none'}; there is nothing to choose between: leave it out"
        )
    return groups
