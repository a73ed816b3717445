"""The corpora of a run: their caches, opened as one, their label sets and their counts."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from embedcache.corpora import label_sets
from embedcache.errors import SerError, UsageError, unknown_name
from embedcache.store.cache import find_caches, in_order_of_folds, read_meta
from embedcache.store.reader import CacheReader
from heads.agreement import krippendorff_alpha, majority_share, vote_entropy
from heads.folded import FoldedReader
from heads.labels import vote_table
from heads.pool import PooledReader, corpora_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from embedcache.utterance import Utterance
    from heads.pool import FrameReader
    from heads.train.config import RunConfig
    from heads.train.prepare import Prepared

_LONGEST_NAME = 60  # characters of a folder's name that corpora may take

_log = logging.getLogger(__name__)


def open_corpora(config: RunConfig) -> FrameReader | FoldedReader:
    """The caches of all corpora of a run, read as one, or of one corpus by all folds' checkpoints.

    Raises:
        UsageError: A corpus is named twice, a cache is missing or of another corpus, or the caches
            hold other frames.
        SerError: A cache is damaged or empty.
    """
    names = [*config.corpora, *config.test_corpora]
    if not config.corpora:
        raise UsageError("--corpus is empty; see `ser corpora`")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        where = "--corpus and --test-corpus" if twice[0] in config.test_corpora else "--corpus"
        raise UsageError(f"{where}: {twice[0]} is named twice; name each corpus once")
    given = _given_caches(config, names)
    opened = [
        _open(given.get(name) or find_caches(config.cache_dir, name, config.encoder))
        for name in names
    ]
    if len(opened) == 1:
        return opened[0]
    readers = [reader for reader in opened if isinstance(reader, CacheReader)]
    if len(readers) < len(opened):
        raise UsageError(
            "checkpoints that were made fold by fold are of one corpus's folds; give one --corpus, "
            "or the cache of one checkpoint for each with --cache"
        )
    return PooledReader(readers)


def find_label_set(corpora: Iterable[str], name: str) -> dict[str, Any]:
    """A label set of one of the corpora; its classes are for the emotions of all of them.

    Raises:
        UsageError: None of them has one of that name.
    """
    known: dict[str, dict[str, Any]] = {}
    for corpus in corpora:
        known = {**label_sets(corpus), **known}
    if name not in known:
        raise unknown_name("label set", name, known)
    return known[name]


def folder_name(config: RunConfig) -> str:
    """The corpora of a run, as a part of its folder's name."""
    sides = []
    for names in (config.corpora, config.test_corpora):
        text = "+".join(name.replace(":", "-") for name in names)
        sides.append(text if len(text) <= _LONGEST_NAME else f"{len(names)}-corpora")
    return "-to-".join(filter(None, sides))


def counts_by_corpus(
    data: Prepared, tested: Sequence[int], votes: str
) -> dict[str, dict[str, Any]]:
    """What each of several corpora has; nothing where there is one.

    Args:
        data: What heads are trained on.
        tested: Positions of the tested utterances.
        votes: Whose votes its annotators' agreement is taken from.
    """
    if not isinstance(data.reader, PooledReader):
        return {}
    of_tested = Counter(corpora_of([data.utterances[i] for i in tested], data.reader))
    largest = data.targets.values.argmax(axis=1)
    found: dict[str, dict[str, Any]] = {}
    for name, reader in data.reader.readers.items():
        own = [i for i, x in enumerate(corpora_of(data.utterances, data.reader)) if x == name]
        classes = Counter(data.targets.names[largest[i]] for i in own)
        found[name] = {
            "utterances": len(own),
            "tested": of_tested[name],
            "missing": len(reader.missing),
            "speakers": len({s for i in own if (s := data.utterances[i].speaker)}),
            "classes": {label: classes[label] for label in data.targets.names},
            "agreement": agreement(reader.utterances, votes),
        }
    return found


def agreement(utterances: Sequence[Utterance], source: str) -> dict[str, float | None] | None:
    """How far the annotators of a whole corpus agree, before any utterance is left out for it.

    None where there are no votes.
    """
    _, counts = vote_table(utterances, source)
    voted = counts[counts.sum(axis=1) > 0]
    if not len(voted):
        return None
    alpha, compared = krippendorff_alpha(voted)
    return {
        "utterances": len(voted),
        "krippendorff_alpha": alpha,
        "alpha_utterances": compared,
        "majority_share": float(majority_share(voted).mean()),
        "vote_entropy_bits": float(vote_entropy(voted).mean()),
    }


def _given_caches(config: RunConfig, names: Sequence[str]) -> dict[str, list[Path]]:
    """The caches that are named, by their corpus."""
    given: dict[str, list[Path]] = {}
    for path in config.caches:
        corpus = read_meta(path).corpus
        if corpus not in names:
            raise UsageError(f"--cache {path} holds {corpus}, not {' or '.join(names)}")
        given.setdefault(corpus, []).append(path)
    return {corpus: in_order_of_folds(p) if len(p) > 1 else p for corpus, p in given.items()}


def _open(paths: Sequence[Path]) -> CacheReader | FoldedReader:
    readers = [_open_one(path) for path in paths]
    return readers[0] if len(readers) == 1 else FoldedReader(readers)


def _open_one(path: Path) -> CacheReader:
    reader = CacheReader(path)
    if reader.missing:
        _log.warning(
            "%s lacks the frames of %d of %d utterances; `ser extract` again completes it, or says "
            "why it cannot",
            path,
            len(reader.missing),
            len(reader.missing) + len(reader.utterances),
        )
    if not reader.utterances:
        raise SerError(f"{path} holds no utterance yet; run `ser extract` to its end")
    return reader
