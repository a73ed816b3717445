"""TensorBoard reads back what a run's history says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from embedcache.errors import SerError, UsageError
from heads.experiment import run_heads
from heads.results import write_run
from heads.tensorboard import require_tensorboard, scalar_log
from heads.train.run import train_runs
from tests.material import REPOSITORY


def read_scalars(folder):
    """Steps and values of each scalar, by TensorBoard's own reader."""
    log = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    log.Reload()
    return {
        name: [(event.step, event.value) for event in log.Scalars(name)]
        for name in log.Tags()["scalars"]
    }


def require_curves_of(history, folder):
    """Every model's curves are the history's columns, in the event files' float32."""
    models = {f"fold{f}.seed{s}": table for (f, s), table in history.groupby(["fold", "seed"])}
    assert {path.name for path in folder.iterdir()} == set(models)
    for name, table in models.items():
        found = read_scalars(folder / name)
        assert set(found) == set(history.columns) - {"fold", "seed", "epoch"}
        for column, points in found.items():
            steps, values = zip(*points, strict=True)
            assert list(steps) == table["epoch"].tolist()
            np.testing.assert_allclose(values, table[column], rtol=1e-6)


def test_curves_are_those_of_the_history(run_config, tmp_path):
    (folder,) = run_heads(run_config(), tmp_path, tensorboard=True)
    history = pd.read_csv(folder / "history.csv")
    assert len(history[["fold", "seed"]].drop_duplicates()) == 8
    require_curves_of(history, folder / "tensorboard")
    assert not list(tmp_path.glob(".tmp-*"))


def test_every_column_is_a_curve_and_a_missing_value_stays_one(run_config, tmp_path):
    run = next(train_runs(run_config(folds=2, seeds=1)))
    history = run.history.rename(columns={"val_ua": "val_ccc"})
    history.loc[1, "val_loss"] = np.nan
    folder = write_run(tmp_path, replace(run, history=history), tensorboard=True)
    require_curves_of(history, folder / "tensorboard")
    assert "val_ccc" in read_scalars(folder / "tensorboard/fold0.seed0")


def test_a_head_without_epochs_has_no_curves(run_config, tmp_path):
    config = run_config(heads=("svm",), settings={}, folds=3)
    (folder,) = run_heads(replace(config, settings={}), tmp_path, tensorboard=True)
    assert (folder / "results.json").exists()
    assert not (folder / "tensorboard").exists()


def test_there_are_none_unless_they_are_asked_for(hard_run):
    assert not (hard_run / "tensorboard").exists()


def test_a_log_can_be_watched_while_it_grows_and_goes_on_in_a_file_of_its_own(tmp_path):
    with scalar_log(tmp_path / "log") as add:
        add(1, {"loss": 0.5})
        assert read_scalars(tmp_path / "log") == {"loss": [(1, 0.5)]}
        add(2, {"loss": 0.25})
        assert read_scalars(tmp_path / "log") == {"loss": [(1, 0.5), (2, 0.25)]}
    with scalar_log(tmp_path / "log") as add:
        add(3, {"loss": 0.125})
    assert len(list((tmp_path / "log").iterdir())) == 2
    assert read_scalars(tmp_path / "log") == {"loss": [(1, 0.5), (2, 0.25), (3, 0.125)]}


@pytest.fixture
def mount(tmp_path):
    """Mount a disk of so many bytes; only the superuser can."""
    folder = tmp_path / "disk"

    def make(size):
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a small disk cannot be mounted here")
        return folder

    yield make
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_older_run_whole(run_config, tmp_path, mount):
    """The run fits twice, but not the curves of two hundred models: a page of 4 kB each."""
    run = next(train_runs(run_config(folds=2, seeds=1)))
    last = run.history.tail(1)
    many = replace(run, history=pd.concat([last.assign(fold=fold) for fold in range(200)]))
    whole = write_run(tmp_path / "whole", many)
    disk = mount(2 * sum(path.stat().st_size + 4096 for path in whole.iterdir()) + 200_000)
    folder = write_run(disk, many)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(SerError, match="the disk is full"):
        write_run(disk, many, tensorboard=True)
    assert list(disk.iterdir()) == [folder]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    write_run(disk, many)  # which fits


def test_without_the_extra_one_sentence_says_how_to_get_it_before_any_work(
    run_config, tmp_path, monkeypatch
):
    require_tensorboard()
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    text = (
        "--tensorboard needs the package tensorboard; install it with "
        r"`pip install 'ser-embedcache\[tensorboard\]'`"
    )
    with pytest.raises(UsageError, match=text):
        require_tensorboard()
    config = run_config(corpus="urdu", cache=tmp_path / "nowhere")  # nor is that looked at
    with pytest.raises(UsageError, match=text):
        next(run_heads(config, tmp_path / "results", tensorboard=True))
    assert not (tmp_path / "results").exists()
    (folder,) = run_heads(run_config(folds=2, seeds=1), tmp_path / "results")
    assert (folder / "history.csv").exists()


def test_it_is_imported_only_where_it_is_used():
    code = "import sys, heads.experiment; sys.exit('tensorboard' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
