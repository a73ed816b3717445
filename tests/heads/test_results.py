"""The run folder: whole or not at all, and a sentence where it is damaged."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from embedcache.errors import SerError, UsageError
from embedcache.utterance import Utterance
from heads.metrics import METRICS
from heads.results import NewRun, Run, find_run, list_runs, require_writable, write_run


def make_run(name="one", ua=0.5, weights=10):
    values = {"mean": ua, "std_seeds": None, "fold_mean": ua, "std_folds": 0.1, "ci95": None}
    return NewRun(
        results={
            "run_id": name,
            "corpus": {"name": "folder:mine", "labels": ["joy", "sad"], "speakers": 1, "tested": 2},
            "cache": {"encoder": {"id": "logmel", "trained": None}},
            "head": {"name": "mlp", "parameters": 9},
            "protocol": {
                "name": "speaker",
                "folds": 2,
                "seeds": 1,
                "speaker_overlap": 0,
                "test_speakers": [],
            },
            "metrics": dict.fromkeys(METRICS, values),
            "per_class": {},
            "training": {"labels": "hard"},
            "timing": {"train_s": 1.0},
        },
        predictions=pd.DataFrame(
            {
                "id": ["001", "NA"],
                "speaker": ["NA", ""],
                "fold": [0, 1],
                "seed": [0, 0],
                "true_joy": [1.0, 0.0],
                "true_sad": [0.0, 1.0],
                "pred_joy": [0.75, 0.1],
                "pred_sad": [0.25, 0.9],
            }
        ),
        history=pd.DataFrame({"fold": [0], "seed": [0], "epoch": [1]}),
        utterances=[
            Utterance(id="001", path=Path("ü/001.wav")),
            Utterance(id="NA", path=Path("x")),
        ],
        weights={"fold0.seed0.weight": torch.arange(float(weights))},
        model={"head": "mlp"},
        pictures={"confusion_matrix": b"png"},
    )


@pytest.fixture
def run(tmp_path):
    return Run(write_run(tmp_path, make_run()))


def test_what_is_written_is_read_again(run):
    new = make_run()
    assert run.path.name == run.id == "one"
    assert run.labels == ["joy", "sad"]
    assert run.results == {"format": 1, **new.results}
    # "001" is a name and no number, "NA" is a name and nothing missing.
    pd.testing.assert_frame_equal(run.predictions, new.predictions, check_dtype=False)
    assert list(run.utterances.values()) == new.utterances
    assert (run.path / "confusion_matrix.png").read_bytes() == b"png"


def test_the_same_run_is_replaced_as_a_whole(tmp_path):
    write_run(tmp_path, make_run(ua=0.5))
    (tmp_path / "one/bias.json").write_text("of the old run")
    write_run(tmp_path, make_run(ua=0.75))
    assert Run(tmp_path / "one").results["metrics"]["ua"]["mean"] == 0.75
    assert not (tmp_path / "one/bias.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_nan_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_run(tmp_path, make_run(ua=float("nan")))
    assert list(tmp_path.iterdir()) == []


def test_reports_are_written_beside_the_results(run):
    path = run.write_report("bias", {"gaps": []})
    assert path == run.path / "bias.json"
    assert json.loads(path.read_text()) == {"gaps": []}
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write_report("bias", {"gap": float("inf")})
    assert json.loads(path.read_text()) == {"gaps": []}


# Killed, full, forbidden

KILLED = """
import sys, time
from pathlib import Path
import safetensors.torch

def wait(weights):
    print("writing", flush=True)
    time.sleep(60)

