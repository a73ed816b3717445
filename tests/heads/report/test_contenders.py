"""Which runs take part, each once, and whether their predictions bear their numbers."""

from __future__ import annotations

import json
import logging
import shutil

import pytest

from embedcache.errors import SerError, UsageError
from heads.report.contenders import Chosen, choose_runs, contenders_of
from heads.results import Run


@pytest.fixture
def folder(hard_run, soft_run, tmp_path):
    """Copies of two runs that can be changed."""
    for run in (hard_run, soft_run):
        shutil.copytree(run, tmp_path / run.name)
    return tmp_path


def change(run, **parts):
    """Other values in parts of results.json."""
    file = run / "results.json"
    results = json.loads(file.read_text())
    for part, values in parts.items():
        results[part] |= values
    file.write_text(json.dumps(results))


def names(folder, **asked):
    return [run.id for run in choose_runs(Chosen(results_dir=folder, **asked))]


def test_a_run_that_is_named_in_two_ways_enters_once(folder, hard_run):
    twice = [str(folder / hard_run.name), hard_run.name]
    assert names(folder, names=twice) == [hard_run.name]


def test_a_copy_of_a_run_is_left_out_and_told(folder, hard_run, caplog):
    shutil.copytree(folder / hard_run.name, folder / "copy")
    with caplog.at_level(logging.WARNING):
        assert sorted(names(folder)).count(hard_run.name) == 1
    assert "is the same run as" in caplog.text


def test_a_corpus_is_all_that_a_run_was_trained_on(folder, hard_run):
    change(folder / hard_run.name, corpus={"name": "one+two"})
    for asked in ("one+two", "two+one", "two,one"):
        assert names(folder, corpus=asked) == [hard_run.name]
    with pytest.raises(UsageError, match="none of the 2 runs in .* fits --corpus one; see"):
        names(folder, corpus="one")


@pytest.mark.parametrize(
    ("option", "part", "key"),
    [("head", "head", "name"), ("protocol", "protocol", "name"), ("encoder", "cache", "encoder")],
)
def test_any_of_several_names_fits(folder, hard_run, soft_run, option, part, key):
    value = Run(folder / hard_run.name).results[part][key]
    own = value | {"id": "other"} if key == "encoder" else "other"
    change(folder / soft_run.name, **{part: {key: own}})
    first = value["id"] if key == "encoder" else value
    assert names(folder, **{option: first}) == [hard_run.name]
    assert names(folder, **{option: "other"}) == [soft_run.name]
    assert sorted(names(folder, **{option: f"other,{first}"})) == sorted(names(folder))


def test_contenders_stand_in_the_order_of_the_runs(folder, hard_run, soft_run):
    runs = [Run(folder / run.name) for run in (soft_run, hard_run)]
    for order in (runs, runs[::-1]):
        found = contenders_of(order)
        assert [own.results["run_id"] for own in found] == [run.id for run in order]
        assert [own.size_bytes for own in found] == [run.model_bytes for run in order]
        assert all(own.tested is not None for own in found)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("shift", "believed"), [(0.00005, True), (-0.0002, False)])
def test_what_predictions_cannot_bear_is_no_run(folder, hard_run, shift, believed, strict):
    """Rounding of what is written is no contradiction."""
    path = folder / hard_run.name
    metrics = Run(path).results["metrics"]
    change(path, metrics={"wa": metrics["wa"] | {"mean": metrics["wa"]["mean"] + shift}})
    if strict and not believed:
        with pytest.raises(SerError, match="one of them was edited or half-written"):
            contenders_of([Run(path)], strict)
    else:
        assert len(contenders_of([Run(path)], strict)) == believed


def test_a_run_without_predictions_stays_and_says_so(folder, hard_run, caplog):
    (folder / hard_run.name / "predictions.csv").unlink()
    with caplog.at_level(logging.WARNING):
        (found,) = contenders_of([Run(folder / hard_run.name)], strict=True)
    assert (found.tested, found.why) == (None, "no predictions")
    assert "its numbers stand without a test" in caplog.text
