"""The ambiguity record in words: within the width, without what is null, true to its figures."""

from __future__ import annotations

import copy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heads.report.ambiguity import ambiguity
from heads.report.ambiguity_text import render, shorten, summarise
from heads.report.tables import WIDTH
from heads.results import Run


@pytest.fixture(scope="module")
def whole(hard_run):
    return ambiguity(Run(hard_run))[0]


@pytest.fixture
def record(whole):
    return copy.deepcopy(whole)


@given(st.text(min_size=0, max_size=80), st.integers(3, 40))
def test_a_shortened_name_fits_and_keeps_its_ends(name, width):
    short = shorten(name, width)
    assert len(short) == min(len(name), width)
    if len(name) > width:
        front, back = short.split("…")[0], short[width // 2 + 1 :]
        assert name.startswith(front)
        assert name.endswith(back)
    else:
        assert short == name


def test_nothing_that_is_null_is_printed(record):
    for row in (*record["agreement"], *record["by_entropy"], *record["held_out"]):
        row |= dict.fromkeys(name for name in row if name.endswith("ci95"))
    for row in record["by_entropy"]:
        row |= dict.fromkeys(("wa", "tau", "js", "kl"))
    for trend in record["trends"].values():
        trend |= {"spearman": None, "ci95": None, "reason": "accuracy is the same on all clips"}
    text = render(record | {"summary": summarise(record)})
    assert not re.search(r"\b(None|nan|inf)\b", text)
    assert "Accuracy has no trend: accuracy is the same on all clips." in " ".join(text.split())


def test_a_trend_without_an_interval_says_why(record):
    record["trends"]["accuracy"]["ci95"] = None
    record["reasons"]["ci95"] = "one speaker has nearly all clips"
    assert "without an interval: one speaker has nearly all clips." in summarise(record)


@pytest.mark.parametrize("part", ["votes", "label_errors"])
def test_a_part_that_is_missing_is_a_sentence(record, part):
    if part == "votes":
        record |= {"votes": False, "reason": "no tested clip has annotators' votes"}
        told = "Nothing can be said of agreement: no tested clip has annotators' votes."
    else:
        record |= {"label_errors": None, "label_errors_reason": "all are tied"}
        told = "No label can be suspected: all are tied."
    assert told in summarise(record)
    text = render(record | {"summary": summarise(record)})
    assert told in " ".join(text.split())


def test_long_names_stay_within_the_width(record):
    for clips in (record["disagreements"], record["label_errors"]["ranked"]):
        for n, clip in enumerate(clips):
            clip |= {"id": f"corpus/{'x' * 90}/{n}", "path": f"/data/{n}.wav"}
    for clip in record["disagreements"]:
        clip["annotated"] = {"w" * 70: 0.6, "v" * 70: 0.4}
    text = render(record)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "paths are below /data" in text


def test_paths_that_share_no_folder_are_whole(record):
    for place, clip in enumerate(record["disagreements"]):
        clip["path"] = f"/one/{place}.wav" if place else "two/0.wav"
    assert " two/0.wav" in render(record)
    assert " /one/1.wav" in render(record)


def test_a_part_of_a_file_has_its_bounds(record):
    first, second, *_ = record["label_errors"]["ranked"] + record["disagreements"]
    first |= {"start_s": 1.5, "end_s": 2.25}
    second |= {"start_s": 0.5, "end_s": None}
    text = render(record)
    assert " 1.50 to 2.25 s" in text
    assert " 0.50 to the end" in text


def test_figures_are_those_of_the_record(record):
    text = render(record)
    text = text[text.index("tested on") :]  # behind the levels, which have the same names
    for row in record["held_out"]:
        line = next(x for x in text.splitlines() if x.startswith(row["told"] + " "))
        assert f" {100 * row['ua']:.1f} " in line
        assert f" {row['n']} " in line
