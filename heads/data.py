"""Cache and labels to batches.

Letters: N utterances, B utterances of a batch, T frames, D dimension, K models, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from embedcache.utterance import Utterance
    from heads.pool import FrameReader

Array = npt.NDArray[np.floating[Any]]
Single = npt.NDArray[np.float32]

_POOL = 16  # batches are sorted by length within so many at a time: little padding, still shuffled
_DEVIATION_FLOOR = 1e-6
_LARGEST = 2**25  # values of frames that are worked on at once, padding included
_STEP = 32  # frames to whose multiples long batches are padded
_SAMPLE = 1000  # utterances whose means tell about where frames lie


@dataclass(frozen=True, slots=True)
class Scale:
    """What is taken from frames, and what they are then divided by.

    Attributes:
        shift: [G, D], one row for all utterances, or one for each speaker.
        divisor: [G, D].
        rows: [N], which row is an utterance's.
    """

    shift: Single
    divisor: Single
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSet:
    """Frames of N utterances: views of the cache, or what a head reduces them to.

    Attributes:
        arrays: [T_n, D] each, which may be read only when they are asked for.
        lengths: [N], T_n of each.
        dim: D; where a head sees several layers, theirs side by side.
        scale: What they are scaled by as they are read; None where they are left as they are.
        dtype: Of batches.
        flat: All frames as batches hold them, one utterance after the other, where memory holds
            them; None to make every batch from the arrays.
        starts: [N], where each utterance begins in `flat`.
    """

    arrays: Sequence[Array]
    lengths: npt.NDArray[np.int64]
    dim: int
    scale: Scale | None = None
    dtype: torch.dtype = torch.float32
    flat: Tensor | None = None
    starts: Tensor | None = None

    def first(self, count: int) -> FrameSet:
        """The first so many of the utterances."""
        return replace(self, arrays=self.arrays[:count], lengths=self.lengths[:count])

    def read(self, index: int) -> Single:
        """Frames of an utterance as batches hold them, in float32: [T, D]."""
        return self.scaled(np.asarray(self.arrays[index], np.float32), index)

    def scaled(self, frames: Single, index: int) -> Single:
        """Frames that stand for those of an utterance, as batches hold them: [T, D]."""
        if self.scale is None:
            return frames
        row = self.scale.rows[index]
        scaled: Single = (frames - self.scale.shift[row]) / self.scale.divisor[row]
        return scaled

    def resident(self, device: str) -> FrameSet:
        """The same with all frames on a device."""
        flat = torch.empty(int(self.lengths.sum()), self.dim, dtype=self.dtype, device=device)
        start = 0
        for index, length in enumerate(self.lengths.tolist()):
            flat[start : start + length] = torch.from_numpy(np.array(self.read(index)))
            start += length
        starts = torch.from_numpy(np.cumsum(self.lengths) - self.lengths)
        return replace(self, flat=flat, starts=starts)

    def parts(self, indices: npt.NDArray[np.int64], device: str) -> list[npt.NDArray[np.int64]]:
        """A batch as it is worked on: on a CPU in parts, clips of similar length in one.

        What is made of frames on their way is several times their size: smaller arrays take less
        memory and, as they fit the processor's caches better, less time.
        """
        if device != "cpu":
            return [indices]
        order = indices[np.argsort(self.lengths[indices], kind="stable")]
        parts: list[list[int]] = [[]]
        for index in order.tolist():
            if parts[-1] and (len(parts[-1]) + 1) * int(self.lengths[index]) * self.dim > _LARGEST:
                parts.append([])
            parts[-1].append(index)
        return [indices] if len(parts) == 1 else [np.array(part) for part in parts]

    def batch(self, indices: Sequence[int], device: str) -> tuple[Tensor, Tensor]:
        """Frames and the mask of what is no padding, which may hold any finite value.

        Long batches are padded to multiples of 32 frames: matrix products are prepared, and what is
        prepared is kept, for each shape anew, which cost a sixth of the time and a gigabyte.

        Shape:
            Output: [B, T, D] and [B, T] bool.
        """
        lengths = torch.from_numpy(self.lengths[list(indices)])
        longest = int(lengths.max())
        times = torch.arange(longest if longest <= _STEP else -(-longest // _STEP) * _STEP)
        mask = (times < lengths[:, None]).to(device)
        if self.flat is None or self.starts is None:
            padded = np.zeros((*mask.shape, self.dim), np.float32)
            for row, i in zip(padded, indices, strict=True):
                row[: self.lengths[i]] = self.read(i)
            return torch.from_numpy(padded).to(self.dtype).to(device), mask
        inside = torch.minimum(times, lengths[:, None] - 1)
        places = self.starts[list(indices), None] + inside  # [B, T]
        rows = self.flat.index_select(0, places.flatten().to(self.flat.device))
        return rows.view(*mask.shape, self.dim).to(device), mask


class _CacheFrames(Sequence[Array]):
    """Frames of utterances, read from the cache when they are asked for: views, where it can."""

    def __init__(
        self, reader: FrameReader, utterances: Sequence[Utterance], places: Sequence[int]
    ) -> None:
        self._reader, self._utterances, self._places = reader, utterances, places

    def __len__(self) -> int:
        return len(self._utterances)

    @overload
    def __getitem__(self, index: int) -> Array: ...

    @overload
    def __getitem__(self, index: slice) -> _CacheFrames: ...

    def __getitem__(self, index: int | slice) -> Array | _CacheFrames:
        if isinstance(index, slice):
            return _CacheFrames(self._reader, self._utterances[index], self._places)
        one = self._utterances[index]
        found = [self._reader.frames(one.id, place, one.view) for place in self._places]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


def load_frames(
    reader: FrameReader,
    utterances: Sequence[Utterance],
    layers: Sequence[str],
) -> FrameSet:
    """Frames of utterances or views of them, read when they are asked for.

    Args:
        reader: The cache, or several that are read as one.
        utterances: Which.
        layers: Names of stored layers, whose values stand side by side.

    Raises:
        UsageError: The cache does not hold a layer.
    """
    places = [reader.layer(layer) for layer in layers]
    arrays = _CacheFrames(reader, utterances, places)
    lengths = np.array([reader.frame_count(u.id, u.view) for u in utterances], np.int64)
    return FrameSet(arrays=arrays, lengths=lengths, dim=len(layers) * reader.meta.dim)


def reduced(frames: FrameSet, reduce: Callable[[Single], Single]) -> FrameSet:
    """What a head makes of each utterance's frames before it is trained, [T, D] to [T', D']."""
    everyone = tqdm(range(len(frames.lengths)), "reading", unit="clip", delay=2, disable=None,
                    leave=False)  # fmt: skip
    return frame_set([reduce(frames.read(i)) for i in everyone])


