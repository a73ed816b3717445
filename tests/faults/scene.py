"""A corpus, the command that extracts it, and what comes of it when nothing happens."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from embedcache.store.plan import read_plans
from embedcache.store.reader import CacheReader, Frames
from tests.faults.forks import Ended, Forks, Running, wait_for
from tests.material import write_clips

CLIPS = 30
INCOMPLETE = 3  # the exit status: the corpus holds one broken file
Mark = Callable[[Path], bool]
STAGES: dict[str, Mark] = {  # of a process's life: what on disk tells that the stage has begun
    "start": lambda cache_dir: True,
    "hash": lambda cache_dir: (cache_dir / "folder").is_dir(),
    "list utterances": lambda cache_dir: (cache_dir / "folder" / "files.json").exists(),
    "plan": lambda cache_dir: any(cache_dir.glob("folder/*/utterances.jsonl")),
    "write shards": lambda cache_dir: any(cache_dir.glob("folder/*/shards")),
    "list skips": lambda cache_dir: all_shards(cache_dir),
    "measure fidelity": lambda cache_dir: any(cache_dir.glob("folder/*/skipped.jsonl")),
}


def all_shards(cache_dir: Path) -> bool:
    """Whether every planned shard is there with its checksum."""
    for folder in cache_dir.glob("folder/*/"):
        planned = {shard.name for shard in read_plans(folder)}
        return bool(planned) and planned <= {p.stem for p in folder.glob("shards/*.xxh3")}
    return False


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative path; what vanishes meanwhile is none."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def the_cache(cache_dir: Path) -> Path:
    """The one cache below a folder."""
    (folder,) = cache_dir.glob("folder/*/")
    return folder


def all_frames(cache: Path) -> dict[str, Frames]:
    """Frames of every utterance, copied."""
    reader = CacheReader(cache)
    return {u.id: reader.frames(u.id, 0).copy() for u in reader.utterances}


@dataclass(frozen=True, slots=True)
class Scene:
    """An extraction, and its undisturbed end.

    Attributes:
        server: Starts processes.
        corpus: Clips, and one broken file.
        undisturbed: Every file that an undisturbed extraction leaves, by its path.
        frames: What it stored, by utterance.
        stages_s: How long each of `STAGES` took, in seconds.
    """

    server: Forks
    corpus: Path
    undisturbed: dict[str, bytes]
    frames: dict[str, Frames]
    stages_s: dict[str, float]

    def words(self, cache_dir: Path, corpus: Path | None = None) -> list[object]:
        """The arguments of `ser`; each clip gets a shard of its own, or nearly."""
        return ["extract", "--corpus", "folder", "--encoder", "logmel",
                "--root", corpus or self.corpus,
                "--cache-dir", cache_dir, "--shard-mb", "0.004"]  # fmt: skip

    def start(self, cache_dir: Path) -> Running:
        """Start an extraction into a folder."""
        return self.server.start(*self.words(cache_dir))

    def finish(self, cache_dir: Path) -> Ended:
        """Extract to the end, which must be the undisturbed one."""
        ended = self.start(cache_dir).wait()
        assert ended.code == INCOMPLETE, ended.err
        assert tree(cache_dir) == self.undisturbed
        return ended

    def disturb(
        self, cache_dir: Path, stage: str, share: float, act: Callable[[Running], object]
    ) -> Ended:
        """Start an extraction and do something to it, or to its disk.

        Args:
            cache_dir: Where it goes.
            stage: When something is done: after this stage has begun.
            share: How much later, as a share of the time that the stage took undisturbed.
            act: What is done.
        """
        running = self.start(cache_dir)
        wait_for(partial(STAGES[stage], cache_dir), running)
        time.sleep(share * self.stages_s[stage])
        act(running)
        return running.wait()


def watch(server: Forks, words: list[object], cache_dir: Path) -> tuple[Ended, dict[str, float]]:
    """Run an extraction and see how long each of its stages takes."""
    running = server.start(*words)
    begun = []
    for mark in STAGES.values():
        wait_for(partial(mark, cache_dir), running)
        begun.append(time.monotonic())
    ended = running.wait()
    spans = pairwise([*begun, time.monotonic()])
    return ended, {stage: end - start for stage, (start, end) in zip(STAGES, spans, strict=True)}


def make_scene(server: Forks, folder: Path) -> Scene:
    """Write the corpus, and extract it undisturbed, twice: once to watch, once to see it again."""
    corpus = write_clips(folder / "clips", CLIPS)
    (corpus / "sad" / "broken.wav").write_bytes(b"RIFF")
    settle(corpus)
    bare = Scene(server, corpus, {}, {}, {})
    ended, stages_s = watch(server, bare.words(folder / "cache"), folder / "cache")
    assert ended.code == INCOMPLETE, ended.err
    scene = Scene(server, corpus, tree(folder / "cache"),
                  all_frames(the_cache(folder / "cache")), stages_s)  # fmt: skip
    assert sum(name.endswith(".h5") for name in scene.undisturbed) > CLIPS // 2
    assert len(scene.frames) == CLIPS
    scene.finish(folder / "again")
    return scene


def settle(corpus: Path) -> None:
    """Let files be old enough for their hashes to be remembered."""
    for path in corpus.rglob("*.wav"):
        os.utime(path, (1e9, 1e9))


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own in memory; without the right to mount one, a skipped test."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
