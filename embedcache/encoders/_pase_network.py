"""The networks PASE and PASE+: waves in, frames out.

PASE: Pascual et al., "Learning problem-agnostic speech representations from multiple
self-supervised tasks", Interspeech 2019. PASE+: Ravanelli et al., "Multi-task self-supervised
learning for robust speech recognition", ICASSP 2020. Modules and parameters are named as in the
published checkpoints.

Letters: B clips, S samples, C channels, N steps of a block, T frames, E size of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log10, pi

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

RATE_HZ = 16_000
KERNELS = (251, 20, 11, 11, 11, 11, 11, 11)
STRIDES = (1, 10, 2, 1, 2, 1, 2, 2)
CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)
HOP = 160
RECEPTIVE = 151  # T = (S - RECEPTIVE) // HOP + 1 = (S + 9) // HOP: the first stride rounds up
SHORTEST = 471  # below it, the last block's reflected padding would be longer than its input

MIN_LOW_HZ = 50.0
MIN_BAND_HZ = 50.0
NORM_EPS = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """In what the two networks differ.

    Attributes:
        size: Values of a frame (E).
        recurrent: Whether a recurrent layer follows the blocks.
        skips: Whether all blocks but the last one are added to the output.
    """

    size: int
    recurrent: bool
    skips: bool


ARCHITECTURES = {
    "pase": Architecture(size=100, recurrent=False, skips=False),
    "pase+": Architecture(size=256, recurrent=True, skips=True),
}


class Pase(nn.Module):
    """Blocks, recurrent layer, projection, skips, normalisation.

    Shape:
        [B, 1, S] -> [B, E, T] with T = (S + 9) // 160; S is 471 at least.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        inputs = (1, *CHANNELS[:-1])
        self.blocks = nn.ModuleList(map(Block, inputs, CHANNELS, KERNELS, STRIDES))
        width, size = CHANNELS[-1], architecture.size
        self.rnn = Recurrence(width) if architecture.recurrent else None
        self.W = nn.Conv1d(width, size, 1)
        sources = CHANNELS[:-1] if architecture.skips else ()
        self.denseskips = nn.ModuleList(nn.Conv1d(c, size, 1, bias=False) for c in sources)
        self.norm_out = nn.BatchNorm1d(size, eps=NORM_EPS, affine=False)

    def forward(self, wave: Tensor) -> Tensor:
        """Frames [B, E, T] of waves [B, 1, S] at 16 kHz, as loud as they are."""
        frames = (wave.shape[-1] - RECEPTIVE) // HOP + 1
        hidden, pooled = wave, []
        for index, block in enumerate(self.blocks):
            hidden = block(hidden)  # [B, C, N]
            if index < len(self.denseskips):
                pooled.append(pool(hidden, frames))
        if self.rnn is not None:
            hidden = self.rnn(hidden)
        output: Tensor = self.W(hidden)
        # A projection without bias and a mean change places: the small one goes first, so that the
        # full rate of the first block is never held at E channels.
        for skip, source in zip(self.denseskips, pooled, strict=True):
            output = output + skip(source)
        normalised: Tensor = self.norm_out(output)
        return normalised


def pool(steps: Tensor, frames: int) -> Tensor:
    """Means over stretches of N // T steps; what is left at the end is dropped.

    The stretch follows from the real lengths, as in the reference, so it is not always the nominal
    hop: where S mod 160 is 151 or more, it is 159 samples in the first block, and drifts.

    Shape:
        [B, C, N] -> [B, C, T]

    >>> pool(torch.arange(7.0).reshape(1, 1, 7), frames=3)
    tensor([[[0.5000, 2.5000, 4.5000]]])
    """
    batch, channels, length = steps.shape
    stretch = length // frames
    return steps[..., : stretch * frames].reshape(batch, channels, frames, stretch).mean(-1)


class Block(nn.Module):
    """Reflected padding, convolution, batch norm, one slope per channel below zero."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        right = kernel // 2
        self._padding = (right if stride == 1 else right - 1, right)
        self.conv = (
            SincBank(outputs, kernel)
            if inputs == 1
            else nn.Conv1d(inputs, outputs, kernel, stride=stride)
        )
        self.norm = nn.BatchNorm1d(outputs, eps=NORM_EPS)
        self.act = nn.PReLU(outputs, init=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, N] -> [B, C', N']."""
        padded = nnf.pad(x, self._padding, mode="reflect")
        output: Tensor = self.act(self.norm(self.conv(padded)))
        return output


