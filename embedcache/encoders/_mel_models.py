"""Models that hear log mel energies: wav2vec2-bert, and Whisper's encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from embedcache.encoders._padded_batch import padded_batch
from embedcache.errors import SerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.encoders import Samples

_HOP = 160  # samples from one mel step to the next, fixed by SeamlessM4TFeatureExtractor


class StackedMels:
    """Clips as wav2vec2-bert takes them: normalised mel energies, two steps of 10 ms to a frame.

    Attributes:
        rate_hz: Sample rate that the model hears.
        hop: Samples from one frame to the next.
        receptive: Samples that one frame sees.
        longest: None; there is no limit.
        padded_to: 0; a clip is as long as it is.
        settings: What the frames depend on, for the key.
    """

    longest = None
    padded_to = 0

    def __init__(self, config: Any, extractor: Any, encoder_id: str, device: str) -> None:
        """Check that the feature extractor gives what the model takes.

        Raises:
            SerError: It gives another number of values.
        """
        self.rate_hz = int(extractor.sampling_rate)
        mels, stack = int(extractor.num_mel_bins), int(extractor.stride)
        if mels * stack != config.feature_projection_input_dim:
            raise SerError(
                f"--encoder {encoder_id}: its preprocessor_config.json gives {stack} times "
                f"{mels} mel energies a frame, its config.json takes "
                f"{config.feature_projection_input_dim}; one of them is another model's"
            )
        self._extractor, self._device = extractor, device
        self.hop = _HOP * stack
        self.receptive = len(extractor.window) + _HOP * (stack - 1)
        self.settings = {"features": {"num_mel_bins": mels, "stride": stack}}

    def prepare(self, clip: Samples) -> Samples:
        """Nothing: it is the mel energies that are normalised."""
        return clip

    def arguments(self, clips: Sequence[Samples]) -> dict[str, Any]:
        """The model's arguments: zero-padded features [B, T, mels], and a mask where T differs."""
        batch, mask = padded_batch([self._features(clip) for clip in clips], self._device)
        return {"input_features": batch, **mask}

    def _features(self, clip: Samples) -> npt.NDArray[np.float32]:
        """[samples] -> [T, stack * mels].

        The rows that the mask marks: after an odd number of steps the last row is half padding,
        and the model would answer it with one frame too many.
        """
        given = self._extractor(clip, sampling_rate=self.rate_hz, return_tensors="np")
        rows: npt.NDArray[np.float32] = given["input_features"][0][: given["attention_mask"].sum()]
        return rows


class PaddedMels:
    """Clips as Whisper takes them: the log mel energies of 30 s, most of it silence.

    The silence is attended to, as it was in training, so a short clip costs as much as a long one.

    Attributes:
        rate_hz: Sample rate that the model hears.
        hop: Samples from one frame to the next.
        receptive: 1: a frame that is begun is kept.
        longest: Samples in 30 s.
        padded_to: The same.
        settings: What the frames depend on, for the key.
    """

    receptive = 1

    def __init__(self, config: Any, extractor: Any, encoder_id: str, device: str) -> None:
        """Check that the feature extractor gives what the model takes.

        Raises:
            SerError: It gives another number of values or of steps.
        """
        self.rate_hz = int(extractor.sampling_rate)
        given = int(extractor.feature_size), int(extractor.nb_max_frames)
        taken = int(config.num_mel_bins), 2 * int(config.max_source_positions)
        if given != taken:
            raise SerError(
                f"--encoder {encoder_id}: its preprocessor_config.json gives {given[0]} mel "
                f"energies at {given[1]} steps, its config.json takes {taken[0]} at {taken[1]}; "
                "one of them is another model's"
            )
        extractor.dither = 0.0  # noise that training adds would make every run another
        self._extractor, self._device = extractor, device
        self.hop = 2 * int(extractor.hop_length)  # the second convolution has a stride of 2
        self.longest = self.padded_to = int(extractor.n_samples)
        names = ("feature_size", "n_fft", "hop_length", "chunk_length", "padding_value")
        self.settings = {"features": {name: getattr(extractor, name) for name in names}}

    def prepare(self, clip: Samples) -> Samples:
        """Nothing: the mel energies of a window are scaled by their own maximum."""
        return clip

    def arguments(self, clips: Sequence[Samples]) -> dict[str, Any]:
        """The model's arguments: features [B, mels, steps]."""
        found = self._extractor(
            list(clips), sampling_rate=self.rate_hz, return_tensors="pt", device=self._device
        )
        return {"input_features": found["input_features"]}
