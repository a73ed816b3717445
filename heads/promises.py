"""What the parts of a fold never share, by protocol, and how much they share where they may."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from embedcache.errors import SerError

if TYPE_CHECKING:
    from heads.splits import Fold, SplitTable

_TESTED = (("train", "test"), ("val", "test"))
_HELD_OUT = (("train", "val"),)
_ALL = _TESTED + _HELD_OUT

# Per protocol: a column of the table, and the pairs of parts that have none of its values in
# common. In `session` a speaker of two sessions may stand on both sides: that is counted.
_APART: dict[str, tuple[tuple[str, tuple[tuple[str, str], ...]], ...]] = {
    "speaker": (("speakers", _ALL),),
    "session": (("sessions", _TESTED), ("speakers", _HELD_OUT)),
    "sentence": (("sentences", _ALL),),
    "cross-corpus": (("corpora", _TESTED), ("speakers", _ALL)),
}
_DOES = {"train": "train", "val": "validate", "test": "test"}
_SHOWN = 5


def require_promise(protocol: str, folds: Sequence[Fold], table: SplitTable) -> None:
    """See that no part of a fold is empty, and that parts share nothing that they must not share.

    Raises:
        SerError: A part is empty; or a promise of the protocol is broken, and by whom.
    """
    for number, fold in enumerate(folds):
        for part, does in _DOES.items():
            if not getattr(fold, part).size:
                raise SerError(
                    f"--protocol {protocol}: fold {number} has no utterance to {does} with; give "
                    "more clips, fewer --folds, or another protocol"
                )
        for column, pairs in _APART.get(protocol, ()):
            values = getattr(table, column)
            for one, other in pairs:
                both = _shared(values, getattr(fold, one), getattr(fold, other))
                if both:
                    raise SerError(
                        f"--protocol {protocol}: in fold {number} these {column} both "
                        f"{_DOES[one]} and {_DOES[other]}: {_listed(both)}; leave out a corpus "
                        "that shares them, or name a protocol that does not promise otherwise"
                    )


def overlap(values: Sequence[str | None], folds: Iterable[Fold]) -> int | None:
    """How many values stand in some fold's test part and also in its others.

    Args:
        values: [N], such as speakers; None where one is not known.
        folds: Of these utterances.

    Returns:
        None where no value is known.
    """
    if not any(values):
        return None
    return len(set().union(*(shared_with_test(fold, values) for fold in folds)))


def shared_with_test(fold: Fold, values: Sequence[str | None]) -> set[str]:
    """Values of a fold's test part that also train or validate."""
    return _shared(values, np.concatenate([fold.train, fold.val]), fold.test)


def _shared(values: Sequence[str | None], one: Iterable[int], other: Iterable[int]) -> set[str]:
    first, second = ({values[i] for i in part} for part in (one, other))
    return {value for value in first & second if value}


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + more
