"""Models that hear samples: wav2vec2, hubert, wavlm, unispeech(-sat), data2vec-audio, conformer."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from embedcache.encoders._padded_batch import padded_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.encoders import Samples

_NORMALISE_FLOOR = 1e-7  # the variance floor of transformers' Wav2Vec2FeatureExtractor


class Waveforms:
    """Clips as the models of this kind take them.

    Attributes:
        rate_hz: Sample rate that the model hears.
        hop: Samples from one frame to the next.
        receptive: Samples that one frame sees of the convolutions' input.
        longest: None; there is no limit.
        padded_to: 0; a clip is as long as it is.
        settings: What the frames depend on, for the key.
    """

    longest = None
    padded_to = 0

    def __init__(self, config: Any, extractor: Any, device: str) -> None:
        """Read the grid off the model's configuration, the rest off its feature extractor."""
        self._device = device
        self.rate_hz = int(extractor.sampling_rate)
        self.hop = prod(config.conv_stride)
        self.receptive = receptive(config.conv_kernel, config.conv_stride)
        self._normalise = bool(extractor.do_normalize)
        self.settings = {"normalise": self._normalise}

    def prepare(self, clip: Samples) -> Samples:
        """Zero mean and unit variance over the whole clip, where the checkpoint asks for it."""
        if not self._normalise:
            return clip
        scaled: Samples = (clip - clip.mean()) / np.sqrt(clip.var() + _NORMALISE_FLOOR)
        return scaled

    def arguments(self, clips: Sequence[Samples]) -> dict[str, Any]:
        """The model's arguments: zero-padded samples [B, samples], and a mask where they differ."""
        batch, mask = padded_batch(clips, self._device)
        return {"input_values": batch, **mask}


def receptive(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame of stacked convolutions sees: 1 + sum_i (k_i - 1) prod_{j<i} s_j.

    >>> receptive((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))
    400
    """
    return 1 + sum((k - 1) * prod(strides[:i]) for i, k in enumerate(kernels))
