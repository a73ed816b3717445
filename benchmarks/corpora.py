"""How long it takes to read a corpus: IEMOCAP's annotations, and `ser corpora check` on RAVDESS.

    python -m benchmarks.corpora [--data DIR]

IEMOCAP itself is not needed: a release of 10,039 utterances is written in its layout, with empty
files for audio. The check runs on the real RAVDESS, where it is there, as a user runs it: one whole
process. `find` and `cat` over the same files stand beside the parser: what the disk alone takes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.machine import data_folder, machine
from embedcache.corpora import read_corpus
from tests.material import write_iemocap

ROUNDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with ravdess in it")
    root = data_folder(parser.parse_args().data)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        release = write_iemocap(Path(folder))
        parse = timed(lambda: read_corpus("iemocap", release))
        texts = [str(path) for path in release.rglob("EmoEvaluation/*.txt")]
        disk = timed(lambda: run(["find", str(release), "-name", "*.wav"]), run_cat(texts))
    print(f"iemocap: 10,039 utterances parsed in {parse:.2f} s (target 2 s)")
    print(f"         find and cat over the same files: {disk:.2f} s")
    ravdess = root / "ravdess"
    if not ravdess.is_dir():
        print(f"ravdess: skipped, there is no {ravdess}")
        return
    command = [sys.executable, "-m", "cli", "corpora", "check", "--corpus", "ravdess", "--root"]
    check = timed(lambda: run([*command, str(ravdess)]))
    start = timed(lambda: run([sys.executable, "-m", "cli", "corpora"]))
    print(f"ravdess: 1,440 clips checked in {check:.2f} s, the whole process (target 5 s)")
    print(f"         of which to start and list the corpora: {start:.2f} s")


def timed(*steps: Callable[[], object]) -> float:
    """Median wall-clock seconds of some steps in a row, after one round that is not counted."""
    seconds = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        for step in steps:
            step()
        seconds.append(time.perf_counter() - started)
    return median(seconds[1:])


def run(command: list[str]) -> None:
    """Run a command; what it prints is of no interest."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run_cat(paths: list[str]) -> Callable[[], None]:
    """Read some files whole."""
    return lambda: run(["cat", *paths])


if __name__ == "__main__":
    main()
