"""Fundamental frequency and voicing: autocorrelation, and the best path through its peaks.

After P. Boersma (1993), Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound, IFA Proceedings 17: 97-110. The autocorrelation of a
window, divided by that of the window function, is near 1 at the period of a periodic sound and at
its multiples. Several peaks are kept of each frame, and one path is chosen over all frames that
prefers strong peaks, short periods and small steps; that is what keeps octaves together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedcache.encoders._columns import Column

if TYPE_CHECKING:
    import torch

REFERENCE_HZ = 27.5
HARMONICITY = (0.01, 0.9999)
"""Limits of the voicing that harmonicity is taken of: -20 to 40 dB."""
CONSTANTS = {"reference_hz": REFERENCE_HZ, "harmonicity": list(HARMONICITY)}

COLUMNS = (
    Column("f0", "semitones", "fundamental frequency above 27.5 Hz; 34.0 (196 Hz) where unvoiced"),
    Column("voicing", "0 to 1", "autocorrelation at the period: the share of power that repeats"),
    Column("voiced", "0 or 1", "whether a voice was found"),
    Column("hnr", "dB", "harmonics-to-noise ratio, from the voicing"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PitchConfig:
    """Everything that changes the numbers.

    Attributes:
        lowest_hz: Lowest fundamental frequency; its period goes into a window three times.
        highest_hz: Highest fundamental frequency.
        cut_hz: Autocorrelations are taken below this frequency, where voices are periodic.
        candidates: Peaks that are kept of each frame.
        threshold: Strength from which a peak is taken for a voice.
        octave_cost: What a peak loses for each octave that it lies lower.
        jump_cost: What a step of an octave from a frame to the next one costs.
        voicing_cost: What a step from voiced to unvoiced or back costs.
        silence: Mean square up to which a window is silent: -80 dB of full scale.
    """

    lowest_hz: float = 55.0
    highest_hz: float = 700.0
    cut_hz: float = 2500.0
    candidates: int = 8
    threshold: float = 0.45
    octave_cost: float = 0.02
    jump_cost: float = 0.5
    voicing_cost: float = 0.1
    silence: float = 1e-8


@dataclass(frozen=True, slots=True)
class Peaks:
    """Peaks of each frame's autocorrelation, the best first.

    Attributes:
        hz: Frequencies whose periods they stand at: [T, K].
        heights: Near 1 where a frame repeats itself exactly, 0 where there is no peak: [T, K].
    """

    hz: torch.Tensor
    heights: torch.Tensor


def find_peaks(windows: torch.Tensor, rate_hz: int, config: PitchConfig) -> Peaks:
    """Candidates for the fundamental frequency, each frame for itself.

    A peak's place and height are those of the parabola through three values of the autocorrelation.

    Args:
        windows: Samples of each frame.
        rate_hz: Sample rate.
        config: Limits and costs.

    Shape:
        [T, window] -> [T, K] each.
    """
    import torch

    first, last = int(rate_hz / config.highest_hz), int(rate_hz / config.lowest_hz)
    centred = windows - windows.mean(dim=1, keepdim=True)
    curves = _autocorrelation(centred, last + 2, rate_hz, config.cut_hz)
    curves = curves * (centred.square().mean(dim=1, keepdim=True) > config.silence)
    before, at, after = (curves[:, first + k : last + 1 + k] for k in (-1, 0, 1))
    octaves = torch.arange(first, last + 1).to(at).log2()
    is_peak = (at > before) & (at >= after) & (at > 0)
    scores = torch.where(is_peak, at - config.octave_cost * octaves, -torch.inf)
    found, places = scores.topk(config.candidates, dim=1)
    a, b, c = (curve.gather(1, places) for curve in (before, at, after))
    shifts = (0.5 * (a - c) / (a - 2 * b + c).clamp_max(-1e-12)).clamp(-0.5, 0.5)
    heights = (b - 0.25 * (a - c) * shifts).where(found.isfinite(), 0.0)
    return Peaks(rate_hz / (places + first + shifts), heights)


def follow(peaks: Peaks, config: PitchConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose one peak of each frame, or none.

    Args:
        peaks: Of all frames of a clip.
        config: Limits and costs.

    Returns:
        The fundamental frequency in Hz, 0 where no voice is found; and the voicing, 0 to 1: where
        no voice is found, that of the best peak.

    Shape:
        [T, K] each -> [T] each.
    """
    import torch

    octaves = (peaks.hz / config.lowest_hz).log2()
    strengths = peaks.heights + config.octave_cost * octaves
    path = _best_path(octaves.cpu().numpy(), strengths.cpu().numpy(), config)
    chosen = torch.from_numpy(path).to(peaks.hz.device)[:, None]
    count = peaks.hz.shape[1]
    voiced = (chosen < count)[:, 0]
    hz = peaks.hz.gather(1, chosen.clamp_max(count - 1))[:, 0]
    height = peaks.heights.gather(1, chosen.clamp_max(count - 1))[:, 0]
    voicing = height.where(voiced, peaks.heights.amax(dim=1)).clamp(0, 1)
    return hz * voiced, voicing


