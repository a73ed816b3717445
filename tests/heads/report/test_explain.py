"""Bias and ambiguity of a run, in text and in its folder."""

from __future__ import annotations

import json
import shutil

import pytest

from embedcache.errors import UsageError
from heads.report.ambiguity import ambiguity
from heads.report.bias import bias
from heads.report.explain import explain
from heads.report.records import Making, record_of
from heads.results import Run


@pytest.fixture
def run(soft_run, tmp_path):
    return Run(shutil.copytree(soft_run, tmp_path / soft_run.name))


def test_both_are_told_and_written(run):
    found, text = explain(run, ["gender"], top=2)
    gaps, gaps_told = bias(run, ["gender"])
    unclear, votes_told = ambiguity(run, 2)
    assert text == f"{gaps_told}\n\n{votes_told}"
    assert found == {**gaps, "ambiguity": unclear}
    assert json.loads((run.path / "bias.json").read_text()) == json.loads(json.dumps(gaps))
    assert run.read_report("ambiguity") == json.loads(json.dumps(unclear))
    page = (run.path / "bias.html").read_text()
    assert gaps["summary"].split(":")[0] in page and "<!doctype html>" in page


def test_a_column_that_is_not_there_leaves_the_folder_as_it_was(run):
    before = sorted(path.name for path in run.path.iterdir())
    with pytest.raises(UsageError, match="--by hat: this run's utterances have no such column"):
        explain(run, ["hat"])
    assert sorted(path.name for path in run.path.iterdir()) == before


def test_records_are_made_only_where_they_are_asked_for(run):
    record, reason = record_of(run, "bias", Making())
    assert record is None
    assert reason == "there is no bias.json in its folder; `ser bias RUN` writes it"
    record, reason = record_of(run, "bias", Making(runs={run.id}))
    assert (record["run_id"], reason) == (run.id, "")
    assert record_of(Run(run.path), "bias", Making())[0] == json.loads(json.dumps(record))


def test_a_quick_page_makes_nothing_from_the_cache(run):
    making = Making(runs={run.id}, quick=True)
    for name in ("probes", "projection"):
        record, reason = record_of(run, name, making)
        assert record is None and f"there is no {name}.json" in reason
    assert record_of(run, "ambiguity", making)[0] is not None


def test_a_record_of_another_run_is_not_this_run_s(run):
    run.write_report("bias", {"run_id": "other", "gaps": []})
    record, reason = record_of(run, "bias", Making())
    assert record is None
    assert "bias.json in its folder is of another run" in reason