def frame_set(arrays: Sequence[Array]) -> FrameSet:
    """Frames that are at hand, [T_n, D] each."""
    lengths = np.array([len(array) for array in arrays], np.int64)
    return FrameSet(arrays=arrays, lengths=lengths, dim=int(arrays[0].shape[1]))


def moments(frames: FrameSet, train: npt.NDArray[np.bool_]) -> tuple[Single, Single]:
    """Mean and standard deviation per dimension over each model's training frames.

    A dimension that does not vary gets deviation 1: it is centred and left at that.

    Shape:
        train: [K, N]. Output: [K, D] each.
    """
    # Utterances that train the same models are summed up together: few groups, however many models.
    patterns, group = np.unique(train.T, axis=0, return_inverse=True)
    counts, sums, squares, shift = _sums(frames, group.ravel(), len(patterns))
    weights = patterns.T.astype(np.float64)  # [K, G]
    return _moments(weights @ counts, weights @ sums, weights @ squares, shift)


def speaker_scale(frames: FrameSet, speakers: Sequence[str | None], originals: int) -> Scale:
    """Each speaker's own mean and standard deviation, over all of their original frames.

    Args:
        frames: [N].
        speakers: [N], all of them known.
        originals: How many of the utterances are originals; views come after them.
    """
    names, group = np.unique(np.array(speakers), return_inverse=True)
    counts, sums, squares, shift = _sums(frames.first(originals), group[:originals], len(names))
    mean, deviation = _moments(counts, sums, squares, shift)
    return Scale(mean, deviation, group.astype(np.int64))


def _sums(
    frames: FrameSet, group: npt.NDArray[np.int64], groups: int
) -> tuple[Array, Array, Array, Array]:
    """Of each group: frames [G], their sums and squares [G, D] around a common shift [D].

    Around the shift, so that a large mean does not swallow a small variance.
    """
    count = len(frames.arrays)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int)).tolist()
    shift = np.mean([frames.read(i).mean(axis=0, dtype=np.float64) for i in chosen], axis=0)
    counts = np.bincount(group, frames.lengths, groups).astype(np.float64)
    sums, squares = np.zeros((2, groups, frames.dim))
    for index, row in enumerate(group.tolist()):
        centred = frames.read(index) - shift
        sums[row] += centred.sum(axis=0)
        squares[row] += np.einsum("td,td->d", centred, centred)
    return counts, sums, squares, shift


def _moments(counts: Array, sums: Array, squares: Array, shift: Array) -> tuple[Single, Single]:
    total = counts[:, None]
    mean = sums / total
    variance = squares / total - np.square(mean)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    deviation[deviation < _DEVIATION_FLOOR] = 1.0
    return (mean + shift).astype(np.float32), deviation.astype(np.float32)


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