def pitch(peaks: Peaks, config: PitchConfig) -> torch.Tensor:
    """Fundamental frequency, voicing and harmonicity of all frames of a clip.

    Where no voice is found the frequency is the middle of the range, which is near that of voices:
    so statistics over frames do not jump, and no frame depends on a voice far away. Statistics of
    RAVDESS's clips serve a classifier as well with it as with frequencies interpolated from voice
    to voice, or with 0 (docs/descriptors.md).

    Shape:
        [T, K] each -> [T, columns].
    """
    import torch

    hz, voicing = follow(peaks, config)
    voiced = hz > 0
    middle = (config.lowest_hz * config.highest_hz) ** 0.5
    tones = 12 * (hz.where(voiced, middle) / REFERENCE_HZ).log2()
    share = voicing.clamp(*HARMONICITY)
    hnr = 10 * (share / (1 - share)).log10()
    return torch.stack([tones, voicing, voiced.to(hz), hnr], dim=1)


def _autocorrelation(centred: torch.Tensor, lags: int, rate_hz: int, cut_hz: float) -> torch.Tensor:
    """Autocorrelation below the cut, 1 at lag 0, freed of the window: [T, window] -> [T, lags]."""
    import torch

    window = centred.shape[1]
    size = -(-(window + lags) // 128) * 128  # long enough for lags not to wrap around
    hann, own = _taper(window, lags, size)
    hz = torch.linspace(0, rate_hz / 2, size // 2 + 1).to(centred)
    low_pass = 1 / (1 + (hz / cut_hz) ** 8)  # Butterworth, fourth order
    spectra = torch.fft.rfft(centred * hann.to(centred), n=size).abs().square()
    curves: torch.Tensor = torch.fft.irfft(spectra * low_pass, n=size)[:, :lags]
    return curves / curves[:, :1].clamp_min(1e-20) / own.to(centred)


@cache
def _taper(window: int, lags: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A Hann window and its own autocorrelation."""
    import torch

    hann = torch.hann_window(window, dtype=torch.float64)
    own = torch.fft.irfft(torch.fft.rfft(hann, n=size).abs().square(), n=size)[:lags]
    return hann.float(), (own / own[0]).float()


def _best_path(
    octaves: npt.NDArray[np.float32], strengths: npt.NDArray[np.float32], config: PitchConfig
) -> npt.NDArray[np.intp]:
    """Viterbi: which peak each frame takes; the number after the last one is none, unvoiced.

    Shape:
        [T, K], [T, K] -> [T].
    """
    frames, count = octaves.shape
    gains = np.full((frames, count + 1), config.threshold)
    gains[:, :count] = strengths
    costs = np.full((frames - 1, count + 1, count + 1), config.voicing_cost)  # from, to
    costs[:, count, count] = 0
    steps = octaves[1:, None, :] - octaves[:-1, :, None]
    costs[:, :count, :count] = config.jump_cost * np.abs(steps)
    back = np.empty((frames, count + 1), np.intp)
    total, states = gains[0], np.arange(count + 1)
    for frame in range(1, frames):
        totals = total[:, None] - costs[frame - 1]
        back[frame] = totals.argmax(axis=0)
        total = totals[back[frame], states] + gains[frame]
    path = np.empty(frames, np.intp)
    path[-1] = total.argmax()
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return path
