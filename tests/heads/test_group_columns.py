"""Groups of utterances by columns: bands of age, extra columns, several at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from embedcache.errors import UsageError
from heads.group_columns import FIELDS, columns, group_of, groups_by


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
