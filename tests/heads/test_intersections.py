"""Columns and their intersections."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedcache.errors import UsageError
from embedcache.utterance import Utterance
from heads.group_columns import columns, parts_of, require_columns, values_of


def clip(**known):
    return Utterance(id="x", path=Path("x.wav"), **known)


CLIPS = [
    clip(gender="female", age=29.9, extra={"room": "hall", "a+b": "1"}),
    clip(gender="male", age=30.0, speaker="s"),
    clip(gender="female", age=None, extra={"room": ""}),
]


def test_columns_are_those_with_a_value():
    assert columns(CLIPS) == ["gender", "speaker", "age", "a+b", "room"]


def test_ages_are_in_bands_and_what_is_empty_is_missing():
    there = columns(CLIPS)
    assert values_of(CLIPS, "age", there) == ["20-29", "30-39", None]
    assert values_of(CLIPS, "room", there) == ["hall", None, None]


def test_an_intersection_needs_every_part():
    found = values_of(CLIPS, "gender+age", columns(CLIPS))
    assert found == ["female+20-29", "male+30-39", None]


def test_a_column_may_have_a_plus_in_its_name():
    assert values_of(CLIPS, "a+b", columns(CLIPS)) == ["1", None, None]
    assert parts_of("gender + age", ["gender", "age"]) == ["gender", "age"]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("shoe", "--by shoe: clips have no such column; there are: gender, speaker, age, a"),
        ("gender+shoe", r"--by gender\+shoe: clips have no such column; there are"),
        ("gender+", r"--by gender\+: clips have no such column"),
        ("gender+gender", r"--by gender\+gender: a column is named twice; give each once"),
        ("gender+speaker", r"this makes groups of one; give speaker by itself"),
    ],
)
def test_what_cannot_be_grouped_by_is_said(column, text):
    with pytest.raises(UsageError, match=text):
        require_columns([column], columns(CLIPS), "clips")
