"""Interrupted trainings: really killed, and gone on with."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedcache.errors import SerError
from heads.finetune.state import alone
from tests.material import REPOSITORY

OPTIONS = [
    *("--corpus", "folder", "--encoder", "random:wav2vec2-tiny", "--head", "attention"),
    *("--fold", "0", "--folds", "3", "--device", "cpu", "--set", "epochs=3"),
    *("--set", "batch_seconds=3", "--set", "save_minutes=0", "--set", "layerdrop=0.2"),
]


def start(tones: Path, folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cli", "finetune", "--root", str(tones), *OPTIONS, *more]
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def weights(folder: Path) -> dict[str, bytes]:
    (found,) = folder.glob("checkpoints/*/fold0")
    names = ("model.safetensors", "head.safetensors", "history.csv", "config.json")
    return {name: (found / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def undisturbed(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    code, out, err = finish(start(tones, folder))
    assert code == 0, err
    assert out.strip().endswith("/fold0") and (folder / out.strip() / "config.json").is_file()
    return folder


def test_nothing_is_left_behind(undisturbed):
    there = {p.name for p in (undisturbed / "checkpoints").rglob("*") if p.is_file()}
    assert there == {
        ".fold0.lock", "config.json", "folds.json",
        "head.safetensors", "history.csv", "model.safetensors",
        "preprocessor_config.json", "ser.json",
    }  # fmt: skip


def wait_for_state(process: subprocess.Popen[str], folder: Path) -> Path:
    """Until a training has saved where it stands, or has ended."""
    while not (found := list(folder.glob("checkpoints/*/fold0.resume.safetensors"))):
        assert process.poll() is None
        time.sleep(0.01)
    return found[0]


def test_a_killed_training_goes_on_to_the_same_bytes(tones, undisturbed, tmp_path):
    rng = random.Random(0)
    for kills in range(4):
        process = start(tones, tmp_path)
        if kills < 3:
            wait_for_state(process, tmp_path)
            # The second and third are killed while they start, or train on from there.
            time.sleep(rng.random() * 0.3 + 4 * (kills > 0))
            process.send_signal(signal.SIGKILL)
        code, _, err = finish(process)
        if code == 0:
            break
        assert code == -signal.SIGKILL, err
    assert kills and "goes on in epoch" in err
    assert weights(tmp_path) == weights(undisturbed)
    assert not list(tmp_path.glob("checkpoints/*/.tmp-*"))


def test_an_interrupted_save_leaves_the_one_before(tones, undisturbed, tmp_path):
    """A full disk, for files of more than so many bytes: the state fits once, its successor not."""
    import resource

    process = start(tones, tmp_path)
    state = wait_for_state(process, tmp_path)
    process.send_signal(signal.SIGKILL)
    finish(process)
    before = state.read_bytes()
    limit = (len(before) // 2,) * 2
    command = start(tones, tmp_path)
    resource.prlimit(command.pid, resource.RLIMIT_FSIZE, limit)
    code, _, err = finish(command)
    assert code == 1 and "the disk is full" in err and "Traceback" not in err
    assert state.read_bytes() == before
    code, _, err = finish(start(tones, tmp_path))
    assert code == 0 and "goes on in epoch" in err
    assert weights(tmp_path) == weights(undisturbed)


def test_two_processes_do_not_train_the_same(tmp_path):
    with (
        alone(tmp_path / "checkpoints" / "fold0"),
        pytest.raises(SerError, match="another process is training .*fold0; wait for it"),
        alone(tmp_path / "checkpoints" / "fold0"),
    ):
        pass
    with alone(tmp_path / "checkpoints" / "fold0"):  # and then again
        pass


def test_what_is_finished_is_not_done_again(tones, undisturbed):
    before = weights(undisturbed)
    code, _, err = finish(start(tones, undisturbed))
    assert code == 0 and "is there already" in err and weights(undisturbed) == before
