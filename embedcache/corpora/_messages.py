"""What a parser says of clips that are missing, or that it leaves out."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_log = logging.getLogger(__name__)

_MOST_PARTS = 30


def first_names(names: Sequence[object], most: int = 5) -> str:
    """The first of many names, and how many more there are.

    >>> first_names(["a", "b", "c"], most=2), first_names(["a", "b"], most=2)
    ('a, b and 1 more', 'a, b')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def warn_of_missing(corpus: str, parts: Iterable[str | None], expected: Mapping[str, int]) -> None:
    """Warn, by name, where a corpus has fewer or more clips than its documents say.

    Args:
        corpus: What the message calls it.
        parts: The part (a speaker, a session, a class) of each utterance that was found.
        expected: Number of utterances of each part of the whole corpus.
    """
    found = Counter(parts)
    total = sum(found[part] for part in expected)
    odd = [f"{p} ({found[p]} of {n})" for p, n in expected.items() if found[p] != n]
    if total and odd:
        _log.warning(
            "%s: %d of %d clips found; not as its documents say: %s",
            corpus,
            total,
            sum(expected.values()),
            first_names(odd, _MOST_PARTS),
        )


def warn_of_left_out(corpus: str, what: str, names: Sequence[object]) -> None:
    """Warn of clips that a parser leaves out, with the first of their names."""
    if names:
        _log.warning("%s: left out: %d %s: %s", corpus, len(names), what, first_names(names))
