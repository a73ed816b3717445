"""Cache and labels to batches.

Letters: N utterances, B utterances of a batch, T frames, D dimension, K models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from embedcache.store.reader import CacheReader
    from embedcache.utterance import Utterance

Array = npt.NDArray[np.floating[Any]]

_POOL = 16  # batches are sorted by length within so many at a time: little padding, still shuffled
_DEVIATION_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class FrameSet:
    """Frames of N utterances: views of the cache, or what a head reduces them to.

    Attributes:
        arrays: [T_n, D] each.
    """

    arrays: Sequence[Array]

    @property
    def dim(self) -> int:
        """D."""
        return int(self.arrays[0].shape[1])

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """T_n of each utterance: [N]."""
        return np.array([len(array) for array in self.arrays], np.int64)

    def first(self, count: int) -> FrameSet:
        """The first so many of the utterances."""
        return FrameSet(self.arrays[:count])

    def batch(self, indices: Sequence[int], device: str) -> tuple[Tensor, Tensor]:
        """Padded frames and the mask of what is no padding.

        Shape:
            Output: [B, T, D] float32 and [B, T] bool.
        """
        chosen = [self.arrays[i] for i in indices]
        lengths = torch.tensor([len(array) for array in chosen])
        padded = np.zeros((len(chosen), int(lengths.max()), self.dim), np.float32)
        for row, array in zip(padded, chosen, strict=True):
            row[: len(array)] = array
        mask = torch.arange(padded.shape[1]) < lengths[:, None]
        return torch.from_numpy(padded).to(device), mask.to(device)


def load_frames(
    reader: CacheReader,
    utterances: Sequence[Utterance],
    layer: str,
    reduce: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]] | None,
) -> FrameSet:
    """Frames of utterances or views of them at one layer, reduced once where the head allows it.

    Raises:
        UsageError: The cache does not hold the layer.
        SerError: A row is damaged.
    """
    index = reader.layer(layer)
    views = (reader.frames(utterance.id, index, utterance.view) for utterance in utterances)
    if reduce is None:
        return FrameSet(list(views))
    return FrameSet([reduce(view.astype(np.float32)) for view in views])


def moments(
    frames: FrameSet, train: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean and standard deviation per dimension over each model's training frames.

    A dimension that does not vary gets deviation 1: it is centred and left at that.

    Shape:
        train: [K, N]. Output: [K, D] each.
    """
    counts = frames.lengths.astype(np.float64)
    sums = np.stack([array.sum(axis=0, dtype=np.float64) for array in frames.arrays])
    # Around a common shift, so that a large mean does not swallow a small variance.
    shift = sums.sum(axis=0) / counts.sum()
    squares = np.stack(
        [np.square(array - shift, dtype=np.float64).sum(axis=0) for array in frames.arrays]
    )
    weights = train.astype(np.float64)
    total = (weights @ counts)[:, None]
    mean = weights @ sums / total
    variance = weights @ squares / total - np.square(mean - shift)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    deviation[deviation < _DEVIATION_FLOOR] = 1.0
    return mean.astype(np.float32), deviation.astype(np.float32)


def training_batches(
    lengths: npt.NDArray[np.int64], size: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """One epoch: every utterance once, in shuffled batches of similar length."""
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), size * _POOL):
        pool = order[start : start + size * _POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    for index in rng.permutation(len(batches)):
        yield batches[index]


def reading_batches(lengths: npt.NDArray[np.int64], size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Every utterance once, in the order of length."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), size):
        yield order[start : start + size]
