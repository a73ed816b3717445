"""Pictures: table in, figure out. Readable in greyscale and by colour-blind readers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def to_png(figure: Figure) -> bytes:
    """A figure as PNG bytes at 150 dots per inch."""
    return to_bytes(figure, "png")


def to_bytes(figure: Figure, form: str) -> bytes:
    """A figure as a file's bytes, without the time: `png` at 150 dots per inch, `svg` or `pdf`."""
    buffer = io.BytesIO()
    untold = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}
    metadata = {untold[form]: None}
    figure.savefig(buffer, format=form, dpi=150, bbox_inches="tight", metadata=metadata)
    return buffer.getvalue()
