"""Tables as text: aligned for a terminal, Markdown, CSV or JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from embedcache.errors import unknown_name

WIDTH = 100  # columns of running text
FORMATS = ("table", "md", "csv", "json")


def require_format(name: str) -> str:
    """The name of a format.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in FORMATS:
        raise unknown_name("--format", name, FORMATS)
    return name


def require_table_or_json(name: str) -> str:
    """The name of a format of what is no table alone.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in ("table", "json"):
        raise unknown_name("--format", name, ("table", "json"))
    return name


def as_text_or_json(record: Mapping[str, Any], text: str, form: str) -> str:
    """A record as JSON, or the text that was made of it."""
    if form == "json":
        return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    return text


def render_cells(header: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    """Rows of text in columns; numbers to the right where all of a column's cells begin with one.

    >>> print(render_cells(["head", "UA"], [["mha", "61.0"], ["mlp", "9.5"]], markdown=False))
    head    UA
    mha   61.0
    mlp    9.5
    """
    rows = [[_printable(cell) for cell in row] for row in rows]
    columns = list(zip(*([header, *rows]), strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    right = [any(column[1:]) and all(_is_number(cell) for cell in column[1:]) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(cells, widths, right, strict=True)
        ]
        return f"| {' | '.join(padded)} |" if markdown else "  ".join(padded).rstrip()

    lines = [line(header)]
    if markdown:
        rules = (f"{'-' * (w - 1)}{':' if r else '-'}" for w, r in zip(widths, right, strict=True))
        lines.append(f"| {' | '.join(rules)} |")
    return "\n".join([*lines, *map(line, rows)])


def render_records(table: pd.DataFrame, form: str) -> str:
    """The raw values as CSV or JSON; what is undefined is empty or null."""
    if form == "csv":
        return table.to_csv(index=False).rstrip("\n")
    records = json.loads(table.to_json(orient="records", double_precision=15))
    return json.dumps(records, indent=2, ensure_ascii=False)


def wrapped(text: str) -> str:
    """Text in lines of a hundred columns; long names are not cut."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def percent(value: float | None, signed: bool = False) -> str:
    """A fraction in per cent with one decimal; a dash where it is undefined.

    >>> percent(0.5), percent(None), percent(0.0712, signed=True)
    ('50.0', '-', '+7.1')
    """
    if value is None or pd.isna(value):
        return "-"
    return f"{100 * value:{'+' if signed else ''}.1f}"


def p_value(value: float | None) -> str:
    """A p-value with three decimals; a dash where there is none.

    >>> p_value(0.0421), p_value(1e-6), p_value(None), p_value(float("nan"))
    ('0.042', '< 0.001', '-', '-')
    """
    if value is None or pd.isna(value):
        return "-"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _printable(cell: str) -> str:
    """A cell without what would move the cursor or colour a terminal."""
    return "".join(c if c.isprintable() else "?" for c in cell)


def _is_number(cell: str) -> bool:
    return cell == "-" or cell.lstrip("+-")[:1].isdigit()
