"""Frame-level prosodic and spectral descriptors without weights, every 10 ms.

A frame sees 60 ms: the fundamental frequency needs three periods of the lowest voice. All else is
taken of the 25 ms in its middle. Every window lies within the clip, so no padding can show.

Two things look at further frames: deltas at two on either side, and the path of the fundamental
frequency at all. So where a long clip is encoded in windows, the two frames on either side of a
seam have other deltas than in the whole clip, and seldom another pitch; docs/descriptors.md says
how seldom.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from embedcache.encoders import (
    ColumnRoles,
    Encoder,
    EncoderSpec,
    Frames,
    Samples,
    _bands,
    _pitch,
    require_plain,
)
from embedcache.encoders import _spectral_shape as _shape
from embedcache.encoders._columns import REACH, Column, slopes
from embedcache.encoders._pitch import Peaks, PitchConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

IDS = {
    "lld": "62 descriptors of level, spectrum and pitch with deltas, every 10 ms (no weights)",
}

RATE_HZ = 16_000
HOP = 160
WINDOW = 960
MIDDLE = 400
FFT = 512
FLOOR = 1e-12  # of the power in a bin, full scale squared: below the rounding noise of 16 bits
QUIETEST = 1e-10  # of the mean square: -100 dB
PITCH = PitchConfig()
_CHUNK_FRAMES = 4_096
_FIRST = (WINDOW - MIDDLE) // 2

_WAVEFORM = (
    Column("energy", "dB of full scale", "mean square of the samples"),
    Column("zero_crossings", "1/s", "changes of sign"),
)
BASE = (*_WAVEFORM, *_bands.COLUMNS, *_shape.COLUMNS, *_pitch.COLUMNS)
DELTAS = tuple(
    Column(f"{c.name}_delta", f"{c.unit} per frame".strip(), f"slope of {c.name}") for c in BASE
)
COLUMNS: tuple[Column, ...] = BASE + DELTAS
"""What the values of a frame are, in order."""
_NAMES = [column.name for column in COLUMNS]
ROLES = ColumnRoles(level=(_NAMES.index("energy"),), voiced=_NAMES.index("voiced"))


def load(encoder_id: str, layers: str, device: str, dtype: str) -> Encoder:
    """The encoder `lld`; it has one layer and computes in float32."""
    require_plain(encoder_id, layers, dtype)
    return _Descriptors(encoder_id, device)


class _Descriptors:
    def __init__(self, encoder_id: str, device: str) -> None:
        import torch

        self._device = torch.device(device)
        self.spec = EncoderSpec(
            id=encoder_id,
            family="descriptors",
            config={
                "window": WINDOW,
                "hop": HOP,
                "middle": MIDDLE,
                "fft": FFT,
                "floor": FLOOR,
                "quietest": QUIETEST,
                "delta_reach": REACH,
                "columns": _NAMES,
                "pitch": {**asdict(PITCH), **_pitch.CONSTANTS},
                "bands": _bands.CONSTANTS,
                "shape": _shape.CONSTANTS,
            },
            weights="",
            trained=None,
            rate_hz=RATE_HZ,
            hop=HOP,
            receptive=WINDOW,
            dim=len(COLUMNS),
            layers=("last",),
            last="last",
            dtype="float32",
            pads=True,
            roles=ROLES,
        )

    def prepare(self, clip: Samples) -> Samples:
        """Nothing: each frame frees its own window of its mean."""
        return clip

    def encode(self, clips: Sequence[Samples]) -> list[Frames]:
        """Frames of each clip, one clip after the other: [1, T, D]."""
        import torch

        with torch.inference_mode():
            return [self._frames(torch.from_numpy(clip)) for clip in clips]

    def _frames(self, clip: torch.Tensor) -> Frames:
        import torch

        windows = clip.to(self._device, torch.float32).unfold(0, WINDOW, HOP)  # [T, WINDOW], a view
        chunks = torch.split(windows, _CHUNK_FRAMES)
        found = [_pitch.find_peaks(chunk, RATE_HZ, PITCH) for chunk in chunks]
        peaks = Peaks(torch.cat([p.hz for p in found]), torch.cat([p.heights for p in found]))
        local = torch.cat([_local(chunk) for chunk in chunks])
        base = torch.cat([local, _pitch.pitch(peaks, PITCH)], dim=1)
        frames: Frames = torch.cat([base, slopes(base)], dim=1).cpu().numpy()
        return frames[None]


def _local(windows: torch.Tensor) -> torch.Tensor:
    """What a frame tells without its neighbours and without pitch: [T, WINDOW] -> [T, columns].

    A window is long enough to hold the middle of the one before it, which the first frame's flux
    is taken to.
    """
    import torch

    earlier, middles = (windows[:, first : first + MIDDLE] for first in (_FIRST - HOP, _FIRST))
    samples = torch.cat([earlier[:1], middles])
    samples = samples - samples.mean(dim=1, keepdim=True)
    power = _power(samples)
    samples = samples[1:]
    energy = 10 * (samples.square().mean(dim=1) + QUIETEST).log10()
    positive = samples >= 0
    crossings = (positive[:, 1:] != positive[:, :-1]).sum(dim=1) * (RATE_HZ / (MIDDLE - 1))
    hz = torch.linspace(0, RATE_HZ / 2, FFT // 2 + 1).to(power)
    return torch.cat(
        [
            torch.stack([energy, crossings], dim=1),
            _bands.bands(power[1:], FLOOR, RATE_HZ),
            _shape.spectral_shape(power[1:, 1:], power[:-1, 1:], hz[1:]),
        ],
        dim=1,
    )


def _power(samples: torch.Tensor) -> torch.Tensor:
    """Power spectra that add up to the mean square: [T, MIDDLE] -> [T, FFT // 2 + 1]."""
    import torch

    hann = torch.hann_window(MIDDLE).to(samples)
    spectra = torch.fft.rfft(samples * hann, n=FFT).abs().square()
    power: torch.Tensor = spectra * (2 / (FFT * hann.square().sum())) + FLOOR
    return power
