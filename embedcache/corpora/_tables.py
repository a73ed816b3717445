"""Tables of comma-separated values, checked while they are read."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedcache.errors import SerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SEPARATORS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        path: The table.
        line: Number of the row's last line in it, from 1.
        cells: Its cells by column, without surrounding spaces.
        source: Where the table is published; empty where it is the user's own.
    """

    path: Path
    line: int
    cells: dict[str, str]
    source: str = ""

    def fault(self, what: object) -> SerError:
        """The error for a row that cannot be used: the file, the line, and what is wrong."""
        return _fault(self.path, self.line, what, self.source)


def read_table(
    path: Path,
    needed: Sequence[str],
    *,
    source: str = "",
    lower_case: bool = False,
    old_encoding: str | None = None,
) -> Iterator[Row]:
    """The rows of a table whose first line names its columns; empty lines are left out.

    Columns are separated by what the first line has most of: commas, semicolons or tabs.

    Args:
        path: A text file in UTF-8, with or without a byte order mark.
        needed: Columns that must be there.
        source: Where the table is published; errors say to fetch it anew from there.
        lower_case: Whether the names of columns are taken in lower case.
        old_encoding: That of copies that are no UTF-8; None refuses these.

    Raises:
        SerError: It is no CSV text, lacks a column, names one twice, or has a row that is longer or
            shorter than the first line.
    """
    text = read_text(path, source, old_encoding)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    try:
        header = [name.strip().lower() if lower_case else name.strip() for name in next(reader, [])]
        if what := _header_fault(header, needed):
            raise _fault(path, 1, what, source)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                what = f"{len(cells)} fields, but the first line names {len(header)}"
                raise _fault(path, reader.line_num, what, source)
            row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            yield Row(path, reader.line_num, row, source)
    except csv.Error as error:
        raise _fault(path, max(reader.line_num, 1), f"no valid CSV ({error})", source) from error


def read_text(path: Path, source: str = "", old_encoding: str | None = None) -> str:
    """A whole file in UTF-8, without its byte order mark; the arguments are those of `read_table`.

    Raises:
        SerError: It is in another encoding.
    """
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if old_encoding:
            return data.decode(old_encoding, errors="replace")
        # The error counts from after a byte order mark, which holds no line break.
        line = error.object[: error.start].count(b"\n") + 1
        what = f"no UTF-8 text ({error.reason}); save it as UTF-8"
        raise _fault(path, line, what, source) from error


def _separator(text: str) -> str:
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return max(_SEPARATORS, key=first.count)


def _header_fault(header: Sequence[str], needed: Sequence[str]) -> str:
    """What is wrong with the names of the columns; empty where nothing is."""
    for name in needed:
        if name not in header:
            return f"no column '{name}'; the columns are {', '.join(header) or 'none'}"
    named = [name for name in header if name]
    if len(set(named)) < len(named):
        return f"a column stands there twice: {', '.join(header)}"
    return ""


def _fault(path: Path, line: int, what: object, source: str) -> SerError:
    hint = f"; fetch the table anew from {source}" if source else ""
    return SerError(f"{path} line {line}: {what}{hint}")
