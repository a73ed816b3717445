"""The filter: the formants of the vocal tract while it moves, and the resonators that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from embedcache.synthesis.phones import VOWELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.synthesis import Array
    from embedcache.synthesis.prosody import TimedSyllable

# A uniform tube of 17.5 cm, closed at one end, resonates at 500, 1500, ... Hz (Fant 1960). F4 and
# F5 move little between vowels, so they stay where the tube has them.
F4_F5_HZ = (3500.0, 4500.0)
# Klatt (1980), JASA 67, table I.
BANDWIDTHS_HZ = (50.0, 70.0, 110.0, 250.0, 200.0)
# While the mouth is closed F1 is at its lowest; F3's locus is taken as the same everywhere.
CLOSED_F1_HZ, F3_LOCUS_HZ = 250.0, 2500.0

TILT_FROM_HZ = 500.0  # spectral tilt turns about this frequency; the fundamental keeps its level
HOP_S, SPANNED_HOPS = 0.01, 7  # filter frames; 70 ms hold a response of 50 Hz bandwidth to -60 dB


def formant_tracks(timed: Sequence[TimedSyllable], samples: int, rate_hz: int) -> Array:
    """Formants of the average man: from each consonant's locus to its vowel and on.

    Args:
        timed: What is said, and when.
        samples: Length of the source that they are to filter.
        rate_hz: Sample rate.

    Shape:
        Returns [F, R] in Hz with F = N // hop + 2, one frame every `HOP_S`.
    """
    at_s: list[float] = []
    targets: list[tuple[float, ...]] = []
    for t in timed:
        vowel = VOWELS[t.syllable.vowel]
        locus = (CLOSED_F1_HZ, t.syllable.consonant.f2_locus_hz, F3_LOCUS_HZ)
        # The transition points to the locus, but begins to sound half-way (Delattre et al. 1955).
        half_way = tuple((a + b) / 2 for a, b in zip(locus, vowel, strict=True))
        at_s += [t.begin_s, t.release_s, t.vowel_s, t.in_vowel_s(0.4), t.in_vowel_s(0.85)]
        targets += [locus, locus, half_way, vowel, vowel]
    hop = _hop(rate_hz)
    frames_s = np.arange(samples // hop + 2) * hop / rate_hz
    moving = [np.interp(frames_s, at_s, track) for track in zip(*targets, strict=True)]
    still = [np.full(len(frames_s), hz) for hz in F4_F5_HZ]
    formants_hz: Array = np.stack([*moving, *still], axis=1)
    return formants_hz


def vocal_tract(
    source: Array, formants_hz: Array, tilt_db_per_octave: float, rate_hz: int
) -> Array:
    """Filter a source by resonances that move.

    The source is cut into overlapping Hann windows, which add up to one. Each piece passes through
    its own filter, whole, with the ringing after its end, and the results are added. So one filter
    fades into the next, nothing is cut off, and where the formants stand still this is exactly
    the time-invariant filter.

    Args:
        source: Sound pressure at the glottis.
        formants_hz: Resonances every `HOP_S` seconds.
        tilt_db_per_octave: Slope added above 500 Hz.
        rate_hz: Sample rate.

    Shape:
        source [N], formants_hz [F, R] with F = N // hop + 2 -> [N + the ringing].
    """
    hop = _hop(rate_hz)
    frames = len(formants_hz)
    size = SPANNED_HOPS * hop
    # Frame f is centred on sample f * hop.
    padded = np.zeros((frames + 1) * hop)
    padded[hop : hop + len(source)] = source
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop]  # [F, 2 hop]
    window = np.sin(np.pi * np.arange(2 * hop) / (2 * hop)) ** 2
    spectrum = np.fft.rfft(pieces * window, size)
    spectrum *= _tilt_gain(size, tilt_db_per_octave, rate_hz)
    denominator = _resonances(formants_hz, rate_hz)
    # A resonance passes 0 Hz unchanged (Klatt 1980): its gain is its denominator's sum.
    spectrum *= denominator.sum(axis=1, keepdims=True) / np.fft.rfft(denominator, size)
    rung = np.fft.irfft(spectrum, size).reshape(frames, SPANNED_HOPS, hop)
    out = np.zeros((frames + SPANNED_HOPS - 1, hop))
    for shift in range(SPANNED_HOPS):
        out[shift : shift + frames] += rung[:, shift]
    return out.reshape(-1)[hop:]


def _hop(rate_hz: int) -> int:
    return round(HOP_S * rate_hz)


def _tilt_gain(size: int, tilt_db_per_octave: float, rate_hz: int) -> Array:
    frequency_hz = np.fft.rfftfreq(size, 1 / rate_hz)
    octaves = np.log2(np.maximum(frequency_hz, TILT_FROM_HZ) / TILT_FROM_HZ)
    return np.asarray(10 ** (tilt_db_per_octave * octaves / 20))


def _resonances(formants_hz: Array, rate_hz: int) -> Array:
    """Denominators of the cascades, [F, 2R + 1].

    A resonance at f with bandwidth b has the poles r exp(+-i theta) with r = exp(-pi b / rate) and
    theta = 2 pi f / rate, so its denominator is 1 - 2 r cos(theta) z^-1 + r^2 z^-2.
    """
    frames, count = formants_hz.shape
    radius = np.exp(-np.pi * np.array(BANDWIDTHS_HZ) / rate_hz)
    first = -2 * radius * np.cos(2 * np.pi * formants_hz / rate_hz)
    product = np.zeros((frames, 2 * count + 1))
    product[:, 0] = 1
    for r in range(count):
        before = product.copy()
        product[:, 1:] += first[:, [r]] * before[:, :-1]
        product[:, 2:] += radius[r] ** 2 * before[:, :-2]
    return product
