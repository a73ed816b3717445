"""Pictures: table in, figure out. Readable in greyscale and by colour-blind readers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def to_png(figure: Figure) -> bytes:
    """A figure as PNG bytes at 150 dots per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
