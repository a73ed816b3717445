from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedcache.atomic import new_folder, remove_stale, write_new, write_whole
from embedcache.errors import SerError, disk_errors


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_an_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"old")
    write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == {"a"}


def test_write_new_never_replaces(tmp_path: Path) -> None:
    assert write_new(tmp_path / "a", b"first")
    assert not write_new(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == {"a"}


def test_write_new_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert write_new(tmp_path / "a", b"first")
    assert not write_new(tmp_path / "a", b"second")
    assert names(tmp_path) == {"a"}


def test_a_folder_appears_when_it_is_filled_and_replaces_the_old(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with new_folder(tmp_path / "run") as folder:
            (folder / "a").write_text(text)
            assert folder.name.startswith(".tmp-")
    assert (tmp_path / "run" / "a").read_text() == "new"
    assert names(tmp_path) == {"run"}


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    with new_folder(tmp_path / "run") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "run") as folder:
        (folder / "a").write_text("new")
        raise ZeroDivisionError
    assert (tmp_path / "run" / "a").read_text() == "old"
    assert names(tmp_path) == {"run"}


def test_leftovers_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    host = socket.gethostname()
    for name in (f".tmp-{host}-{dead}-1", f".tmp-{host}-{os.getpid()}-2", ".tmp-elsewhere-1-3",
                 ".tmp-elsewhere-1-4"):  # fmt: skip
        (tmp_path / name).write_text("x")
    os.utime(tmp_path / ".tmp-elsewhere-1-4", (0, time.time() - 2 * 86_400))
    remove_stale(tmp_path)
    assert names(tmp_path) == {f".tmp-{host}-{os.getpid()}-2", ".tmp-elsewhere-1-3"}


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path: Path) -> None:
    remove_stale(tmp_path / "nowhere")


def test_any_refusal_of_the_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SerError, match=r"cannot write .* \(odd\)"), disk_errors(tmp_path):
        raise OSError(errno.EIO, "odd")
    with pytest.raises(ZeroDivisionError), disk_errors(tmp_path):
        raise ZeroDivisionError


def test_a_link_that_fails_for_another_reason_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(OSError, match="bad disk"):
        write_new(tmp_path / "a", b"first")
    assert not names(tmp_path)


def test_a_file_where_a_folder_should_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("I am a file")
    target = tmp_path / "cache" / "a"
    with pytest.raises(SerError, match=r"cannot write .*cache/a \("), disk_errors(target):
        write_whole(target, b"x")


def test_a_folder_is_replaced_in_one_step(tmp_path: Path) -> None:
    """A second thread looks all the time: there is always a whole folder."""
    import threading

    def write(text: str) -> None:
        with new_folder(tmp_path / "run") as folder:
            (folder / "a").write_text(text)

    write("0")
    missing = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal missing
        while not done.is_set():
            missing += not (tmp_path / "run").is_dir()

    watcher = threading.Thread(target=watch)
    watcher.start()
    for n in range(200):
        write(str(n))
    done.set()
    watcher.join()
    assert not missing


def test_a_folder_is_replaced_without_an_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    for text in ("old", "new"):
        with new_folder(tmp_path / "run") as folder:
            (folder / "a").write_text(text)
    assert (tmp_path / "run" / "a").read_text() == "new"
    assert names(tmp_path) == {"run"}
