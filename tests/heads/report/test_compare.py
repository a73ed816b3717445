"""`ser compare`: runs become leaderboards for people and for programs."""

from __future__ import annotations

import io
import json
import logging
import shutil

import pandas as pd
import pytest

from embedcache.errors import SerError, UsageError
from heads.analysis.boards import make_boards
from heads.analysis.significance import COMPARED
from heads.metrics import METRICS
from heads.report.compare import Comparison, compare, render
from heads.report.contenders import Chosen
from heads.report.tables import percent
from heads.results import Run
from tests.heads.analysis.runs import as_contender, family


@pytest.fixture
def both(hard_run, soft_run):
    return [Run(hard_run).results, Run(soft_run).results]


@pytest.fixture
def folder(results_dir, hard_run, soft_run, tmp_path):
    """Copies of both runs that can be damaged."""
    for run in (hard_run, soft_run):
        shutil.copytree(run, tmp_path / run.name)
    return tmp_path


def told(results_dir, *names, form="table", **asked):
    options = {k: asked.pop(k) for k in ("corpus", "head", "encoder", "protocol") if k in asked}
    chosen = Chosen(names=names, results_dir=results_dir, **options)
    return compare(Comparison(chosen=chosen, format=form, **asked))


def parse(text):
    """Rows of all Markdown tables, those with the same number and run joined."""
    rows, header = [], None
    for line in text.split("\n"):
        if not line.startswith("|"):
            header = None
        elif header is None:
            header = [cell.strip() for cell in line[1:-1].split("|")]
        elif not set(line) <= set("|-: "):
            cells = [cell.strip() for cell in line[1:-1].split("|")]
            rows.append(dict(zip(header, cells, strict=True)))
    return rows


def board_rows(text):
    """One row for each run: its cells of all tables of its board."""
    found = []
    for part in text.split("\ncorpus ") if "\ncorpus " in text else [text]:
        joined = {}
        for row in parse(part):
            if "#" in row:
                joined.setdefault(row["#"], {}).update(row)
        found += joined.values()
    return {row["run"]: row for row in found}


def test_each_run_has_its_numbers(both, results_dir):
    rows = board_rows(told(results_dir, form="md"))
    for result in both:
        row, ua = rows[result["run_id"]], result["metrics"]["ua"]
        assert row["UA"] == percent(ua["mean"])
        assert row["± seeds"] == percent(ua["std_seeds"])
        assert row["± folds"] == percent(ua["std_folds"])
        assert row["95 % over speakers"] == " to ".join(map(percent, ua["ci95"]))
        wa = result["metrics"]["wa"]
        assert row["WA"] == f"{percent(wa['mean'])} ({' to '.join(map(percent, wa['ci95']))})"
        assert row["weights"] == f"{result['head']['parameters']:,}"
        for label, scores in result["per_class"].items():
            assert row[label] == percent(scores["f1"])


def test_boards_say_what_their_runs_share(results_dir, hard_run):
    text = told(results_dir)
    assert "corpus manifest:planted; encoder logmel; labels 3 hard; protocol speaker\n" in text
    assert "corpus manifest:planted; encoder logmel; labels 3 soft; protocol random\n" in text
    assert told(results_dir, str(hard_run)).startswith(
        "corpus manifest:planted; encoder logmel; labels 3 hard; protocol speaker\nUA is the mean"
    )


def test_shared_speakers_stand_beside_the_number(results_dir, hard_run, soft_run):
    rows = board_rows(told(results_dir, form="md"))
    assert rows[hard_run.name]["speakers shared"] == "0 of 8"
    assert rows[hard_run.name]["notes"] == ""
    assert rows[soft_run.name]["speakers shared"] == "8 of 8"
    assert rows[soft_run.name]["notes"] == "speakers shared, 38 ties not scored"


def planted(**changes):
    """Boards of planted runs, the first of which is changed."""
    runs = [as_contender(n, own) for n, own in zip("abc", family(0.3, clips=20), strict=True)]
    for part, values in changes.items():
        runs[0].results[part].update(values)
    return make_boards(runs, None)


@pytest.mark.parametrize(
    ("part", "change", "note"),
    [
        ("corpus", {"synthetic": True}, "synthetic corpus"),
        ("cache", {"encoder": {"id": "random:x", "trained": False}}, "untrained encoder"),
        ("protocol", {"speaker_overlap": None}, "speakers unknown"),
        ("protocol", {"contamination": {"speakers": ["s"]}}, "CONTAMINATED"),
    ],
)
@pytest.mark.parametrize("form", ["table", "md"])
def test_notes_are_shown_in_the_row(part, change, note, form):
    text = render(planted(**{part: change}), [], form)
    board = text.split("\n\n")[1] if form == "table" else text
    assert sum(note in line for line in board.split("\n")) >= 1


def test_verdicts_stand_beside_the_numbers():
    rows = board_rows(render(planted(), [], "md"))
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "a": "best",
        "b": "worse",
        "c": "worse",
    }
    assert rows["b"]["less the best"].startswith("-")
    assert rows["a"]["less the best"] == rows["a"]["p (Holm)"] == "-"
    assert rows["b"]["WA"].endswith(")*")


