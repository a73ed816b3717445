"""One vector of each utterance and layer: what is left of its frames when time is averaged out.

Letters: L layers, N utterances, T frames, D dimension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from embedcache.errors import SerError, unknown_name
from heads.data import load_frames
from heads.functionals import mean_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.utterance import Utterance
    from heads.pool import FrameReader

Array = npt.NDArray[np.float32]

VECTORS = ("mean", "mean-std")


def utterance_vectors(
    reader: FrameReader,
    utterances: Sequence[Utterance],
    layers: Sequence[str],
    kind: str = "mean",
) -> Array:
    """Means over time of each utterance's frames, or means and deviations side by side.

    Every row is read once, layer after layer as shards store them; beside the result, memory holds
    the frames of one utterance.

    Args:
        reader: The cache, or several that are read as one.
        utterances: Which.
        layers: Names of stored layers.
        kind: `mean` or `mean-std`.

    Shape:
        Output: [L, N, D], or [L, N, 2 D] with deviations.

    Raises:
        UsageError: The cache does not hold a layer, or the kind is unknown.
        SerError: The cache is damaged, or a vector holds what is no number.
    """
    if kind not in VECTORS:
        raise unknown_name("--vectors", kind, VECTORS)
    parts = 1 + (kind == "mean-std")
    found = np.empty((len(layers), len(utterances), parts * reader.meta.dim), np.float32)
    bar = tqdm(total=found.shape[0] * found.shape[1], desc="reading", unit="clip", delay=2,
               disable=None, leave=False)  # fmt: skip
    with bar:
        for own, layer in zip(found, layers, strict=True):
            frames = load_frames(reader, utterances, [layer])
            for index, row in enumerate(own):
                row[:] = _described(frames.read(index), parts)
                bar.update()
            _require_numbers(own, utterances, layer)
    return found


def _described(frames: Array, parts: int) -> Array:
    """Mean, and deviation where two parts are asked for: [T, D] to [D] or [2 D]."""
    mean = mean_frame(frames)
    if parts == 1:
        return mean.ravel()
    deviation = np.sqrt(np.square(frames - mean).mean(axis=0, dtype=np.float64))
    return np.concatenate([mean.ravel(), deviation.astype(np.float32)])


def _require_numbers(vectors: Array, utterances: Sequence[Utterance], layer: str) -> None:
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if broken.size:
        raise SerError(
            f"the vector of utterance {utterances[broken[0]].id} at layer {layer} holds NaN or "
            "infinity; run `ser cache verify`"
        )
