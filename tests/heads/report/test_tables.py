"""Tables as text can be read back."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.errors import UsageError
from heads.report.tables import (
    FORMATS,
    p_value,
    percent,
    render_cells,
    render_records,
    require_format,
)

TABLE = pd.DataFrame(
    {
        "run": ["a, b", 'quoted "c"', "ü"],
        "ua": [0.123456789012345, None, 1 / 3],
        "folds": [5, 6, 7],
        "tau": [None, None, None],
    }
)
cells = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8)
grids = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=5
    )
)  # fmt: skip


def test_csv_gives_the_values_back():
    rows = list(csv.DictReader(io.StringIO(render_records(TABLE, "csv"))))
    assert [row["run"] for row in rows] == TABLE["run"].tolist()
    assert [float(row["ua"] or "nan") for row in rows] == pytest.approx(
        TABLE["ua"].tolist(), abs=0, nan_ok=True
    )
    assert [row["folds"] for row in rows] == ["5", "6", "7"]
    assert {row["tau"] for row in rows} == {""}


def test_json_gives_the_values_back():
    rows = json.loads(render_records(TABLE, "json"))
    assert [row["run"] for row in rows] == TABLE["run"].tolist()
    assert rows[0]["ua"] == pytest.approx(TABLE["ua"][0], abs=1e-15)
    assert (rows[1]["ua"], rows[0]["tau"]) == (None, None)
    assert [row["folds"] for row in rows] == [5, 6, 7]


@settings(deadline=None, max_examples=50)
@given(grids)
def test_markdown_gives_the_cells_back(grid):
    header, *rows = grid
    text = render_cells(header, rows, markdown=True).split("\n")
    parsed = [[cell.strip() for cell in line.strip("|").split("|")] for line in text]
    assert parsed[0] == header
    assert all(set(rule) <= {"-", ":"} for rule in parsed[1])
    assert parsed[2:] == rows
    assert len(set(map(len, text))) == 1, "columns are not aligned"


@settings(deadline=None, max_examples=50)
@given(grids)
def test_a_terminal_table_gives_the_cells_back(grid):
    header, *rows = grid
    text = render_cells(header, rows, markdown=False).split("\n")
    assert [line.split() for line in text] == [header, *rows]
    assert not any(line.endswith(" ") for line in text)


def test_numbers_are_set_right_and_words_left():
    text = render_cells(["head", "UA"], [["mha", "9.5"], ["mlp", "+61.0"], ["x", "-"]], False)
    assert text == "head     UA\nmha     9.5\nmlp   +61.0\nx         -"
    mixed = render_cells(["UA"], [["9"], ["words"]], False)
    assert mixed == "UA\n9\nwords"


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.5, False, "50.0"),
        (0.07125, True, "+7.1"),
        (-0.2, True, "-20.0"),
        (0, True, "+0.0"),
        (None, False, "-"),
        (float("nan"), True, "-"),
    ],
)
def test_fractions_in_per_cent(value, signed, text):
    assert percent(value, signed) == text


def test_formats_are_known():
    assert [require_format(name) for name in FORMATS] == list(FORMATS)
    with pytest.raises(UsageError, match="unknown --format 'jsn': did you mean 'json'"):
        require_format("jsn")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0421, "0.042"), (0.001, "0.001"), (0.00099, "< 0.001"), (1, "1.000"), (None, "-"),
     (float("nan"), "-")],
)  # fmt: skip
def test_p_values_have_three_decimals(value, text):
    assert p_value(value) == text
