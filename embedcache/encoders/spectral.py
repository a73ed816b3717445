"""Spectral frames without weights: log mel energies and their cepstrum.

A frame sees 25 ms and the next begins 20 ms later: the grid of wav2vec2, so that 16,000 samples
give 49 frames here and there. No frame sees past the clip, so neither padding nor windows show.
"""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from embedcache.encoders import (
    ColumnRoles,
    Encoder,
    EncoderSpec,
    Frames,
    Samples,
    require_plain,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

IDS = {
    "logmel": "80 log mel energies, 25 ms every 20 ms (no weights)",
    "mfcc": "40 mel-frequency cepstral coefficients, 25 ms every 20 ms (no weights)",
}

RATE_HZ = 16_000
WINDOW = 400
HOP = 320
FFT = 1024  # the 25 ms window zero-padded: 80 bands need more than 201 bins
MELS = 80
CEPSTRA = 40
FLOOR = 1e-10
_DB = 10 / log(10)  # per natural logarithm of a power
_LEVELS = {
    "logmel": ColumnRoles(level=tuple(range(MELS)), level_db=_DB),
    # The first coefficient of the orthogonal transform is sqrt(MELS) times the mean of the bands.
    "mfcc": ColumnRoles(level=(0,), level_db=_DB / sqrt(MELS)),
}
_CHUNK_FRAMES = 16_384


def load(encoder_id: str, layers: str, device: str, dtype: str) -> Encoder:
    """The encoder `logmel` or `mfcc`; it has one layer and computes in float32."""
    require_plain(encoder_id, layers, dtype)
    return _Spectral(encoder_id, device)


class _Spectral:
    def __init__(self, encoder_id: str, device: str) -> None:
        import torch
        import torchaudio.functional as audio

        cepstra = CEPSTRA if encoder_id == "mfcc" else 0
        self._device = torch.device(device)
        self._window = torch.hann_window(WINDOW, device=self._device)
        self._mel: torch.Tensor = audio.melscale_fbanks(
            FFT // 2 + 1, 0.0, RATE_HZ / 2, MELS, RATE_HZ
        ).to(self._device)
        self._dct: torch.Tensor | None = None
        if cepstra:
            self._dct = audio.create_dct(cepstra, MELS, norm="ortho").to(self._device)
        self.spec = EncoderSpec(
            id=encoder_id,
            family="spectral",
            config={
                "window": WINDOW,
                "hop": HOP,
                "fft": FFT,
                "mels": MELS,
                "cepstra": cepstra,
                "floor": FLOOR,
            },
            weights="",
            trained=None,
            rate_hz=RATE_HZ,
            hop=HOP,
            receptive=WINDOW,
            dim=cepstra or MELS,
            layers=("last",),
            last="last",
            dtype="float32",
            pads=True,
            roles=_LEVELS[encoder_id],
        )

    def prepare(self, clip: Samples) -> Samples:
        """Nothing: each frame looks at its own window alone."""
        return clip

    def encode(self, clips: Sequence[Samples]) -> list[Frames]:
        """Frames of each clip: [1, T, D]."""
        import torch

        with torch.inference_mode():
            return [self._frames(torch.from_numpy(clip)) for clip in clips]

    def _frames(self, clip: Any) -> Frames:
        import torch

        windows = clip.to(self._device).unfold(0, WINDOW, HOP)  # [T, WINDOW], a view
        chunks = []
        for chunk in windows.split(_CHUNK_FRAMES):
            spectrum = torch.fft.rfft(chunk * self._window, n=FFT).abs().square()
            frames = (spectrum @ self._mel).clamp_min(FLOOR).log()
            chunks.append(frames if self._dct is None else frames @ self._dct)
        output: Frames = torch.cat(chunks).cpu().numpy().astype(np.float32)
        return output[None]
