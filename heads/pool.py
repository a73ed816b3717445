"""Caches of several corpora, read as one."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, TypeAlias

from embedcache.corpora import speakers_of
from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.store.reader import CacheReader
    from embedcache.store.rows import Frames
    from embedcache.utterance import Utterance
    from heads.folded import FoldedReader

COLUMN = "corpus"  # the extra column that says where an utterance comes from

# What frames cost and not what they are: differences are said, and no more.
_PRECISION = ("compute_dtype", "store_dtype", "max_seconds")

_log = logging.getLogger(__name__)


class PooledReader:
    """Open caches of several corpora with the same frames; offers what a `CacheReader` does.

    Names that a corpus gives are made unique: `angry/01` of `folder:mine` becomes
    `folder:mine/angry/01`, and sessions and sentences carry the name that speakers carry already.

    Attributes:
        readers: By their corpus.
        path: All folders, with commas between them.
        meta: What made the first, with the corpora's names joined by `+`.
        utterances: Those whose frames are there, corpus after corpus; no views. Their extra column
            `corpus` says where they come from.
        missing: Those that a corpus lists and whose frames are not there; no views.
        views: Augmented views of utterances, as far as their frames are there.
        missing_views: Those that are listed and whose frames are not there.
    """

    def __init__(self, readers: Sequence[CacheReader]) -> None:
        require_same_frames(readers)
        self.readers = {reader.meta.corpus: reader for reader in readers}
        self.path = ",".join(str(reader.path) for reader in readers)
        keys = dict.fromkeys(reader.meta.key for reader in readers)
        first = readers[0].meta
        self.meta = replace(first, corpus="+".join(self.readers), key="+".join(keys), fidelity=None)
        self.utterances = [_named(u, c) for c, r in self.readers.items() for u in r.utterances]
        self.missing = [_named(u, c) for c, r in self.readers.items() for u in r.missing]
        self.views = [_named(u, c) for c, r in self.readers.items() for u in r.views]
        self.missing_views = [
            _named(u, c) for c, r in self.readers.items() for u in r.missing_views
        ]

    def layer(self, name: str) -> int:
        """Index of a stored layer by its name, the same in all caches.

        Raises:
            UsageError: The caches do not hold this layer.
        """
        return next(iter(self.readers.values())).layer(name)

    def frame_count(self, utterance_id: str, view: str = "") -> int:
        """Number of frames (T) of an utterance, or of a view of it."""
        reader, name = self._find(utterance_id)
        return reader.frame_count(name, view)

    def frames(self, utterance_id: str, layer: int, view: str = "") -> Frames:
        """Frames of an utterance at one stored layer.

        Shape:
            Output: [T, D].
        """
        reader, name = self._find(utterance_id)
        return reader.frames(name, layer, view)

    def content_id(self, utterance_id: str) -> str:
        """The content of an utterance; the same recording has one content in all corpora."""
        reader, name = self._find(utterance_id)
        return reader.content_id(name)

    def _find(self, utterance_id: str) -> tuple[CacheReader, str]:
        corpus, _, name = utterance_id.partition("/")
        return self.readers[corpus], name


FrameReader: TypeAlias = "CacheReader | PooledReader"


def require_same_frames(readers: Sequence[CacheReader]) -> None:
    """See that frames of several caches mean the same.

    Where only their precision differs, a warning says so.

    Raises:
        UsageError: They are of other encoders, layers or audio conditioning.
    """
    first = readers[0]
    for other in readers[1:]:
        ours, theirs = ({**asdict(r.meta.parts), "dim": r.meta.dim} for r in (first, other))
        differing = [name for name in ours if ours[name] != theirs[name]]
        told = "; ".join(f"{name} {ours[name]} and {theirs[name]}" for name in differing)
        if set(differing) - set(_PRECISION):
            raise UsageError(
                f"the caches {first.path} and {other.path} hold other frames ({told}); give caches "
                "that the same options of `ser extract` made, with --encoder or --cache"
            )
        if differing:
            _log.warning("%s and %s differ in precision: %s", first.path, other.path, told)


def corpora_of(utterances: Sequence[Utterance], reader: FrameReader | FoldedReader) -> list[str]:
    """The corpus of each utterance of a reader."""
    if isinstance(reader, PooledReader):
        return [utterance.extra[COLUMN] for utterance in utterances]
    return [reader.meta.corpus] * len(utterances)


def _named(utterance: Utterance, corpus: str) -> Utterance:
    """An utterance with names that no other corpus has."""
    home = speakers_of(corpus)
    return replace(
        utterance,
        id=f"{corpus}/{utterance.id}",
        session=utterance.session and f"{home}/{utterance.session}",
        sentence=utterance.sentence and f"{home}/{utterance.sentence}",
        extra={**utterance.extra, COLUMN: corpus},
    )
