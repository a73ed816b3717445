from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedcache.atomic import (
    leftovers,
    move,
    new_folder,
    remove_folder,
    remove_stale,
    write_new,
    write_whole,
)
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
    alive, fresh = f".tmp-{host}-{os.getpid()}-0000000b", ".tmp-else-where-1-0000000c"
    gone, old = f".tmp-{host}-{dead}-0000000a", ".tmp-else-where-1-0000000d"
    foreign = ".tmp-2026-11-21"  # of another program, whose names are no business of ours
    for name in (alive, fresh, gone, old, foreign):
        (tmp_path / name).write_text("x")
    for name in (old, foreign):
        os.utime(tmp_path / name, (0, time.time() - 2 * 86_400))
    assert leftovers(tmp_path) == sorted([tmp_path / gone, tmp_path / old])
    remove_stale(tmp_path)
    assert names(tmp_path) == {alive, fresh, foreign}


def test_a_folder_may_hold_folders(tmp_path: Path) -> None:
    with new_folder(tmp_path / "export") as folder:
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "a").write_text("new")
    assert (tmp_path / "export" / "deep" / "er" / "a").read_text() == "new"


def test_a_file_is_moved_over_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("old")
    move(tmp_path / "a", tmp_path / "b")
    assert (names(tmp_path), (tmp_path / "b").read_text()) == ({"b"}, "new")


def test_a_folder_is_removed_with_all_that_it_holds(tmp_path: Path) -> None:
    (tmp_path / "cache" / "shards").mkdir(parents=True)
    (tmp_path / "cache" / "shards" / "a").write_text("x")
    remove_folder(tmp_path / "cache")
    assert names(tmp_path) == set()


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
