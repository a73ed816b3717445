"""The guard against encoders that were trained on what a fold tests.

An encoder that was fine-tuned on a speaker has learned that speaker's emotions; a head on its
frames, tested on the speaker, would be asked what the encoder has been told. So each fold is
served by frames of an encoder that has seen nothing of its test part: the same for all folds, or,
of checkpoints that were made fold by fold, the one that fits. Where there is none, nothing is
trained unless that is asked for, and then the run says so wherever it is shown.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedcache.errors import SerError
from embedcache.seen import Seen, home_of, seen_by_cache
from embedcache.utterance import Utterance
from heads.folded import FoldedReader
from heads.pool import FrameReader, PooledReader
from heads.splits import Fold

_NAMED = 3  # speakers that a message names

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """Frames that serve some of the folds.

    Attributes:
        reader: Where they are.
        folds: Numbers of the folds.
    """

    reader: FrameReader
    folds: list[int]


@dataclass(frozen=True, slots=True)
class Leak:
    """What of a test part an encoder was trained on.

    Attributes:
        speakers: Names of the speakers.
        utterances: Number of the recordings.
        corpora: Names of the corpora, where no more than that is known.
    """

    speakers: list[str] = field(default_factory=list)
    utterances: int = 0
    corpora: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.speakers or self.utterances or self.corpora)

    @property
    def told(self) -> str:
        """In words: `2 speakers (ravdess/01, ravdess/02) and 120 recordings`."""
        found = []
        if self.speakers:
            names = ", ".join(self.speakers[:_NAMED])
            rest = len(self.speakers) - _NAMED
            more = f" and {rest} more" if rest > 0 else ""
            what = "speakers" if len(self.speakers) > 1 else "speaker"
            found.append(f"{len(self.speakers)} {what} ({names}{more})")
        if self.utterances:
            found.append(f"{self.utterances} recording{'s' * (self.utterances > 1)}")
        if self.corpora:
            found.append(f"the corpus {' and '.join(self.corpora)}")
        return " and ".join(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Which frames serve which folds, and what is known of them.

    Attributes:
        sources: Each fold is in one.
        seen: What the encoder was trained on, for `results.json`; None where nothing is known.
        contamination: What of the test parts it was trained on, likewise; None where nothing.
    """

    sources: list[Source]
    seen: dict[str, Any] | None
    contamination: dict[str, Any] | None


def serve(
    reader: FrameReader | FoldedReader,
    utterances: Sequence[Utterance],
    corpora: Sequence[str],
    folds: Sequence[Fold],
    allow: bool,
) -> Served:
    """Find frames for each fold whose encoder has seen nothing of the fold's test part.

    Args:
        reader: The cache, or several.
        utterances: [N], that folds are of.
        corpora: [N].
        folds: Who tests when.
        allow: Whether an encoder may have seen it after all; then a warning says so.

    Raises:
        SerError: One has, and that is not allowed; or what it has seen cannot be read.
    """
    choices = reader.readers if isinstance(reader, FoldedReader) else [reader]
    known = [_seen(choice) for choice in choices]
    contents = [reader.content_id(u.id) for u in utterances]
    sources: dict[int, Source] = {}
    leaks: dict[int, Leak] = {}
    for number, fold in enumerate(folds):
        found = {
            k: find_leak(seen, utterances, contents, corpora, fold)
            for k, seen in _first(number, known)
        }
        chosen = next((k for k, leak in found.items() if not leak), next(iter(found)))
        if found[chosen]:
            leaks[number] = found[chosen]
            _require_allowed(allow, number, found[chosen], reader, known[chosen])
        sources.setdefault(chosen, Source(choices[chosen], [])).folds.append(number)
    return Served(
        sources=[sources[k] for k in sorted(sources)],
        seen=_told(known, [choice.meta.encoder_id for choice in choices], sources),
        contamination=_contamination(leaks) if leaks else None,
    )


