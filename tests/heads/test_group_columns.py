"""Groups of utterances by columns: bands of age, extra columns, several at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from embedcache.errors import UsageError
from embedcache.utterance import Utterance
from heads.group_columns import (
    FIELDS,
    columns,
    group_of,
    groups_by,
    parts_of,
    require_columns,
    values_of,
)


def clip(**known):
    return Utterance(id="x", path=Path("x.wav"), **known)


CLIPS = [
    clip(gender="female", age=29.9, extra={"room": "hall", "a+b": "1"}),
    clip(gender="male", age=30.0, speaker="s"),
    clip(gender="female", age=None, extra={"room": ""}),
]


@pytest.fixture
def clips(planted):
    return planted[0][:24]  # a man of 20 and a woman of 27


@pytest.mark.parametrize(
    ("column", "group"),
    [
        ("gender", "male"),
        ("age", "20-29"),
        ("speaker", "planted/s0"),
        ("session", "session0"),
        ("room", "booth"),
        ("language", None),
        ("window", None),
    ],
)
def test_a_column_is_a_field_or_one_of_the_corpus(clips, column, group):
    assert group_of(clips[0], column) == group


@pytest.mark.parametrize(("age", "band"), [(0.0, "0-9"), (29.9, "20-29"), (30.0, "30-39")])
def test_ages_are_in_bands_of_ten_years(clips, age, band):
    assert group_of(replace(clips[0], age=age), "age") == band


def test_columns_are_those_with_a_value(clips):
    assert columns(clips) == ["gender", "speaker", "age", "session", "room"]
    bare = replace(clips[0], **dict.fromkeys(FIELDS), extra={"room": ""})
    assert columns([bare]) == []


def test_several_columns_make_their_combinations(clips):
    groups = groups_by(clips, "gender + room", "--balance")
    assert set(groups) == {"male+booth", "male+hall", "female+booth", "female+hall"}
    for clip, group in zip(clips, groups, strict=True):
        assert group == f"{clip.gender}+{clip.extra['room']}"


def test_who_lacks_one_of_several_values_is_of_no_group(clips):
    first = replace(clips[0], extra={})
    groups = groups_by([first, *clips[1:]], "gender+room", "--balance")
    assert groups[0] is None and all(groups[1:])


@pytest.mark.parametrize("asked", ["gander", "gender+", "gender+gander", "language"])
def test_a_column_without_values_is_refused(clips, asked):
    name = asked.rpartition("+")[2]
    text = f"--worst-group {asked}: no utterance has a value in a column '{name}'; there are: gend"
    with pytest.raises(UsageError) as caught:
        groups_by(clips, asked, "--worst-group")
    assert text in str(caught.value)


def test_one_group_is_refused(clips):
    text = "--balance age: all utterances with a value are of one group, 20-29; there is nothing"
    with pytest.raises(UsageError, match=text):
        groups_by(clips, "age", "--balance")


# Intersections


def test_columns_of_the_corpus_stand_after_the_fields():
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


def test_pluses_in_values_are_told_from_those_between_them():
    values = [("a+b", "c"), ("a", "b+c"), ("a\\", "b+c"), ("a\\+b", "c")]
    clips = [clip(extra=dict(zip(("room", "mic"), own, strict=True))) for own in values]
    found = values_of(clips, "room+mic", columns(clips))
    assert found[:2] == ["a\\+b+c", "a+b\\+c"]
    assert len(set(found)) == len(values)
    assert values_of(clips, "room", columns(clips)) == [room for room, _ in values]
