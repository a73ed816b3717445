"""`ser report` and the page of a run's bias: what goes in, what comes out, what is refused."""

from __future__ import annotations

import json
import logging
import re
import resource
import shutil
from pathlib import Path

import pytest

from embedcache.errors import SerError, UsageError
from heads.experiment import run_heads
from heads.report import page as page_module
from heads.report.page import bias_page, report
from heads.results import Run
from tests.heads.report.hostile import edit, write_hostile

RECORDS = ("bias", "ambiguity", "probes", "projection")


@pytest.fixture
def copied(report_runs, tmp_path):
    """Copies of the runs that a test may damage."""
    paths = [shutil.copytree(run.path, tmp_path / "runs" / run.id) for run in report_runs]
    return [Run(path) for path in paths]


def read(path):
    return path.read_text(encoding="utf-8")


def sections(text):
    return re.findall(r'<section id="(\w+)"', text)


def missing(text):
    """The list at the page's end, by what is missing."""
    rows = re.findall(r"<li><strong>(.*?)</strong>(?:, (.*?))?: (.*?)</li>", text)
    return {what: (where, why) for what, where, why in rows}


def test_everything_that_is_there_has_a_section(page_file, report_runs):
    text = read(page_file)
    assert sections(text) == [
        "about", "leaderboard", "provenance", "runs", "bias", "ambiguity", "probes", "projection",
        "gone",
    ]  # fmt: skip
    for run in report_runs:
        assert f'<p class="id">{run.id}</p>' in text
    assert set(missing(text)) == {"map of the clips"}


def test_what_is_missing_of_few_runs_is_made_and_kept(copied, tmp_path):
    assert not any(copied[1].read_report(name) for name in RECORDS)
    first = read(report(copied[1:], tmp_path / "page.html"))
    assert sections(first)[-4:] == ["bias", "ambiguity", "probes", "projection"]
    kept = {name: Run(copied[1].path).read_report(name) for name in RECORDS}
    assert all(kept.values())
    assert kept["bias"]["groups"].keys() == {"gender", "age", "speaker"}
    report(copied[1:], tmp_path / "again.html")
    assert {name: Run(copied[1].path).read_report(name) for name in RECORDS} == kept


def test_of_many_runs_only_the_best_are_looked_at_closely(copied, tmp_path):
    runs = [copied[0]]
    for number in range(4):  # the same predictions: the first of the board is its best
        folder = tmp_path / f"copy{number}"
        shutil.copytree(copied[1].path, folder)
        file = folder / "results.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"run_id": f"copy{number}"}))
        runs.append(Run(folder))
    text = read(report(runs, tmp_path / "page.html", quick=True))
    there = [run.id for run in runs if run.read_report("bias")]
    assert there == [copied[0].id, "copy0"]
    why = "there is no bias.json in its folder; `ser bias RUN` writes it"
    assert missing(text)["bias"][1] == why


def test_a_quick_page_takes_nothing_from_the_cache(copied, tmp_path):
    text = read(report(copied[1:], tmp_path / "page.html", quick=True))
    assert copied[1].read_report("probes") is None
    assert set(missing(text)) == {"probes", "map of the clips"}


def test_a_cache_that_is_gone_costs_its_sections_and_says_so(copied, tmp_path):
    file = copied[1].path / "results.json"
    results = json.loads(file.read_text())
    results["cache"]["path"] = str(tmp_path / "gone")
    file.write_text(json.dumps(results))
    text = read(report([Run(copied[1].path)], tmp_path / "page.html"))
    assert "gone" in missing(text)["probes"][1]
    assert sections(text)[-3:] == ["bias", "ambiguity", "gone"]


def test_a_method_that_is_not_there_is_refused_before_any_work(copied, tmp_path):
    with pytest.raises(UsageError, match="unknown --project 'tsne': did you mean 't-sne'"):
        report(copied, tmp_path / "page.html", "tsne")


def test_one_run_without_records_is_a_page(copied, tmp_path):
    text = read(report(copied[1:], tmp_path / "page.html", quick=True))
    assert "<title>mlp on manifest:planted</title>" in text
    assert '<span class="badge grave">speakers shared</span>' in text


def test_the_page_needs_nothing_but_itself(page_file):
    text = read(page_file)
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]+"', text)
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    assert "http" not in re.sub(r"http-equiv|http://www.w3.org/2000/svg", "", text)
    assert "default-src 'none'" in text


def test_a_run_that_is_given_twice_is_shown_once(copied, tmp_path, caplog):
    other = shutil.copytree(copied[0].path, tmp_path / "elsewhere")
    with caplog.at_level(logging.WARNING):
        text = read(report([copied[0], copied[0], Run(other)], tmp_path / "page.html"))
    assert text.count('<article id="run-1"') == 1
    assert "run-2" not in text
    assert f"left out: {other} is the same run as {copied[0].path}" in caplog.text


def test_an_older_page_is_replaced_and_nothing_is_left_beside(copied, tmp_path):
    out = tmp_path / "page.html"
    out.write_text("old")
    assert report(copied[1:], out) == out
    assert read(out).startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["page.html"]


