"""What bands as wide as the ear's tell of a frame: mel energies, their cepstrum, loudness.

Mel scale and cepstrum follow S. B. Davis, P. Mermelstein (1980), Comparison of parametric
representations for monosyllabic word recognition, IEEE Transactions on ASSP 28(4). Loudness weights
the bands by the equal-loudness curve of H. Hermansky (1990), Perceptual linear predictive analysis
of speech, JASA 87(4), and sums their powers to S. S. Stevens's exponent (1957, On the
psychophysical law, Psychological Review 64(3)), by which 10 dB more sound twice as loud.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from embedcache.encoders._columns import Column

if TYPE_CHECKING:
    import torch

BANDS = 26
CEPSTRA = 14
LOWEST_HZ = 20.0
EXPONENT = 0.3
ONE_SONE = 7.2e-6
"""Power in a band that counts as 1, such that a 1 kHz tone of -60 dB, spread over a few bands, has
the loudness 1. Where full scale stands for 100 dB, that is the sone's own definition."""

CONSTANTS = {
    "bands": BANDS,
    "cepstra": CEPSTRA,
    "lowest_hz": LOWEST_HZ,
    "exponent": EXPONENT,
    "one_sone": ONE_SONE,
}

COLUMNS = (
    Column("loudness", "sone-like", "sum of the bands' loudness, 10 dB more is twice as much"),
    *(Column(f"mfcc_{n}", "", f"mel-frequency cepstral coefficient {n}")
      for n in range(1, CEPSTRA + 1)),
    *(Column(f"logmel_{n}", "ln of full scale²", f"power in mel band {n} of {BANDS}")
      for n in range(1, BANDS + 1)),
)  # fmt: skip


def bands(power: torch.Tensor, floor: float, rate_hz: int) -> torch.Tensor:
    """Loudness, cepstrum and mel energies.

    Args:
        power: Power spectra from 0 Hz to half the sample rate, with a floor added to each bin that
            logarithms need.
        floor: The floor, which is not heard: silence has no loudness.
        rate_hz: Sample rate.

    Shape:
        [T, bins] -> [T, columns].
    """
    import torch

    filters, weights, cosines = (table.to(power) for table in _tables(power.shape[1], rate_hz))
    energies = power @ filters
    heard = (energies - floor * filters.sum(dim=0)).clamp_min(0) * weights / ONE_SONE
    loudness = heard.pow(EXPONENT).sum(dim=1, keepdim=True)
    logs = energies.log()
    return torch.cat([loudness, logs @ cosines, logs], dim=1)


@cache
def _tables(bins: int, rate_hz: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mel filters, equal-loudness weights at their centres, cosines without the constant one."""
    import torch
    import torchaudio.functional as audio

    filters = audio.melscale_fbanks(bins, LOWEST_HZ, rate_hz / 2, BANDS, rate_hz)
    hz = torch.linspace(0, rate_hz / 2, bins)
    centres = (filters * hz[:, None]).sum(dim=0) / filters.sum(dim=0)
    weights = _equal_loudness(centres) / _equal_loudness(torch.tensor(1000.0))
    return filters, weights, audio.create_dct(CEPSTRA + 1, BANDS, norm="ortho")[:, 1:]


def _equal_loudness(hz: torch.Tensor) -> torch.Tensor:
    """Hermansky's approximation of the ear's sensitivity to power at 40 phon."""
    square = hz.square()
    return (square / (square + 1.6e5)) ** 2 * (square + 1.44e6) / (square + 9.61e6)
