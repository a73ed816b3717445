"""The cache that a run was trained on, opened again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedcache.errors import SerError, UsageError
from embedcache.store.cache import read_meta
from embedcache.store.reader import CacheReader
from heads.folded import FoldedReader
from heads.pool import FrameReader, PooledReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from embedcache.utterance import Utterance
    from heads.results import Run


def open_cache(run: Run, given: Sequence[Path] = ()) -> FrameReader | FoldedReader:
    """Open the cache of a run: of one corpus, of several, or of the checkpoints of all folds.

    Args:
        run: The run.
        given: Where its caches are now; none for where the run says.

    Raises:
        UsageError: One is not there, holds other frames than the run was trained on, or is missing
            among those that are given.
        SerError: One is damaged, or frames of the run's utterances are missing.
    """
    references = run.references
    corpora = list(dict.fromkeys(reference.corpus for reference in references))
    places = list(dict.fromkeys(reference.paths for reference in references))
    if given and len(given) != len(places):
        raise UsageError(
            f"{run.id} was trained on {len(places)} caches, and --cache names {len(given)}; name "
            "each of them"
        )
    folders = list(given) or [_there(run, candidates) for candidates in places]
    for folder in folders:
        _require_own(run, folder)
    readers = {reader.meta.corpus: reader for reader in map(CacheReader, folders)}
    lacking = [corpus for corpus in corpora if corpus not in readers]
    if lacking:
        raise UsageError(
            f"{run.id} was trained on {', '.join(corpora)}, and --cache names no cache of "
            f"{', '.join(lacking)}; name one of each"
        )
    found: FrameReader | FoldedReader
    if len(corpora) > 1:
        found = PooledReader([readers[corpus] for corpus in corpora])
    elif len(folders) > 1:
        found = FoldedReader([CacheReader(folder) for folder in folders])
    else:
        found = readers[corpora[0]]
    _require_frames(run, found)
    return found


def of_fold(run: Run, reader: FrameReader | FoldedReader, fold: int) -> FrameReader:
    """The cache that has served a fold of a run.

    Raises:
        UsageError: The run does not say which of several checkpoints that was.
    """
    if not isinstance(reader, FoldedReader):
        return reader
    seen = run.results["cache"]["encoder"].get("seen") or {}
    wanted = seen.get("checkpoints", {}).get(str(fold))
    for one in reader.readers:
        if one.meta.encoder_id == wanted:
            return one
    raise UsageError(
        f"{run.id} does not say which of {len(reader.readers)} checkpoints has served fold {fold}; "
        "train the head again"
    )


def one_encoder(run: Run, reader: FrameReader | FoldedReader) -> FrameReader:
    """A cache whose frames are all of one encoder, and so can be compared.

    Raises:
        UsageError: They are of several checkpoints.
    """
    if isinstance(reader, FoldedReader):
        raise UsageError(
            f"{run.id} was trained on {len(reader.readers)} checkpoints, one for each fold, whose "
            "frames are not in one space, and each was trained on the speakers that others test; "
            "give a run on the encoder that they were made from"
        )
    return reader


def listed(run: Run) -> list[Utterance]:
    """The utterances that a run has tested, in the order of its list.

    Raises:
        SerError: There is none.
    """
    found = list(run.utterances.values())
    if not found:
        raise SerError(f"{run.path} lists no utterance; train the head again")
    return found


def _there(run: Run, places: Sequence[Path]) -> Path:
    """The first place that holds a cache."""
    for place in places:
        if (place / "meta.json").is_file():
            return place
    encoder = run.results["cache"]["encoder"]["id"]
    raise UsageError(
        f"{run.id} was trained on the cache {places[0]}, which is not there any more; say with "
        f"--cache where it is, or make it again with `ser extract --encoder {encoder}`"
    )


def _require_own(run: Run, folder: Path) -> None:
    """See that a cache holds what the run was trained on."""
    meta = read_meta(folder)
    keys = {(reference.key, reference.corpus) for reference in run.references}
    if (meta.key, meta.corpus) not in keys:
        wanted = " or ".join(sorted(f"{corpus} with the key {key}" for key, corpus in keys))
        raise UsageError(
            f"{folder} holds {meta.corpus} with the key {meta.key}, and {run.id} was trained on "
            f"{wanted}; name that cache with --cache, or train the head again on this one"
        )


def _require_frames(run: Run, reader: FrameReader | FoldedReader) -> None:
    """See that no utterance of the run has lost its frames since."""
    there = {utterance.id for utterance in reader.utterances}
    lost = [utterance.id for utterance in listed(run) if utterance.id not in there]
    if lost:
        raise SerError(
            f"{reader.path} lacks the frames of {len(lost)} of {len(run.utterances)} utterances of "
            f"{run.id}, first '{lost[0]}'; the same `ser extract` again completes it"
        )
