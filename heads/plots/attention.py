"""Where a model looks: attention weight over time, above what there is to hear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from heads.plots.style import COLOURS, INK, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.gridspec import SubplotSpec

Array = npt.NDArray[np.floating]

_ACROSS = 2  # clips in a row
_LINES = ("-", "--", "-.", ":")
_RANGE = 10.0  # below the loudest band, in natural logarithms of power: 43 dB


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionPanel:
    """What is shown of a clip.

    Attributes:
        told: What the clip is, and what became of it.
        weights: [H, T], one in all over time for each of H weightings.
        frame_hz: Frames per second.
        spectrogram: [S, bands], natural logarithms of power; None where the audio is not near.
        spectrogram_hz: Its frames per second.
        reason: Why there is no spectrogram.
    """

    told: str
    weights: Array
    frame_hz: float
    spectrogram: Array | None = None
    spectrogram_hz: float = 50.0
    reason: str = ""


def plot_attention(clips: Sequence[AttentionPanel], title: str) -> Figure:
    """For each clip the weight of each moment above its log-mel spectrogram.

    Weights are per second: an even weight over a clip of 2 s is 0.5, whatever the frame rate.

    Args:
        clips: One at least.
        title: What is shown.
    """
    across = min(_ACROSS, len(clips))
    down = -(-len(clips) // across)
    figure = Figure(figsize=(4.6 * across, 2.9 * down + 0.6), layout="constrained")
    figure.suptitle(title, fontsize=10, wrap=True)
    grid = figure.add_gridspec(down, across)
    for number, clip in enumerate(clips):
        _draw(figure, grid[number // across, number % across], clip)
    return figure


def _draw(figure: Figure, place: SubplotSpec, clip: AttentionPanel) -> None:
    if clip.spectrogram is None:
        upper = figure.add_subplot(place)
        upper.set_xlabel(f"seconds; no spectrogram: {clip.reason}", fontsize=8, wrap=True)
    else:
        rows = place.subgridspec(2, 1, height_ratios=(1, 1.3))
        upper = figure.add_subplot(rows[0])
        lower = figure.add_subplot(rows[1], sharex=upper)
        _spectrogram(lower, clip.spectrogram, clip.spectrogram_hz)
        upper.tick_params(labelbottom=False)
    upper.set_title(clip.told, fontsize=8.5, wrap=True)
    _weights(upper, clip)


def _weights(axes: Axes, clip: AttentionPanel) -> None:
    """A line for each weighting, their mean filled, and what an even weight would be."""
    count = clip.weights.shape[1]
    edges = np.arange(count + 1) / clip.frame_hz
    density = clip.weights * clip.frame_hz
    mean = density.mean(axis=0)
    axes.stairs(mean, edges, fill=True, color=COLOURS[5], alpha=0.6)
    if len(density) > 1:
        for number, own in enumerate(density):
            axes.stairs(
                own,
                edges,
                color=COLOURS[number % len(COLOURS)],
                linestyle=_LINES[number % len(_LINES)],
                linewidth=0.9,
                baseline=None,
                label=f"head {number + 1}",
            )
        axes.legend(frameon=False, fontsize=7, ncols=min(len(density), 4), loc="upper right")
    axes.stairs(mean, edges, color=INK, linewidth=1.1, baseline=None)
    axes.axhline(clip.frame_hz / count, color=INK, linestyle=":", linewidth=0.8)
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(0, float(density.max()) * (1.35 if len(density) > 1 else 1.08))
    axes.set_ylabel("weight per s", fontsize=8)
    axes.tick_params(labelsize=8)
    quiet(axes)


def _spectrogram(axes: Axes, power: Array, rate_hz: float) -> None:
    high = float(power.max())
    axes.imshow(
        power.T,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        vmin=high - _RANGE,
        vmax=high,
        extent=(0, len(power) / rate_hz, 0, power.shape[1]),
        interpolation="nearest",
    )
    axes.set_yticks([])
    axes.set_ylabel("mel bands", fontsize=8)
    axes.set_xlabel("seconds", fontsize=8)
    axes.tick_params(labelsize=8)
