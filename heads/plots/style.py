"""What all pictures share: colours that differ in lightness too, marks, and quiet axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "black"  # text and axes: pages in the dark turn them light
# Okabe and Ito's colours for colour-blind readers (2008), the dark and the light in turn.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c8c8c", "#f0e442")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "--", "++")


def quiet(axes: Axes) -> None:
    """Only the left and the lower axis."""
    axes.spines[["top", "right"]].set_visible(False)
