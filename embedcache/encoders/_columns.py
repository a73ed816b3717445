"""What a frame's values are called and measured in, and how they change over frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

REACH = 2
"""Frames on either side over which a slope is fitted, as HTK and openSMILE do."""


@dataclass(frozen=True, slots=True)
class Column:
    """One value of a frame.

    Attributes:
        name: Unique among the columns of an encoder.
        unit: Its unit; empty where it is a number without one.
        meaning: What it measures, in a line.
    """

    name: str
    unit: str
    meaning: str


def slopes(frames: torch.Tensor, reach: int = REACH) -> torch.Tensor:
    """How each value changes around each frame: the slope of a straight line fitted to it.

    Least squares over the frame and `reach` frames on either side. At the ends of a clip the line
    is fitted to the frames that there are, so nothing is made up beyond it, and a ramp has one
    slope from its first frame to its last. A single frame has slope 0.

    Args:
        frames: Values of each frame.
        reach: Frames on either side.

    Shape:
        [T, D] -> [T, D], in the unit of the value per frame.

    >>> import torch
    >>> slopes(torch.tensor([[1.0], [3.0], [5.0]])).flatten().tolist()
    [2.0, 2.0, 2.0]
    """
    import torch
    from torch.nn.functional import pad

    there = pad(torch.ones(len(frames), dtype=torch.float64), (reach, reach))
    steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    around = there.unfold(0, 2 * reach + 1, 1)  # [T, 2 reach + 1], 1 where there is a frame
    middle = (around * steps).sum(dim=1, keepdim=True) / around.sum(dim=1, keepdim=True)
    weights = around * (steps - middle)
    weights = weights / (weights * steps).sum(dim=1, keepdim=True).clamp_min(1e-9)
    neighbours = pad(frames.T, (reach, reach)).unfold(1, 2 * reach + 1, 1)  # [D, T, 2 reach + 1]
    return (neighbours * weights.to(frames)).sum(dim=2).T
