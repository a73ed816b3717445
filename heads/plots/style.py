"""What all pictures share: colours that differ in lightness too, marks, and quiet axes."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from matplotlib.layout_engine import PlaceHolderLayoutEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "black"  # text and axes: pages in the dark turn them light
# Okabe and Ito's colours for colour-blind readers (2008), the dark and the light in turn.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c8c8c", "#f0e442")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "--", "++")
MINUS, TIMES, DASH = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
CELL = "#5b9bd5"  # a cell of a matrix that is full; its share is how opaque it is
_LONGEST = 28  # letters of a name in a picture


def quiet(axes: Axes) -> None:
    """Only the left and the lower axis."""
    axes.spines[["top", "right"]].set_visible(False)


def plain(text: object, longest: int = _LONGEST) -> str:
    """A name as it is: no formula between dollar signs, nothing that cannot be printed, not long.

    >>> plain(chr(10).join(("two", "lines"))), len(plain(100 * "a"))
    ('two lines', 28)
    """
    kept = "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in str(text))
    short = kept if len(kept) <= longest else f"{kept[: longest - 1]}\u2026"
    return short.replace("$", r"\$")


def place(
    figure: Figure, left: float, bottom: float, right: float, top: float, between: float = 0.0
) -> None:
    """Set a figure's margins, and the room between its panels, in inches.

    It takes a third of the time that matplotlib's own layouts take, which matters where a page has
    a hundred pictures.
    """
    width, height = figure.get_size_inches()
    figure.set_layout_engine(
        PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True)
    )
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
        hspace=between,
    )


def room(names: Sequence[str], size: float) -> float:
    """What the longest of some names needs beside an axis, in inches.

    Args:
        names: As they are written; of several lines each counts for itself.
        size: Of the letters, in points.
    """
    letters = (sum(1.8 if unicodedata.east_asian_width(c) in "WF" else 1.0 for c in line)
               for name in names for line in name.split("\n"))  # fmt: skip
    return 0.0088 * size * max(letters, default=0.0) + 0.14