def test_too_few_speakers_say_how_many_comparisons_they_bear():
    runs = [as_contender(n, own) for n, own in zip("ab", family(0.1, (2, 2), 2), strict=True)]
    text = render(make_boards(runs, None), [], "table")
    assert "too few speakers: with so few, p cannot be less than 0.12\n" in text
    design = family(0.0, (3, 3), 4, clips=40)
    runs = [as_contender(n, own) for n, own in zip("abcd", design, strict=True)]
    text = render(make_boards(runs, None), [], "table")
    assert "p cannot be less than 0.031, and 0.05 is shared out over 3 comparisons" in text


def test_settings_stand_beside_the_head_where_rows_would_look_alike():
    one, other = family(0.0, runs=2)
    runs = [as_contender("one", one), as_contender("other", other, head__config={"pooling": "x"})]
    rows = board_rows(render(make_boards(runs, None), [], "md"))
    assert rows["other"]["head"] == "mlp"  # of the last table: the board itself is checked below
    text = render(make_boards(runs, None), [], "md")
    assert "mlp (pooling=x)" in text
    assert "mlp (pooling=-)" in text


def test_tau_is_shown_where_a_run_has_it(results_dir, hard_run, soft_run):
    rows = board_rows(told(results_dir, form="md"))
    tau = Run(soft_run).results["metrics"]["kendall_tau"]["mean"]
    assert rows[soft_run.name]["tau"].startswith(f"{tau:.3f} (")
    assert "tau" not in rows[hard_run.name]


def test_the_metric_that_is_tested_sorts_in_its_own_unit(both, results_dir):
    text = told(results_dir, form="md", metric="kl")
    rows = board_rows(text)
    for result in both:
        assert rows[result["run_id"]]["KL"] == f"{result['metrics']['kl']['mean']:.3f}"
    boards = planted()
    by_kl = make_boards(boards[0].contenders, "kl")[0].table
    assert by_kl["kl"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("sort", "descending"), [("wa", True), ("kl", False), ("train_s", False), ("created", True)]
)
def test_another_column_may_sort(sort, descending):
    runs = planted()[0].contenders
    for n, run in enumerate(runs):
        run.results["timing"]["train_s"] = (7 * n + 5) % 11
        run.results["created"] = f"2026-11-{(7 * n + 5) % 11:02}"
    found = json.loads(render(make_boards(runs, None), [], "json", sort))
    values = [row[sort] for row in found]
    assert values == sorted(values, reverse=descending)
    assert {row["rank"] for row in found} == {1, 2, 3}


def test_csv_and_json_hold_the_raw_fractions(both, results_dir):
    expected = {r["run_id"]: r["metrics"]["ua"]["mean"] for r in both}
    from_csv = pd.read_csv(io.StringIO(told(results_dir, form="csv")))
    from_json = json.loads(told(results_dir, form="json"))
    assert dict(zip(from_csv["run"], from_csv["ua"], strict=True)) == pytest.approx(expected)
    assert {row["run"]: row["ua"] for row in from_json} == pytest.approx(expected)
    hard = next(row for row in from_json if row["head"] == "attention")
    assert hard["kendall_tau"] is None
    assert {row["kind"] for row in from_json} == {"run"}
    assert {row["metric"] for row in from_json} == {"ua"}


def test_what_shared_speakers_add_stands_in_every_format(tmp_path, hard_run):
    from heads.analysis.ranking import speaker_dependency

    ahead, behind = family(0.2, runs=2)
    runs = [as_contender("r", ahead, protocol="random", overlap=10), as_contender("s", behind)]
    rows = [(speaker_dependency(runs, "ua"), "ua")]
    boards = make_boards(runs, None)
    for form in ("table", "md"):
        assert "Speaker dependency" in render(boards, rows, form)
        assert "random - speaker" in render(boards, rows, form)
    found = [row for row in json.loads(render(boards, rows, "json")) if row["kind"] != "run"]
    assert [(row["run"], row["compared_with"]) for row in found] == [("r", "s")]
    assert "speaker dependency" in render(boards, rows, "csv")


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"head": "attention,svm"}, {"attention"}),
        ({"protocol": "random"}, {"mlp"}),
        ({"encoder": "logmel"}, {"mlp", "attention"}),
        ({"corpus": "manifest:planted"}, {"mlp", "attention"}),
    ],
)
def test_filters_leave_what_fits(results_dir, both, options, left):
    rows = json.loads(told(results_dir, form="json", **options))
    assert {row["head"] for row in rows} == left


def test_filters_that_nothing_fits_are_named(results_dir, both):
    text = "none of the 2 runs in .* fits --corpus ravdess, --head svm; see `ser compare`"
    with pytest.raises(UsageError, match=text):
        told(results_dir, corpus="ravdess", head="svm")


