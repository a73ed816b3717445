"""A cache that was moved, lies on a read-only disk, or belongs to another user, still reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.faults.forks import NOBODY, Forks
from tests.faults.scene import CLIPS, Scene, all_frames, small_disk, the_cache
from tests.material import REPOSITORY


@pytest.fixture
def cache_dir(scene: Scene, tmp_path: Path) -> Path:
    """All files of the undisturbed cache, and no corpus."""
    for name, data in scene.undisturbed.items():
        path = tmp_path / "moved" / "elsewhere" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "moved" / "elsewhere"


@contextmanager
def read_only_disk(cache_dir: Path, folder: Path) -> Iterator[Path]:
    """A copy on a disk that is mounted read-only, with what a killed process has left on it."""
    with small_disk(folder, "size=20m") as disk:
        shutil.copytree(cache_dir, disk / "cache")
        (the_cache(disk / "cache") / ".tmp-elsewhere-1-2").touch()
        os.utime(the_cache(disk / "cache") / ".tmp-elsewhere-1-2", (1e9, 1e9))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        yield disk / "cache"


def check_reading(server: Forks, scene: Scene, cache_dir: Path, user: int | None = None) -> None:
    """Commands that only read."""
    cache = the_cache(cache_dir)
    where = {"user": user, "cwd": cache}
    info = server.run("cache", "info", cache, **where)
    assert (info.code, info.err) == (0, ""), info.err
    assert f"{CLIPS} of {CLIPS + 1} listed" in info.out
    verified = server.run("cache", "verify", cache, **where)
    assert (verified.code, verified.err) == (0, ""), verified
    assert "every byte and every row checked" in verified.out
    listed = server.run("cache", "ls", "--cache-dir", cache_dir, **where)
    assert listed.code == 0 and f"{CLIPS} contents" in listed.out
    found = all_frames(cache)
    assert found.keys() == scene.frames.keys()
    for name, frames in found.items():
        np.testing.assert_array_equal(frames, scene.frames[name])


def check_training(cache_dir: Path, folder: Path) -> None:
    """A head, by the command as users start it."""
    words = ["train-head", "--corpus", "folder", "--cache", the_cache(cache_dir), "--folds", 2,
             "--seeds", 1, "--set", "epochs=2", "--results-dir", folder / "results"]  # fmt: skip
    trained = subprocess.run([sys.executable, "-m", "cli", *map(str, words)], cwd=REPOSITORY,
                             capture_output=True, text=True, check=False)  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert Path(trained.stdout.strip(), "results.json").is_file()


def check_refusal(server: Forks, scene: Scene, cache_dir: Path, user: int | None = None) -> None:
    """An extraction has to write, and says in one sentence that it cannot."""
    words = [*scene.words(cache_dir), "--limit", 3]
    refused = server.run(*words, user=user, cwd=the_cache(cache_dir))
    assert refused.code == 1
    assert refused.sentence.startswith("ser: cannot write ")
    assert refused.sentence.endswith("; choose another folder")
    assert "Traceback" not in refused.err


def test_moved(scene: Scene, server: Forks, cache_dir: Path) -> None:
    check_reading(server, scene, cache_dir)
    scene.finish(cache_dir)  # and nothing is encoded again


def test_on_a_read_only_disk(scene: Scene, server: Forks, cache_dir: Path, tmp_path: Path) -> None:
    with read_only_disk(cache_dir, tmp_path / "disk") as moved:
        check_reading(server, scene, moved)
        check_training(moved, tmp_path)
        check_refusal(server, scene, moved)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_of_another_user(scene: Scene, server: Forks, cache_dir: Path) -> None:
    """Not below pytest's own folders, which only their user may enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copytree(cache_dir, folder / "cache")
        shutil.copytree(scene.corpus, folder / "clips")
        check_reading(server, scene, folder / "cache", user=NOBODY)
        words = [*scene.words(folder / "cache", folder / "clips"), "--limit", 3]
        refused = server.run(*words, user=NOBODY, cwd=folder)
        assert refused.code == 1
        assert refused.sentence.startswith("ser: cannot write ")
        assert refused.sentence.endswith("(Permission denied); choose another folder")
