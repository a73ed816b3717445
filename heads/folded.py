"""Caches of one corpus by the checkpoints of all folds, each of which has left a fold untouched."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.store.reader import CacheReader
    from embedcache.utterance import Utterance

_OWN = ("key", "weights")  # in which caches of the folds' checkpoints differ


class FoldedReader:
    """Open caches of the folds' checkpoints; what it tells is the same in all of them.

    Frames are not: whoever wants them asks the reader of a fold.

    Attributes:
        readers: One for each checkpoint, in the order of their folds.
        path: All folders, with commas between them.
        meta: What made the first, as made by the folder of all checkpoints.
        utterances: Those whose frames are there in all caches, in the corpus's order; no views.
        missing: Those that the corpus lists and whose frames are not there; no views.
        views: Augmented views of utterances whose frames are there in all caches.
        missing_views: Those that are listed and whose frames are not there.
    """

    def __init__(self, readers: Sequence[CacheReader]) -> None:
        first = readers[0]
        for other in readers[1:]:
            _require_alike(first, other)
        self.readers = list(readers)
        self.path = ",".join(str(reader.path) for reader in readers)
        keys = dict.fromkeys(reader.meta.key for reader in readers)
        folder = str(Path(first.meta.encoder_id).parent)
        self.meta = replace(first.meta, encoder_id=folder, key="+".join(keys), fidelity=None)
        self.utterances, gone = _in_all([reader.utterances for reader in readers])
        self.missing = [*first.missing, *gone]
        self.views, gone = _in_all([reader.views for reader in readers])
        self.missing_views = [*first.missing_views, *gone]

    def layer(self, name: str) -> int:
        """Index of a stored layer by its name, the same in all caches.

        Raises:
            UsageError: The caches do not hold this layer.
        """
        return self.readers[0].layer(name)

    def content_id(self, utterance_id: str) -> str:
        """The content of an utterance."""
        return self.readers[0].content_id(utterance_id)


def _require_alike(first: CacheReader, other: CacheReader) -> None:
    ours, theirs = ({**asdict(r.meta.parts), "corpus": r.meta.corpus} for r in (first, other))
    differing = [name for name in ours if name not in _OWN and ours[name] != theirs[name]]
    if differing:
        told = "; ".join(f"{name} {ours[name]} and {theirs[name]}" for name in differing)
        raise UsageError(
            f"the caches {first.path} and {other.path} are of checkpoints of one protocol's folds, "
            f"but differ in more than weights ({told}); extract all of them with the same options"
        )


def _in_all(lists: Sequence[Sequence[Utterance]]) -> tuple[list[Utterance], list[Utterance]]:
    """The first list, parted in what all of them have and what some lack."""
    shared = set.intersection(*({one.key for one in those} for those in lists))
    there = [one for one in lists[0] if one.key in shared]
    return there, [one for one in lists[0] if one.key not in shared]
