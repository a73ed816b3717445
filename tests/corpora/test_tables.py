"""Tables: what is read is what was written, and every fault has its file and line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.corpora._tables import Row, read_table
from embedcache.errors import SerError

# All but what no UTF-8 text holds, and the line ends that the writer itself uses.
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))


def write(tmp_path: Path, data: str | bytes) -> Path:
    path = tmp_path / "t.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def cells(path: Path) -> list[dict[str, str]]:
    return [row.cells for row in read_table(path, ("a",))]


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8),
    separator=st.sampled_from(",;\t"),
    mark=st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_what_was_written_is_read(tmp_path_factory, rows, separator, mark) -> None:
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    with path.open("w", encoding=mark, newline="") as file:
        writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL)
        writer.writerows([("a", "b", "c"), *rows])
    wanted = [dict(zip("abc", map(str.strip, row), strict=True)) for row in rows]
    assert cells(path) == [row for row in wanted if any(row.values())]
    assert [r.line for r in read_table(path, ("a",))] == [
        n for n, row in enumerate(wanted, 2) if any(row.values())
    ]


def test_names_of_columns_are_as_written_or_in_lower_case(tmp_path: Path) -> None:
    path = write(tmp_path, " A ,b\n1,2\n")
    assert [r.cells for r in read_table(path, ("A",))] == [{"A": "1", "b": "2"}]
    assert [r.cells for r in read_table(path, ("a",), lower_case=True)] == [{"a": "1", "b": "2"}]


def test_columns_without_a_name_may_be_several(tmp_path: Path) -> None:
    """Spreadsheets leave them behind."""
    (row,) = cells(write(tmp_path, "a,,\n1,,\n"))
    assert row["a"] == "1"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "line 1: no column 'a'; the columns are none"),
        ("b,c\n1,2\n", "line 1: no column 'a'; the columns are b, c"),
        ("a,b,a\n", "line 1: a column stands there twice: a, b, a"),
        ("a,b\n1,2\n\n3\n", "line 4: 1 fields, but the first line names 2"),
        ("a,b\n1,2,3\n", "line 2: 3 fields, but the first line names 2"),
        ('a,b\n1,"2\n', "line 2: no valid CSV"),
        ('a,b\n"1"x,2\n', "line 2: no valid CSV"),
        (b"a,b\n1,2\n\xff,2\n", "line 3: no UTF-8 text (invalid start byte); save it as UTF-8"),
        ("a,b\n".encode("utf-16"), "line 1: no UTF-8 text"),
    ],
)
@pytest.mark.parametrize("source", ["", "example.org/tables"])
def test_a_fault_is_one_sentence_with_file_and_line(
    tmp_path: Path, data: str | bytes, message: str, source: str
) -> None:
    path = write(tmp_path, data)
    with pytest.raises(SerError) as caught:
        list(read_table(path, ("a",), source=source))
    text = str(caught.value)
    assert text.startswith(f"{path} {message}")
    assert text.endswith("; fetch the table anew from example.org/tables") == bool(source)


def test_rows_before_a_fault_are_given(tmp_path: Path) -> None:
    rows = read_table(write(tmp_path, "a\n1\n2,3\n"), ("a",))
    assert next(rows).cells == {"a": "1"}
    with pytest.raises(SerError, match="line 3"):
        next(rows)


def test_older_encodings_are_read_where_they_are_allowed(tmp_path: Path) -> None:
    path = write(tmp_path, "a\nIt\u2019s\n".encode("cp1252"))
    assert [r.cells for r in read_table(path, ("a",), old_encoding="cp1252")] == [
        {"a": "It\u2019s"}
    ]


def test_a_row_says_where_it_stands() -> None:
    fault = Row(Path("t.csv"), 7, {}, "example.org").fault("the age is 'x'")
    assert str(fault) == "t.csv line 7: the age is 'x'; fetch the table anew from example.org"
