"""The shape of short-time spectra: where their power lies, how it is spread, how it changes.

Moments, roll-off, flatness, entropy and flux follow G. Peeters (2004), A large set of audio
features for sound description, Ircam. Slopes, alpha ratio and Hammarberg index follow F. Eyben et
al. (2016), The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice research and affective
computing, IEEE Transactions on Affective Computing 7(2): 190-202.

None of them but for numerical floors depends on the level.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from embedcache.encoders._columns import Column

if TYPE_CHECKING:
    import torch

ROLLOFFS = (0.25, 0.5, 0.75, 0.9)
SLOPES_HZ = ((0, 500), (500, 1500))
ALPHA_HZ = ((50, 1000), (1000, 5000))
HAMMARBERG_HZ = ((0, 2000), (2000, 5000))
CONSTANTS = {
    "rolloffs": list(ROLLOFFS),
    "slopes_hz": [list(band) for band in SLOPES_HZ],
    "alpha_hz": [list(band) for band in ALPHA_HZ],
    "hammarberg_hz": [list(band) for band in HAMMARBERG_HZ],
}

COLUMNS = (
    Column("centroid", "Hz", "mean frequency, weighted by power"),
    Column("spread", "Hz", "standard deviation of the frequency around the centroid"),
    Column("skewness", "asinh", "skewness of the power over frequency"),
    Column("kurtosis", "ln", "kurtosis of the power over frequency"),
    *(Column(f"rolloff_{100 * share:.0f}", "Hz",
             f"frequency below which {share:.0%} of the power lies")
      for share in ROLLOFFS),
    Column("entropy", "0 to 1", "entropy of the power over frequency, 1 where it is even"),
    Column("flatness", "dB", "geometric over arithmetic mean of the power"),
    Column("flux", "0 to √2", "distance of the spectrum, at length 1, to the one 10 ms before"),
    *(Column(f"slope_{low}_{high}", "dB/kHz", f"slope of the spectrum from {low} to {high} Hz")
      for low, high in SLOPES_HZ),
    Column("alpha_ratio", "dB", "power from 50 Hz to 1 kHz over that from 1 to 5 kHz"),
    Column("hammarberg", "dB", "strongest power below 2 kHz over that from 2 to 5 kHz"),
)  # fmt: skip


def spectral_shape(power: torch.Tensor, before: torch.Tensor, hz: torch.Tensor) -> torch.Tensor:
    """Describe spectra.

    Args:
        power: Power spectra, above 0, without the bin at 0 Hz.
        before: The same a hop earlier.
        hz: Frequency of each bin.

    Shape:
        [T, bins], [T, bins], [bins] -> [T, columns].
    """
    import torch

    share = power / power.sum(dim=1, keepdim=True)
    columns = [
        *_moments(share, hz),
        *_rolloffs(share, hz),
        -(share * share.log()).sum(dim=1) / math.log(len(hz)),
        10 / math.log(10) * (power.log().mean(dim=1) - power.mean(dim=1).log()),
        (_unit(power) - _unit(before)).square().sum(dim=1).sqrt(),
        *(_slope(power, hz, *band) for band in SLOPES_HZ),
        _decibels(_sum(power, hz, *ALPHA_HZ[0]) / _sum(power, hz, *ALPHA_HZ[1])),
        _decibels(_peak(power, hz, *HAMMARBERG_HZ[0]) / _peak(power, hz, *HAMMARBERG_HZ[1])),
    ]
    return torch.stack(columns, dim=1)


def _moments(share: torch.Tensor, hz: torch.Tensor) -> list[torch.Tensor]:
    """Centroid, spread, skewness, kurtosis; the last two compressed, as a tone's are vast."""
    centroid = share @ hz
    away = hz - centroid[:, None]
    spread = (share * away.square()).sum(dim=1).sqrt()
    away = away / spread.clamp_min(1.0)[:, None]
    skewness = (share * away.pow(3)).sum(dim=1)
    kurtosis = (share * away.pow(4)).sum(dim=1)
    return [centroid, spread, skewness.asinh(), kurtosis.clamp_min(1.0).log()]


def _rolloffs(share: torch.Tensor, hz: torch.Tensor) -> list[torch.Tensor]:
    """Frequencies below which given shares of the power lie, interpolated within a bin."""
    import torch

    below = share.cumsum(dim=1)
    limits = torch.tensor(ROLLOFFS).to(share).expand(len(share), -1).contiguous()
    bins = torch.searchsorted(below, limits).clamp_max(len(hz) - 1)
    inside = share.gather(1, bins)
    missing = (below.gather(1, bins) - limits) / inside.clamp_min(1e-20)
    width = hz[1] - hz[0]
    return list((hz[bins] + width * (0.5 - missing.clamp(0, 1))).T)


def _unit(power: torch.Tensor) -> torch.Tensor:
    """Magnitude spectra brought to length 1."""
    return (power / power.sum(dim=1, keepdim=True)).sqrt()


def _slope(power: torch.Tensor, hz: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Slope of a line fitted to the spectrum in dB between two frequencies."""
    inside = (hz >= low) & (hz <= high)
    khz = hz[inside] / 1000
    khz = khz - khz.mean()
    return _decibels(power[:, inside]) @ (khz / khz.square().sum())


def _sum(power: torch.Tensor, hz: torch.Tensor, low: float, high: float) -> torch.Tensor:
    return power[:, (hz >= low) & (hz < high)].sum(dim=1)


def _peak(power: torch.Tensor, hz: torch.Tensor, low: float, high: float) -> torch.Tensor:
    return power[:, (hz >= low) & (hz < high)].amax(dim=1)


def _decibels(power: torch.Tensor) -> torch.Tensor:
    return 10 * power.log10()
