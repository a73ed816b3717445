"""Hide spans of frames and bands of dimensions while training, as SpecAugment does.

A hidden frame is taken out of the clip's mask, so that heads pass over it as over padding. A hidden
dimension has each model's own mean: its frames are zeroed, and `Standardise` gives zero for it.
Where frames are weighed against each other over time, a dimension that is zero throughout weighs
nothing.

D. S. Park, W. Chan, Y. Zhang, C.-C. Chiu, B. Zoph, E. D. Cubuk, Q. V. Le (2019), SpecAugment: A
Simple Data Augmentation Method for Automatic Speech Recognition, Interspeech, arXiv 1904.08779.

Letters: B utterances, T frames, D dimension.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from heads.stacked import Standardise

if TYPE_CHECKING:
    from collections.abc import Iterator

Bools = npt.NDArray[np.bool_]


def draw_spans(
    lengths: npt.NDArray[np.int64], share: float, span: int, rng: np.random.Generator
) -> Bools:
    """Which positions of each row are hidden: spans at random places, a share of its length in all.

    Spans do not overlap and are dealt round a circle, so every position is hidden equally often; a
    span that passes the end goes on at the beginning. At least one position of a row stays.

    Args:
        lengths: [B], the length of each row.
        share: Of each row, from 0 to below 1; fractions of a position are drawn.
        span: Positions of one span; the last one may be shorter.
        rng: Draws the places.

    Shape:
        Output: [B, max(lengths)].
    """
    hidden = np.zeros((len(lengths), int(lengths.max(initial=0))), bool)
    for row, length in zip(hidden, lengths.tolist(), strict=True):
        count = min(int(share * length + rng.random()), length - 1)
        if count < 1:
            continue
        starts = np.arange(0, count, span)  # of the spans, among the hidden positions
        # Before each span a random number of the positions that stay: a random composition.
        stay = length - count
        cuts = np.sort(rng.integers(0, stay + 1, len(starts)))
        places = np.arange(count) + np.repeat(cuts, np.diff(np.append(starts, count)))
        row[(places + rng.integers(length)) % length] = True
    return hidden


@contextmanager
def masked(
    head: nn.Module, frames: Tensor, mask: Tensor, hidden_frames: Bools, hidden_features: Bools
) -> Iterator[tuple[Tensor, Tensor]]:
    """A batch with something hidden, and a head that takes it so as long as the context lasts.

    Args:
        head: K stacked models with a `Standardise`.
        frames: [B, T, D].
        mask: [B, T], what is no padding.
        hidden_frames: [B, T'], of the first T' of the frames; the rest is padding.
        hidden_features: [B, D].

    Yields:
        Frames and mask to give to the head.
    """
    features = torch.from_numpy(hidden_features).to(frames.device)
    of_frames = features.repeat(1, frames.shape[-1] // features.shape[-1])  # in every layer
    shown = mask.clone()
    shown[:, : hidden_frames.shape[1]] &= ~torch.from_numpy(hidden_frames).to(mask.device)
    standardisers = [module for module in head.modules() if isinstance(module, Standardise)]
    for module in standardisers:
        module.hidden = features
    try:
        yield frames.masked_fill(of_frames[:, None], 0.0), shown
    finally:
        for module in standardisers:
            module.hidden = None