safetensors.torch.save = wait
sys.path.insert(0, sys.argv[2])
from test_results import make_run
from heads.results import write_run
write_run(Path(sys.argv[1]), make_run(ua=0.9))
"""


def kill_while_writing(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"writing\n"
        assert list(folder.glob(".tmp-*/results.json")), "nothing was written yet"
        os.kill(process.pid, signal.SIGKILL)


def test_a_process_that_is_killed_leaves_no_run_and_its_rest_is_removed(tmp_path):
    kill_while_writing(tmp_path)
    assert list_runs(tmp_path) == []
    assert [path.name.startswith(".tmp-") for path in tmp_path.iterdir()] == [True]
    write_run(tmp_path, make_run())
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_process_that_is_killed_leaves_the_older_run(tmp_path):
    write_run(tmp_path, make_run(ua=0.5))
    kill_while_writing(tmp_path)
    (run,) = list_runs(tmp_path)
    assert run.results["metrics"]["ua"]["mean"] == 0.5
    assert len(run.predictions) == 2


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 kB; only the superuser can have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_and_leaves_the_older_run(small_disk):
    write_run(small_disk, make_run(ua=0.5))
    text = r"the disk is full: .*/disk/one could not be written \(0\.\d MB free\); make room"
    with pytest.raises(SerError, match=text):
        write_run(small_disk, make_run(ua=0.9, weights=100_000))
    assert [path.name for path in small_disk.iterdir()] == ["one"]
    assert Run(small_disk / "one").results["metrics"]["ua"]["mean"] == 0.5


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(SerError, match=r"cannot write .*results/one \(.*\); choose another folder"):
        write_run(tmp_path / "results", make_run())


# Damaged and edited


def damage(folder, text):
    (folder / "results.json").write_text(text)


@pytest.mark.parametrize("text", ["", "{", "7", "null", '"run_id"', "[]", '{"run_id": '])
def test_damaged_results_are_said(run, text):
    damage(run.path, text)
    with pytest.raises(SerError, match=r"results\.json (is damaged|lacks) .*train the head again"):
        Run(run.path)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda r: r.pop("metrics"), "lacks metrics; train the head again with this version"),
        (lambda r: r["metrics"].pop("ece"), r"lacks metrics\.ece; train"),
        (
            lambda r: r["corpus"].clear(),
            r"lacks corpus\.name, corpus\.labels, corpus\.speakers, corpus\.tested;",
        ),
        (lambda r: r.update(head=None), "is damaged"),
        (lambda r: r.update(format=2), "has another format version; train the head again"),
        (lambda r: r.pop("format"), "has another format version"),
    ],
)
def test_edited_results_are_said(run, edit, text):
    results = run.results
    edit(results)
    damage(run.path, json.dumps(results))
    with pytest.raises(SerError, match=text):
        Run(run.path)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda t: t.replace("pred_sad", "pred_bad"), r"lacks the columns pred_sad; train the"),
        (lambda t: t.replace("id,", "name,", 1), r"lacks the columns id; train"),
        (lambda t: t.replace("0.75", "much"), r"cannot be read \(.*much.*\); train the head again"),
        (lambda t: t.replace("0.75", ""), r"cannot be read \(.*\); train the head again"),
        (lambda t: t[:-9], r"cannot be read \(.*\); train the head again"),
        (lambda t: t + "a,b,c,d,e,f,g,h,i,j\n", r"cannot be read \(.*\); train the head again"),
        (lambda t: "", r"cannot be read \(No columns.*\); train the head again"),
    ],
)
def test_damaged_predictions_are_said(run, edit, text):
    file = run.path / "predictions.csv"
    file.write_text(edit(file.read_text()))
    with pytest.raises(SerError, match=rf"predictions\.csv {text}"):
        _ = run.predictions


def test_missing_predictions_are_said(run):
    (run.path / "predictions.csv").unlink()
    with pytest.raises(SerError, match=r"predictions\.csv cannot be read \(.*No such file"):
        _ = run.predictions


@pytest.mark.parametrize("text", ["{", "7\n", '{"id": "a"}\n', '{"path": "a"}\n', "[]\n"])
def test_damaged_utterances_are_said(run, text):
    (run.path / "utterances.jsonl").write_text(text)
    with pytest.raises(SerError, match=r"utterances\.jsonl cannot be read \(.*\); train the head"):
        _ = run.utterances


# Finding


def test_a_run_is_found_by_path_and_by_id(run, tmp_path):
    assert find_run(str(run.path), Path("nowhere")).id == "one"
    assert find_run("one", tmp_path).id == "one"


def test_a_run_that_is_not_there_is_said_with_those_that_are(run, tmp_path):
    with pytest.raises(
        UsageError, match=r"there is no run 'two', here or in .*; there are 1, the nearest one$"
    ):
        find_run("two", tmp_path)
    with pytest.raises(UsageError, match=r"there is no run 'two', here or in [^;]*$"):
        find_run("two", tmp_path / "empty")


def test_a_folder_without_results_is_no_run(tmp_path):
    with pytest.raises(
        UsageError, match=r"is no run, for it holds no results\.json; see `ser compare`"
    ):
        find_run(str(tmp_path), tmp_path)


def test_all_runs_are_listed_but_the_damaged_which_are_named(tmp_path, caplog):
    for name in ("c", "a", "b"):
        write_run(tmp_path, make_run(name))
    damage(tmp_path / "b", "{")
    (tmp_path / "no-run").mkdir()
    shutil.copytree(tmp_path / "a", tmp_path / ".tmp-host-1-a")
    with caplog.at_level(logging.WARNING):
        assert [run.id for run in list_runs(tmp_path)] == ["a", "c"]
    (record,) = caplog.records
    assert "left out:" in record.getMessage()
    assert "b/results.json is damaged" in record.getMessage()


def test_a_folder_that_is_not_there_holds_no_runs(tmp_path):
    assert list_runs(tmp_path / "nowhere") == []


def test_predictions_that_lack_rows_are_said(run):
    file = run.path / "predictions.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]))
    with pytest.raises(SerError, match="has 1 rows, and results.json tells of 2"):
        _ = run.predictions
    file.write_text("".join([*lines[:-1], lines[-2]]))
    with pytest.raises(SerError, match="with an id and seed each"):
        _ = run.predictions


def test_a_runs_own_file_leads_to_it_and_a_folder_of_runs_to_the_option(run, tmp_path):
    assert find_run(str(run.path / "results.json"), Path("nowhere")).id == "one"
    text = re.escape(f"it holds runs: give one of them, or --results-dir {run.path.parent}")
    with pytest.raises(UsageError, match=text):
        find_run(str(run.path.parent), tmp_path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    """A file stands where the folder would be: not even root can write into it."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(SerError, match="cannot write .*taken"):
        require_writable(tmp_path / "taken" / "results")
    require_writable(tmp_path / "new" / "results")
    assert not (tmp_path / "new").exists()