def test_a_page_is_written_whole_or_not_at_all(copied, tmp_path):
    out = tmp_path / "page.html"
    out.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(SerError, match=r"the disk is full: .*page\.html could not be written"):
            report(copied[1:], out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["page.html"]


def test_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no run to report on; make one with `ser train-"):
        report([], tmp_path / "page.html")


def test_a_folder_or_no_folder_is_no_place_for_a_page(copied, tmp_path):
    with pytest.raises(UsageError, match=r"is a folder: give a file in it, such as .*report\.html"):
        report(copied, tmp_path)
    with pytest.raises(
        UsageError, match=r"cannot be written, for there is no folder .*nowhere; ma"
    ):
        report(copied, tmp_path / "nowhere/page.html")


def test_a_folder_that_cannot_be_written_is_told(copied):
    with pytest.raises(SerError, match=r"cannot write /proc/page\.html \(.*choose another folder"):
        report(copied[1:], Path("/proc/page.html"))


@pytest.mark.parametrize("name", ["bias", "ambiguity", "probes", "projection"])
@pytest.mark.parametrize(
    ("text", "told"), [("{", "is damaged"), ('{"gaps": 3}', "is not as this version writes it")]
)
def test_a_damaged_record_falls_away_with_its_reason(copied, tmp_path, name, text, told):
    if (name, text) == ("ambiguity", '{"gaps": 3}'):
        text = '{"agreement": [3]}'
    (copied[0].path / f"{name}.json").write_text(text)
    page = read(report(copied[:1], tmp_path / "page.html"))
    assert name not in sections(page)
    what = "map of the clips" if name == "projection" else name
    assert told in missing(page)[what][1]


def test_a_run_without_predictions_keeps_its_results(copied, tmp_path, caplog):
    (copied[0].path / "predictions.csv").unlink()
    with caplog.at_level(logging.WARNING):
        page = read(report(copied[:1], tmp_path / "page.html"))
    assert "Confusion matrix" in page
    assert missing(page)["per-speaker dots"] == ("attention, speaker", "no predictions")


def test_damaged_histories_and_utterances_fall_away(copied, tmp_path):
    (copied[0].path / "history.csv").write_text("fold,seed\n")
    (copied[0].path / "utterances.jsonl").write_text("{")
    page = read(report(copied[:1], tmp_path / "page.html"))
    assert "lacks the columns epoch, train_loss, val_loss" in missing(page)["training history"][1]
    assert "Confusion matrix" in page


def test_a_run_whose_results_were_edited_is_not_shown(copied, tmp_path):
    edit(copied[0], lambda results: results["metrics"]["wa"].update(mean=0.99))
    runs = [Run(run.path) for run in copied]
    page = read(report(runs, tmp_path / "page.html"))
    assert f'<p class="id">{runs[0].id}</p>' not in page
    where, why = missing(page)["the whole run"]
    assert where == runs[0].id
    assert why.startswith("its predictions contradict its results")
    with pytest.raises(SerError, match="none of these runs can be believed: their predictions"):
        report(runs[:1], tmp_path / "page.html")


def test_runs_of_an_earlier_version_are_shown(copied, tmp_path):
    def age(results):
        for name in ("calibration", "tau_spread", "versions", "created", "choice", "failed_folds"):
            del results[name]
        for name in ("js", "brier", "cosine", "ece_scaled"):
            del results["metrics"][name]
        del results["cache"]["key"], results["cache"]["layer"]

    edit(copied[0], age)
    page = read(report([Run(copied[0].path)], tmp_path / "page.html"))
    assert "no calibration curve" in missing(page)["calibration"][1]


def test_dimensions_stand_beside_emotions(copied, tmp_path, run_config):
    (path,) = run_heads(run_config(target="dimensions"), tmp_path / "results")
    page = read(report([*copied, Run(path)], tmp_path / "page.html"))
    assert page.count('class="board"') == 3
    assert "Predicted against annotated values: CCC valence" in page
    assert "<title>3 runs on manifest:planted</title>" in page


def test_hostile_names_stay_text(copied, tmp_path):
    """Labels, ids, speakers, paths and reasons are whatever a corpus holds."""
    run = copied[0]
    write_hostile(run)
    page = report([Run(run.path)], tmp_path / "page.html").read_bytes().decode("utf-8")
    assert page.count("<script") == 2  # the map's data, and the page's own
    assert "alert(1)&lt;/script&gt;" in page
    assert not set(page) & set("\x07\u202e")


# Bias


def test_the_page_of_bias_holds_bias_and_ambiguity_alone(copied):
    run = copied[0]
    text = bias_page(run, run.read_report("bias"), run.read_report("ambiguity"))
    assert sections(text) == ["about", "provenance", "bias", "ambiguity"]
    path = run.write_page("bias", text)
    assert path == run.path / "bias.html"
    assert read(path) == text


def test_without_ambiguity_the_reason_is_told(copied):
    text = bias_page(copied[0], copied[0].read_report("bias"), None)
    assert sections(text) == ["about", "provenance", "bias", "gone"]
    assert missing(text)["ambiguity"] == ("attention, speaker", "it was not asked for")


def test_templates_are_in_the_wheel():
    import tomllib

    root = Path(page_module.__file__).parents[2]
    data = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]
    there = {
        path.relative_to(root / "heads") for path in (root / "heads/report/templates").iterdir()
    }
    listed = {path for pattern in data["heads"] for path in
              (p.relative_to(root / "heads") for p in (root / "heads").glob(pattern))}  # fmt: skip
    assert there <= listed
    assert len(there) > 10


def test_what_the_corpus_does_not_tell_is_said(copied, tmp_path):
    file = copied[1].path / "utterances.jsonl"
    clips = [json.loads(line) for line in file.read_text().splitlines()]
    for clip in clips:
        clip.pop("gender", None)
        clip.pop("age", None)
    file.write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    text = read(report([Run(copied[1].path)], tmp_path / "page.html", quick=True))
    assert "the corpus does not tell it" in missing(text)["bias by gender"][1]
    assert "bias by age" in missing(text) and "bias by speaker" not in missing(text)


def test_clips_that_utterances_lack_are_counted(copied, tmp_path):
    file = copied[1].path / "utterances.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-7]))
    text = read(report([Run(copied[1].path)], tmp_path / "page.html", quick=True))
    assert "lacks 7 of" in missing(text)["what is known of some clips"][1]