def find_leak(
    seen: Seen | None,
    utterances: Sequence[Utterance],
    contents: Sequence[str],
    corpora: Sequence[str],
    fold: Fold,
) -> Leak:
    """What of a fold's test part an encoder was trained on.

    Speakers and recordings that the fold itself shares with its training or validation part are no
    leak of the encoder: they are counted elsewhere, encoder or not.

    Args:
        seen: What the encoder was trained on, as far as it is known.
        utterances: [N].
        contents: [N], content ids.
        corpora: [N].
        fold: Positions among them.
    """
    if seen is None:
        return Leak()
    tested, others = fold.test.tolist(), [*fold.train.tolist(), *fold.val.tolist()]
    heard = set(seen.contents) - {contents[i] for i in others}
    known = set(seen.speakers) - {utterances[i].speaker for i in others}
    homes = {home_of(corpus) for corpus in seen.unlisted}
    return Leak(
        speakers=sorted({s for i in tested if (s := utterances[i].speaker) in known and s}),
        utterances=sum(contents[i] in heard for i in tested),
        corpora=sorted({corpora[i] for i in tested if home_of(corpora[i]) in homes}),
    )


def _first(number: int, known: Sequence[Seen | None]) -> list[tuple[int, Seen | None]]:
    """Checkpoints by their positions, that of the fold's own number before all others."""
    return sorted(enumerate(known), key=lambda pair: (pair[0] != number, pair[0]))


def _seen(reader: FrameReader) -> Seen | None:
    """What the encoder of a reader was trained on; a warning where that is not all known."""
    parts = reader.readers.values() if isinstance(reader, PooledReader) else [reader]
    found: Seen | None = None
    for part in parts:
        seen, silent = seen_by_cache(part.path, part.meta.encoder_id, part.meta.recorded)
        if silent:
            seen = Seen(complete=False)
        if seen and not seen.complete:
            _log.warning(
                "%s does not tell what it was trained on: whether it has heard the speakers or "
                "clips of a test part cannot be checked",
                part.meta.encoder_id,
            )
        if seen:
            found = found | seen if found else seen
    return found


def _require_allowed(
    allow: bool, number: int, leak: Leak, reader: FrameReader | FoldedReader, seen: Seen | None
) -> None:
    encoder = reader.meta.encoder_id
    text = f"fold {number} tests {leak.told}, which {encoder} was trained on"
    if allow:
        _log.warning("%s: the run is marked as contaminated", text)
        return
    remedy = "fine-tune one checkpoint per fold with `ser finetune --all-folds`, test on other data"
    if seen and seen.fold:
        told = f"--encoder {Path(encoder).parent}" if not isinstance(reader, FoldedReader) else ""
        remedy = f"use its folder of all folds ({told})" if told else "give the same folds again"
        remedy += f", which were made with `{seen.fold.protocol}`, from an encoder that has not "
        remedy += "seen what they test"
    raise SerError(
        f"{text}: the score would be of memory, not of recognition; {remedy}, or give "
        "--allow-leakage, which marks the run as contaminated"
    )


def _told(
    known: Sequence[Seen | None], encoders: Sequence[str], sources: Mapping[int, Source]
) -> dict[str, Any] | None:
    there = [seen for seen in known if seen]
    if not there:
        return None
    whole = there[0]
    for seen in there[1:]:
        whole = whole | seen
    return {
        "corpora": list(whole.corpora),
        "speakers": len(whole.speakers),
        "recordings": len(whole.contents),
        "source": whole.source,
        "base": whole.base,
        "pretrained": whole.pretrained,
        "complete": whole.complete,
        "checkpoints": {
            str(fold): encoders[k] for k, source in sorted(sources.items()) for fold in source.folds
        },
    }


def _contamination(leaks: dict[int, Leak]) -> dict[str, Any]:
    return {
        "folds": sorted(leaks),
        "speakers": sorted({name for leak in leaks.values() for name in leak.speakers}),
        "recordings": sum(leak.utterances for leak in leaks.values()),
        "corpora": sorted({name for leak in leaks.values() for name in leak.corpora}),
    }