@pytest.mark.parametrize(
    ("names", "asked", "text"),
    [
        (["nothing"], {}, "there is no run 'nothing', here or in"),
        ([], {"metric": "uaa"}, "unknown metric 'uaa': did you mean 'ua'"),
        ([], {"metric": "ccc"}, "--metric ccc: none of the 2 runs has it"),
        ([], {"sort": "parameter"}, "unknown --sort 'parameter': did you mean 'parameters'"),
        ([], {"form": "html"}, "unknown --format 'html'"),
    ],
)
def test_what_does_not_exist_is_refused(results_dir, both, names, asked, text):
    with pytest.raises(UsageError, match=text):
        told(results_dir, *names, **asked)


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    with pytest.raises(UsageError, match="there is no run in .*; make one with `ser train-head`"):
        told(tmp_path)


def edit(run, number, *place):
    """Give another number than the predictions have."""
    file = run / "results.json"
    results = json.loads(file.read_text())
    part = results
    for key in place[:-1] or ("metrics", "wa"):
        part = part[key]
    part[place[-1] if place else "mean"] = number
    file.write_text(json.dumps(results))


PLACES = [("metrics", name, "mean") for name in (*COMPARED["emotion"], *METRICS)]


@pytest.mark.parametrize("place", [*dict.fromkeys(PLACES), ("per_class", "sad", "f1")])
def test_no_number_of_a_board_can_be_edited(folder, soft_run, place):
    edit(folder / soft_run.name, 0.99, *place)
    with pytest.raises(SerError, match="results.json says .* 0.9900, and predictions.csv gives"):
        told(folder, soft_run.name)


def test_intervals_are_made_anew_from_the_predictions(folder, hard_run):
    whole = told(folder, hard_run.name)
    edit(folder / hard_run.name, [0.98, 1.0], "metrics", "ua", "ci95")
    assert told(folder, hard_run.name) == whole


def test_the_same_run_in_two_folders_is_one(folder, hard_run, results_dir, caplog):
    with caplog.at_level(logging.WARNING):
        rows = json.loads(told(folder, str(folder / hard_run.name), str(hard_run), form="json"))
    assert [row["run"] for row in rows] == [hard_run.name]
    assert "is the same run as" in caplog.text


def test_an_edited_run_is_left_out_and_an_error_where_it_is_named(
    folder, hard_run, soft_run, caplog
):
    edit(folder / hard_run.name, 0.99)
    with caplog.at_level(logging.WARNING):
        rows = json.loads(told(folder, form="json"))
    assert [row["run"] for row in rows] == [soft_run.name]
    assert "left out" in caplog.text
    text = "results.json says wa 0.9900, and predictions.csv gives .*; one of them was edited"
    with pytest.raises(SerError, match=text):
        told(folder, hard_run.name)


def test_only_edited_runs_are_none(folder, hard_run, soft_run):
    for run in (hard_run, soft_run):
        edit(folder / run.name, 0.99)
    with pytest.raises(SerError, match="none of the 2 runs can be believed"):
        told(folder)


@pytest.mark.parametrize("damage", ["gone", "cut", "text"])
def test_a_half_written_run_keeps_its_numbers_and_is_not_tested(folder, hard_run, damage, caplog):
    file = folder / hard_run.name / "predictions.csv"
    whole = file.read_bytes()
    file.unlink()
    if damage != "gone":
        file.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"id,speaker\n\x00")
    with caplog.at_level(logging.WARNING):
        rows = json.loads(told(folder, hard_run.name, form="json"))
    assert rows[0]["verdict"] == "not compared"
    assert rows[0]["ua"] == pytest.approx(Run(hard_run).results["metrics"]["ua"]["mean"])
    assert "its numbers stand without a test" in caplog.text


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_critical_difference_picture_is_written(results_dir, hard_run, tmp_path, suffix):
    """Two copies of a run: alike, on one line."""
    for name in ("one", "two"):
        shutil.copytree(hard_run, tmp_path / "runs" / name)
        edit_id(tmp_path / "runs" / name, name)
    file = tmp_path / f"new/ranks{suffix}"
    told(tmp_path / "runs", picture=file)
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert file.read_bytes().startswith(start)


def edit_id(run, name):
    file = run / "results.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"run_id": name}))


def test_a_picture_needs_two_runs_and_a_known_suffix(results_dir, both, tmp_path):
    with pytest.raises(UsageError, match="no two of these runs stand on one leaderboard"):
        told(results_dir, picture=tmp_path / "x.png")
    with pytest.raises(UsageError, match="--picture: there is no paired test of js; leave"):
        told(results_dir, picture=tmp_path / "x.png", metric="js")
    with pytest.raises(UsageError, match="give a file that ends in .png, .svg, .pdf"):
        told(results_dir, picture=tmp_path / "x.txt")
    assert not list(tmp_path.iterdir())


def test_runs_of_an_earlier_version_are_shown(folder, hard_run):
    file = folder / hard_run.name / "results.json"
    results = json.loads(file.read_text())
    del results["per_class"]["sad"], results["created"]
    for values in results["metrics"].values():
        values.pop("std_folds", None)
    file.write_text(json.dumps(results))
    assert hard_run.name in told(folder)
