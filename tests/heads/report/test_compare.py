"""`ser compare`: runs become a leaderboard for people and for programs."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from embedcache.errors import UsageError
from heads.analysis.leaderboard import leaderboard
from heads.report.compare import compare, render_leaderboard
from heads.report.tables import percent
from heads.results import Run


@pytest.fixture
def both(hard_run, soft_run):
    return [Run(hard_run).results, Run(soft_run).results]


def parse(text):
    """Cells of a Markdown table by header."""
    lines = [line for line in text.split("\n") if line.startswith("|")]
    header, _, *rows = [[c.strip() for c in line[1:-1].split("|")] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_all_runs_of_a_folder_best_first(both, results_dir):
    rows = parse(compare([], results_dir, None, "ua", "md"))
    best_first = sorted(both, key=lambda r: -r["metrics"]["ua"]["mean"])
    assert [row["run"] for row in rows] == [r["run_id"] for r in best_first]
    for row, result in zip(rows, best_first, strict=True):
        ua = result["metrics"]["ua"]
        assert row["UA"] == percent(ua["mean"])
        assert row["± seeds"] == percent(ua["std_seeds"])
        assert row["95 % over speakers"] == " to ".join(map(percent, ua["ci95"]))
        assert row["WA"] == percent(result["metrics"]["wa"]["mean"])


def test_what_all_runs_share_is_said_once(results_dir, hard_run, soft_run):
    text = compare([], results_dir, None, "ua", "md")
    assert text.startswith("corpus manifest:planted; metrics in per cent")
    assert "rows that differ in corpus, labels or protocol are not comparable" in text
    assert {row["labels"] for row in parse(text)} == {"3 hard", "3 soft"}
    assert "corpus" not in text.split("\n")[2]
    assert {row["protocol"] for row in parse(text)} == {"speaker", "random"}
    alone = compare([str(hard_run)], results_dir, None, "ua", "table")
    assert alone.startswith("corpus manifest:planted; labels 3 hard; protocol speaker; metrics")


def test_shared_speakers_stand_beside_the_number(results_dir, hard_run, soft_run):
    rows = {row["run"]: row for row in parse(compare([], results_dir, None, "ua", "md"))}
    assert rows[hard_run.name]["speakers shared"] == "0 of 8"
    assert rows[hard_run.name]["notes"] == ""
    assert rows[soft_run.name]["speakers shared"] == "8 of 8"
    assert rows[soft_run.name]["notes"] == "speakers shared, 38 ties not scored"


@pytest.mark.parametrize(
    ("part", "change", "note"),
    [
        ("corpus", {"synthetic": True}, "synthetic corpus"),
        ("cache", {"encoder": {"id": "random:x", "trained": False}}, "untrained encoder"),
        ("protocol", {"speaker_overlap": None}, "speakers unknown"),
    ],
)
@pytest.mark.parametrize("markdown", [True, False])
def test_notes_are_shown(both, part, change, note, markdown):
    result = both[0] | {part: both[0][part] | change}
    text = render_leaderboard(leaderboard([result, both[1]], "ua"), "ua", markdown)
    assert note in next(line for line in text.split("\n") if result["run_id"] in line)
    if part == "protocol":
        assert "unknown" in text.replace("speakers unknown", "")


def test_settings_stand_beside_the_head_where_rows_would_look_alike(both):
    one, other = (both[0] | {"run_id": name} for name in ("one", "other"))
    other["head"] = one["head"] | {"config": one["head"]["config"] | {"pooling": "median"}}
    pooling = one["head"]["config"]["pooling"]
    rows = {
        r["run"]: r for r in parse(render_leaderboard(leaderboard([one, other], "ua"), "ua", True))
    }
    assert rows["one"]["head"] == f"{one['head']['name']} (pooling={pooling})"
    assert rows["other"]["head"] == f"{one['head']['name']} (pooling=median)"
    alone = parse(render_leaderboard(leaderboard([one], "ua"), "ua", True))
    assert alone[0]["head"] == one["head"]["name"]


def test_tau_is_shown_where_a_run_has_it(results_dir, hard_run, soft_run):
    rows = {row["run"]: row for row in parse(compare([], results_dir, None, "ua", "md"))}
    tau = Run(soft_run).results["metrics"]["kendall_tau"]["mean"]
    assert rows[soft_run.name]["tau"] == f"{tau:.3f}"
    assert rows[hard_run.name]["tau"] == "-"
    alone = compare([hard_run.name], results_dir, None, "ua", "table")
    assert "tau" not in alone.split("\n")[2]


def test_the_metric_that_sorts_stands_first_in_its_own_unit(both, results_dir):
    rows = parse(compare([], results_dir, None, "kl", "md"))
    values = [result["metrics"]["kl"]["mean"] for result in both]
    assert [row["KL"] for row in rows] == [f"{value:.3f}" for value in sorted(values)]
    assert "UA" in rows[0]


def test_what_is_missing_is_a_dash(both):
    nothing = dict.fromkeys(("mean", "std_seeds", "fold_mean", "std_folds", "ci95"))
    first = both[0] | {"metrics": both[0]["metrics"] | {"ua": nothing}}
    rows = parse(render_leaderboard(leaderboard([first, both[1]], "ua"), "ua", markdown=True))
    assert rows[1]["run"] == first["run_id"]
    assert [rows[1][name] for name in ("UA", "± seeds", "95 % over speakers")] == ["-"] * 3


def test_csv_and_json_hold_the_raw_fractions(both, results_dir):
    expected = {r["run_id"]: r["metrics"]["ua"]["mean"] for r in both}
    from_csv = pd.read_csv(io.StringIO(compare([], results_dir, None, "ua", "csv")))
    from_json = json.loads(compare([], results_dir, None, "ua", "json"))
    assert dict(zip(from_csv["run"], from_csv["ua"], strict=True)) == pytest.approx(expected)
    assert {row["run"]: row["ua"] for row in from_json} == pytest.approx(expected)
    hard = next(row for row in from_json if row["head"] == "attention")
    assert hard["kendall_tau"] is None


def test_runs_of_another_corpus_are_left_out(results_dir):
    assert "manifest:planted" in compare([], results_dir, "manifest:planted", "ua", "table")
    text = r"there is no run on ravdess in .*; make one with `ser train-head`"
    with pytest.raises(UsageError, match=text):
        compare([], results_dir, "ravdess", "ua", "table")


@pytest.mark.parametrize(
    ("names", "metric", "form", "text"),
    [
        (["nothing"], "ua", "table", "there is no run 'nothing', here or in"),
        ([], "uaa", "table", "unknown metric 'uaa': did you mean 'ua'"),
        ([], "ua", "html", "unknown --format 'html'"),
    ],
)
def test_what_does_not_exist_is_refused(results_dir, hard_run, names, metric, form, text):
    with pytest.raises(UsageError, match=text):
        compare(names, results_dir, None, metric, form)


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    with pytest.raises(UsageError, match="there is no run in .*; make one with `ser train-head`"):
        compare([], tmp_path, None, "ua", "table")
