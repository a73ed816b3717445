"""The clips of a corpus, decoded once to hear them all, and in the order of batches.

Letters: N utterances, B of them in a batch.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from embedcache.ahead import ahead
from embedcache.encode import Clip, decode_clip
from embedcache.errors import ClipError, SerError
from heads.train.memory import free_bytes

if TYPE_CHECKING:
    from embedcache.audio.conditioning import Conditioning
    from embedcache.encoders import Listener, Samples
    from embedcache.utterance import Utterance

_POOL = 50  # batches whose clips are sorted by length together, so that they hardly need padding
_MEMORY_SHARE = 0.25  # of what is free, that decoded clips may take
_DEPTH = 8  # batches that are decoded ahead

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clips:
    """Clips as an encoder takes them.

    Attributes:
        utterances: [N].
        lengths: [N], samples of each.
        encoder: What they are prepared for.
        conditioning: What is done to them after decoding.
        kept: Their samples by position, where memory holds them all.
    """

    utterances: Sequence[Utterance]
    lengths: npt.NDArray[np.int64]
    encoder: Listener
    conditioning: Conditioning
    kept: Mapping[int, Samples]

    def at(self, positions: Sequence[int]) -> Clips:
        """Some of the clips."""
        return Clips(
            [self.utterances[i] for i in positions],
            self.lengths[list(positions)],
            self.encoder,
            self.conditioning,
            {new: self.kept[i] for new, i in enumerate(positions) if i in self.kept},
        )

    def read(self, index: int) -> Samples:
        """A clip's samples.

        Raises:
            SerError: It could be decoded before, and cannot any more.
        """
        if index in self.kept:
            return self.kept[index]
        found = decode_clip(Clip(self.utterances[index], 0.0), self.encoder, self.conditioning)
        if isinstance(found, ClipError):
            one = self.utterances[index]
            raise SerError(f"{one.path} ({one.name}) can no longer be decoded: {found}") from found
        return found

    def batches(
        self, batches: Sequence[Sequence[int]], cut: Mapping[int, tuple[int, int]]
    ) -> Iterator[tuple[Sequence[int], list[Samples]]]:
        """Each batch's positions and samples; those that come next are decoded meanwhile.

        Args:
            batches: Positions.
            cut: Where longer clips begin and end, by position.
        """

        def read(batch: Sequence[int]) -> list[Samples]:
            return [self.read(i)[slice(*cut.get(i, (None, None)))] for i in batch]

        yield from ahead(read, batches, min(4, os.cpu_count() or 1), _DEPTH)


def listen(
    utterances: Sequence[Utterance], encoder: Listener, conditioning: Conditioning
) -> tuple[Clips, list[int], dict[str, str]]:
    """Decode all clips once, since only that tells which of them can be used.

    Returns:
        The clips that can, their positions, and why others cannot, by id.
    """
    budget = _MEMORY_SHARE * free_bytes("cpu")
    kept: dict[int, Samples] = {}
    lengths: list[int] = []
    positions: list[int] = []
    faults: dict[str, str] = {}

    def decode(index: int) -> Samples | ClipError:
        return decode_clip(Clip(utterances[index], 0.0), encoder, conditioning)

    heard = ahead(decode, range(len(utterances)), min(4, os.cpu_count() or 1), 2 * _DEPTH)
    bar = tqdm(heard, "listening", len(utterances), unit="clip", delay=2, disable=None,
               leave=False)  # fmt: skip
    for index, found in bar:
        if isinstance(found, ClipError):
            faults[utterances[index].id] = str(found)
            continue
        if budget > 0:
            kept[len(positions)] = found
            budget -= found.nbytes
        positions.append(index)
        lengths.append(len(found))
    if budget <= 0:
        _log.info("memory does not hold all clips: they are decoded again in each epoch")
        kept.clear()
    clips = Clips(
        [utterances[i] for i in positions], np.array(lengths, np.int64), encoder, conditioning, kept
    )
    return clips, positions, faults


def shuffled_batches(
    lengths: npt.NDArray[np.int64], budget: int, rng: np.random.Generator
) -> list[list[int]]:
    """Every clip once, in shuffled batches of similar length with so many samples at most.

    A clip that is longer than that has a batch of its own.

    Args:
        lengths: [N].
        budget: Samples of a batch, padding included.
        rng: Of the shuffling.

    >>> batches = shuffled_batches(np.array([5, 9, 5, 20]), 18, np.random.default_rng(0))
    >>> sorted(sorted(batch) for batch in batches)
    [[0, 2], [1], [3]]
    """
    order = rng.permutation(len(lengths))
    size = max(1, int(budget / max(1.0, float(lengths.mean())))) * _POOL
    batches: list[list[int]] = []
    for start in range(0, len(order), size):
        pool = order[start : start + size]
        batches += _cut(pool[np.argsort(lengths[pool], kind="stable")], lengths, budget)
    return [batches[i] for i in rng.permutation(len(batches))]


def sorted_batches(lengths: npt.NDArray[np.int64], budget: int) -> list[list[int]]:
    """Every clip once, in the order of length."""
    return _cut(np.argsort(lengths, kind="stable"), lengths, budget)


def _cut(
    order: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], budget: int
) -> list[list[int]]:
    """Clips in this order, the longest of each batch last, as many as a batch may hold."""
    batches: list[list[int]] = []
    for index in order.tolist():
        if batches and (len(batches[-1]) + 1) * int(lengths[index]) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