class SincBank(nn.Module):
    """Band-pass filters whose only weights are their band edges, in Hz."""

    def __init__(self, filters: int, taps: int) -> None:
        super().__init__()
        self._taps = taps
        # Neighbouring bands, equally wide on the mel scale from 30 Hz to just below half the rate.
        top_hz = RATE_HZ / 2 - (MIN_LOW_HZ + MIN_BAND_HZ)
        mels = torch.linspace(_mel(30.0), _mel(top_hz), filters + 1, dtype=torch.float64)
        edges_hz = 700 * (10 ** (mels / 2595) - 1)
        self.low_hz_ = nn.Parameter(edges_hz[:-1, None].float())
        self.band_hz_ = nn.Parameter(edges_hz.diff()[:, None].float())

    def filters(self) -> Tensor:
        """Impulse responses [C, taps], each 1 at its centre.

        h[n] = w[n] (sin(2 pi f2 n / rate) - sin(2 pi f1 n / rate)) rate / (2 pi n (f2 - f1)), an
        ideal band-pass over twice its width, under a Hamming window. In float64, so that a device's
        sine of many turns does not show.
        """
        low, band = self.low_hz_.double(), self.band_hz_.double()
        f1 = MIN_LOW_HZ + low.abs()  # [C, 1]
        f2 = (f1 + MIN_BAND_HZ + band.abs()).clamp(MIN_LOW_HZ, RATE_HZ / 2)
        half = self._taps // 2
        lag = torch.arange(half, 0, -1, dtype=torch.float64, device=low.device)  # outermost first
        # The reference draws its half of the window on a grid a little wider than one step.
        grid = (half - lag) * (half - 0.5) / (half - 1)
        window = 0.54 - 0.46 * torch.cos(2 * pi * grid / self._taps)
        turn = 2 * pi * lag / RATE_HZ
        side = window * ((turn * f2).sin() - (turn * f1).sin()) / (turn * (f2 - f1))
        bank = torch.cat([side, torch.ones_like(f1), side.flip(1)], dim=1)
        return bank.to(self.low_hz_.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 1, S + taps - 1] -> [B, C, S]."""
        return nnf.conv1d(x, self.filters()[:, None])


def _mel(frequency_hz: float) -> float:
    return 2595 * log10(1 + frequency_hz / 700)


class Recurrence(nn.Module):
    """A quasi-recurrent layer (Bradbury et al., 2017) that looks at a frame and the one before it.

    [z; f; o]_t = A [x_t; x_(t-1)] + b, then c_t = f_t z_t + (1 - f_t) c_(t-1) and h_t = o_t c_t,
    with tanh for z and a sigmoid for f and o. Nothing comes before the first frame.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Gates(width)])

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        current = x.transpose(1, 2)  # [B, T, C]
        before = nnf.pad(current, (0, 0, 1, -1))
        gates: Tensor = self.layers[0](torch.cat([current, before], dim=-1))
        candidate, fresh, out = gates.chunk(3, dim=-1)
        fresh = fresh.sigmoid()
        state = scan(1 - fresh, fresh * candidate.tanh())
        return (out.sigmoid() * state).transpose(1, 2)


class Gates(nn.Module):
    """The linear map to candidate, update gate and output gate: [B, T, 2C] -> [B, T, 3C]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * width, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        """The three, one after the other."""
        gates: Tensor = self.linear(x)
        return gates


def scan(keep: Tensor, new: Tensor) -> Tensor:
    """c_t = keep_t c_(t-1) + new_t from c_(-1) = 0, in log2(T) rounds over all frames at once.

    Two stretches of frames act one after the other as (k1, n1), (k2, n2) -> (k1 k2, k2 n1 + n2).
    After each round, a frame has gathered twice as many before it. As keep lies between 0 and 1,
    nothing is divided and nothing grows.

    Shape:
        [B, T, C], [B, T, C] -> [B, T, C]

    >>> scan(torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1)).flatten()
    tensor([1.0000, 1.5000, 1.7500])
    """
    reach = 1
    while reach < new.shape[1]:
        later = keep[:, reach:]
        new = torch.cat([new[:, :reach], torch.addcmul(new[:, reach:], later, new[:, :-reach])], 1)
        keep = torch.cat([keep[:, :reach], later * keep[:, :-reach]], 1)
        reach *= 2
    return new
