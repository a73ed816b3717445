"""The source: pulses of air through the vocal folds, and the breath between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from embedcache.synthesis.levels import rms, scale_to_rms

if TYPE_CHECKING:
    from embedcache.synthesis import Array

SHIMMER_PER_JITTER = 3.66  # 3.81 % to 1.04 %, the two limits of normal voices in Praat's manual


def glottal_source(
    f0_hz: Array,
    amplitude: Array,
    rate_hz: int,
    rng: np.random.Generator,
    *,
    open_quotient: float,
    breathiness: float,
    jitter: float,
) -> Array:
    """The sound at the glottis, as it would be heard without a vocal tract.

    Pulses of glottal flow, differentiated, because the lips radiate the flow's derivative; and
    aspiration noise, strongest while the glottis is open.

    Args:
        f0_hz: Fundamental frequency at every sample.
        amplitude: Of the flow at every sample; 0 is silence.
        rate_hz: Sample rate.
        rng: Draws jitter, shimmer and noise.
        open_quotient: Share of each period for which the glottis is open.
        breathiness: RMS of the noise relative to the pulses'.
        jitter: Standard deviation of the periods, relative to their mean.

    Shape:
        f0_hz, amplitude [N] -> [N].
    """
    cycles = np.cumsum(f0_hz) / rate_hz
    most = int(1.5 * cycles[-1]) + 20  # periods, however short the jitter makes them
    lengths = 1 + jitter * rng.standard_normal(most).clip(-3, 3)
    bounds = np.concatenate([[0.0], np.cumsum(lengths)])
    period = np.searchsorted(bounds, cycles, side="right") - 1
    flow = glottal_flow((cycles - bounds[period]) / lengths[period], open_quotient)
    # The flow is zero where periods meet, so a new amplitude for each makes no click.
    shimmer = 1 + SHIMMER_PER_JITTER * jitter * rng.standard_normal(most).clip(-3, 3)
    pulses: Array = np.diff(flow * amplitude * shimmer[period], prepend=0.0)
    breath = rng.standard_normal(len(flow)) * amplitude * (0.3 + 0.7 * flow)
    return pulses + scale_to_rms(breath, breathiness * rms(pulses))


def glottal_flow(phase: Array, open_quotient: float) -> Array:
    """Rosenberg's (1971, JASA 49) polynomial pulse.

    With x the phase, p = 5/7 and q = 2/7 of the open quotient, the flow is
    3 (x/p)^2 - 2 (x/p)^3 while the glottis opens, 1 - ((x-p)/q)^2 while it closes, else 0.

    Args:
        phase: Place in the period, 0 to 1.
        open_quotient: Share of the period for which the glottis is open.

    Shape:
        phase [N] -> [N].

    >>> glottal_flow(np.array([0.0, 0.25, 0.5, 0.6, 0.7, 0.9]), open_quotient=0.7).round(6).tolist()
    [0.0, 0.5, 1.0, 0.75, 0.0, 0.0]
    """
    opening, closing = open_quotient * 5 / 7, open_quotient * 2 / 7
    x = phase / opening
    y = (phase - opening) / closing
    flow: Array = np.where(x < 1, x * x * (3 - 2 * x), np.maximum(1 - y * y, 0) * (y < 1))
    return flow
