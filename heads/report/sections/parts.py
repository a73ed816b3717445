"""What sections are made of: tables, pictures, remarks, and what has fallen away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from heads.plots.style import DASH, MINUS
from heads.plots.svg import to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Sortable = float | str | None
_GRAVE = (
    "CONTAMINATED",
    "synthetic corpus",
    "untrained encoder",
    "speakers shared",
    "speakers unknown",
    "recordings shared",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A remark beside a number.

    Attributes:
        text: What it says.
        grave: Whether the number must not be read without it.
    """

    text: str
    grave: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisker:
    """An interval as a small drawing: places on its scale, in per cent of the width."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it says.
        value: What sorts; None stands last.
        note: Said below it, small.
        link: Where it leads in the page.
        badges: Remarks below it.
        whisker: An interval that is drawn in it.
        mark: A class for what it says: `best`, `alike`, `worse` and so on.
    """

    text: str
    value: Sortable = None
    note: str = ""
    link: str = ""
    badges: Sequence[Badge] = ()
    whisker: Whisker | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        title: What it is called.
        number: Whether its cells are numbers.
    """

    title: str
    number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        name: Unique in the page.
        caption: What it shows.
        columns: From left to right.
        rows: Cells, from left to right.
        sortable: Whether its columns sort by a click.
        heading: Which column says what a row is about.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = True
    heading: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture and what it shows.

    Attributes:
        svg: For the page.
        caption: What is shown, and how to read it.
        wide: Whether it takes the whole width.
    """

    svg: Markup
    caption: str
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What is not in the page, and why.

    Attributes:
        what: The section or picture.
        where: Whose it is.
        why: The reason, and how to get it.
    """

    what: str
    where: str
    why: str


def picture(
    figure: Figure, name: str, title: str, finding: str, caption: str = "", wide: bool = False
) -> Picture:
    """A figure for the page.

    Args:
        figure: Without a title of its own.
        name: Unique in the page.
        title: What is shown, in a few words.
        finding: What can be seen in it, in a sentence; also the caption where there is none.
        caption: How to read it.
        wide: Whether it takes the whole width.
    """
    svg = Markup(to_svg(figure, name, title, finding))
    return Picture(svg=svg, caption=f"{finding} {caption}".strip(), wide=wide)


def badges(notes: Sequence[str]) -> list[Badge]:
    """A run's notes, grave ones first."""
    made = [Badge(text=note, grave=note.startswith(_GRAVE) or "diverged" in note) for note in notes]
    return sorted(made, key=lambda badge: not badge.grave)


def number_cell(value: float | None, text: str, note: str = "") -> Cell:
    """A number as it is told; a dash where there is none."""
    if value is None or value != value:
        return Cell(text=DASH, note=note)
    return Cell(text=text, value=float(value), note=note)


def percent_cell(value: float | None, signed: bool = False, note: str = "") -> Cell:
    """A fraction in per cent."""
    if value is None or value != value:
        return Cell(text=DASH, note=note)
    return Cell(text=per_cent(value, signed), value=float(value), note=note)


def per_cent(value: float | None, signed: bool = False) -> str:
    """A fraction in per cent with one decimal, with a true minus; a dash where there is none.

    >>> per_cent(0.5), per_cent(0.0712, signed=True), per_cent(-0.0712) == MINUS + "7.1"
    ('50.0', '+7.1', True)
    """
    if value is None or value != value:
        return DASH
    return f"{100 * value:{'+' if signed else ''}.1f}".replace("-", MINUS)


def range_told(ends: Sequence[float] | None, signed: bool = False) -> str:
    """An interval of fractions, in per cent."""
    return " to ".join(per_cent(end, signed) for end in ends) if ends else DASH
