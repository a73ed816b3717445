"""Real faults: processes are killed, disks are full, two extract at once."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedcache.store.reader import CacheReader
from embedcache.store.verify import verify
from tests.conftest import Ser
from tests.material import write_clips

KILLS = int(os.environ.get("SER_TEST_KILLS", "10"))
SHARD_MB = "0.004"


def extract_command(root: Path, cache_dir: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "cli", "extract", "--corpus", "folder", "--root", str(root),
            "--cache-dir", str(cache_dir), "--shard-mb", SHARD_MB, *more]  # fmt: skip


def everything(cache_dir: Path) -> dict[str, bytes]:
    """Every file of the cache folder by its relative path."""
    (folder,) = cache_dir.glob("folder/*/")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("faults") / "clips", 60)


@pytest.fixture(scope="module")
def undisturbed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    cache_dir = tmp_path_factory.mktemp("undisturbed")
    (corpus / "sad" / "broken.wav").write_bytes(b"RIFF")
    done = subprocess.run(extract_command(corpus, cache_dir), capture_output=True, check=False)
    assert done.returncode == 3
    files = everything(cache_dir)
    assert sum(name.endswith(".h5") for name in files) > 20
    return files


def heed_interrupts() -> None:
    """Undo what a shell does to its background jobs: they and their children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt(command: list[str], signum: int, after_s: float, watch: Path) -> int:
    """Start a command, send it a signal some time after its first shard, give its exit status."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=heed_interrupts)  # fmt: skip
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if list(watch.glob("folder/*/plans/*.json")):
            break
        time.sleep(0.001)
    time.sleep(after_s)
    process.send_signal(signum)
    return process.wait()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_interrupted_anywhere_it_ends_with_the_same_bytes(
    corpus: Path, undisturbed: dict[str, bytes], tmp_path: Path, signum: int
) -> None:
    """Interrupted again and again at random moments, then let go to its end."""
    moments = random.Random(signum)
    command = extract_command(corpus, tmp_path)
    cut_short = 0
    for _ in range(KILLS):
        cut_short += interrupt(command, signum, moments.uniform(0.0, 0.08), tmp_path) != 3
    assert cut_short >= KILLS // 4
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 3, done.stderr
    assert everything(tmp_path) == undisturbed


def test_killed_before_its_plan_it_starts_anew(
    corpus: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    """From its start: while it imports, hashes, and writes its first files."""
    moments = random.Random(3)
    command = extract_command(corpus, tmp_path)
    for _ in range(max(KILLS // 2, 3)):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.3, 2.0))
        process.kill()
        process.wait()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 3
    assert everything(tmp_path) == undisturbed


def test_ctrl_c_is_one_sentence(corpus: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(extract_command(corpus, tmp_path), stderr=subprocess.PIPE, text=True,
                               preexec_fn=heed_interrupts)  # fmt: skip
    while not list(tmp_path.glob("folder/*/shards/*.h5")):
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    if process.returncode != 3:  # it was not faster than the signal
        assert process.returncode == 130
        assert errors.strip().endswith("interrupted; the same command goes on where it stopped")
        assert "Traceback" not in errors


def test_two_at_once_share_the_work_and_end_with_the_same_bytes(
    corpus: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    command = extract_command(corpus, tmp_path)
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    encoded = []
    for process in both:
        _, errors = process.communicate()
        assert process.returncode == 3, errors
        told = re.search(r"(\d+) contents encoded now", errors)
        assert told
        encoded.append(int(told[1]))
    assert sum(encoded) == 60  # nothing twice
    assert everything(tmp_path) == undisturbed


def test_what_a_killed_process_had_claimed_is_done_by_the_other(
    corpus: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    command = extract_command(corpus, tmp_path)
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("folder/*/shards/*.h5")) and first.poll() is None:
        time.sleep(0.001)
    first.send_signal(signal.SIGSTOP)  # it holds its claims, and does nothing
    second = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(6)
    claimed = first.poll() is None and len(everything(tmp_path)) < len(undisturbed)
    assert not claimed or second.poll() is None  # it waits for what the first has claimed
    first.kill()
    first.wait()
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 3, errors
    assert not claimed or "waiting for another process that encodes" in errors
    # The killed process's temporary file goes when the next extraction begins.
    left = {name: data for name, data in everything(tmp_path).items() if ".tmp-" not in name}
    assert left == undisturbed


def test_a_reader_while_a_writer_writes(corpus: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(extract_command(corpus, tmp_path), stderr=subprocess.DEVNULL)
    seen = []
    while process.poll() is None:
        folders = [p.parent for p in tmp_path.glob("folder/*/utterances.jsonl")]
        if folders:
            reader = CacheReader(folders[0])
            for utterance in reader.utterances:
                assert reader.frames(utterance.id, 0).size
            seen.append(len(reader.utterances))
    assert seen == sorted(seen)
    assert len(CacheReader(folders[0]).utterances) == 60


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("free_kb", [0, 3, 20, 50, 90, 140, 200])
def test_a_full_disk_is_one_sentence_and_heals(
    corpus: Path, undisturbed: dict[str, bytes], small_disk: Path, ser: Ser, free_kb: int
) -> None:
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        stats = os.statvfs(small_disk)
        file.write(b"\0" * (stats.f_bavail * stats.f_frsize - free_kb * 1000))
    command = extract_command(corpus, small_disk / "cache")[3:]
    full = ser(*command)
    assert full.returncode == 1, full.stderr
    message = full.stderr.strip().splitlines()[-1]
    assert message.startswith("ser: the disk is full: ") and "run the same command again" in message
    assert "Traceback" not in full.stderr
    assert not full.stdout
    assert not list(small_disk.rglob(".tmp-*"))
    for meta in small_disk.glob("cache/folder/*/meta.json"):
        assert not list(verify(meta.parent))
    ballast.unlink()
    healed = ser(*command)
    assert healed.returncode == 3, healed.stderr
    assert everything(small_disk / "cache") == undisturbed
