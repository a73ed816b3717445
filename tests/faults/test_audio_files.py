"""Audio files that cannot be read, or that go or change while a corpus is extracted."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from embedcache.store.reader import CacheReader
from embedcache.store.verify import verify
from tests.faults.forks import NOBODY, Forks, wait_for
from tests.faults.scale import scaled
from tests.faults.scene import CLIPS, INCOMPLETE, STAGES, Scene, the_cache

Tell = Callable[[str], None]
GONE = "cannot be read (No such file or directory)"
CHANGED = "its file changed while it was encoded"


def skipped(cache: Path) -> dict[str, str]:
    """Utterances that were not encoded, and why."""
    lines = (cache / "skipped.jsonl").read_text().splitlines()
    return {record["utterance_id"]: record["reason"] for record in map(json.loads, lines)}


def test_what_cannot_be_read_is_skipped_and_stops_nothing(
    scene: Scene, server: Forks, tmp_path: Path
) -> None:
    corpus = shutil.copytree(scene.corpus, tmp_path / "clips", symlinks=True)
    os.mkfifo(corpus / "sad" / "pipe.wav")
    for name, target in (("gone", "nowhere"), ("loop", "loop.wav"), ("memory", "/proc/self/mem"),
                         ("device", "/dev/zero")):  # fmt: skip
        (corpus / "sad" / f"{name}.wav").symlink_to(target)
    (corpus / "sad" / "folder.wav").mkdir()
    ended = server.run(*scene.words(tmp_path / "cache", corpus))
    assert ended.code == INCOMPLETE, ended.err
    assert "Traceback" not in ended.err
    reasons = skipped(the_cache(tmp_path / "cache"))
    assert reasons.pop("sad/broken").startswith("not audio that can be decoded")
    assert reasons == {
        "sad/pipe": "cannot be read (no regular file)",
        "sad/gone": GONE,
        "sad/loop": "cannot be read (Too many levels of symbolic links)",
        "sad/memory": "cannot be read (Input/output error)",
        "sad/device": "cannot be read (no regular file)",
    }
    assert len(CacheReader(the_cache(tmp_path / "cache")).utterances) == CLIPS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_another_user_may_not_read(scene: Scene, server: Forks) -> None:
    """Not below pytest's own folders, which only their user may enter."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(scene.corpus, folder / "clips")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        victim = sorted((folder / "clips").rglob("*.wav"))[0]
        victim.chmod(0)
        ended = server.run(
            *scene.words(folder / "cache", folder / "clips"), user=NOBODY, cwd=folder
        )
        assert ended.code == INCOMPLETE, ended.err
        name = victim.relative_to(folder / "clips").with_suffix("").as_posix()
        cache = the_cache(folder / "cache")
        assert skipped(cache)[name] == "cannot be read (Permission denied)"
        assert len(CacheReader(cache).utterances) == CLIPS - 1


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [remove, truncate, overwrite])
def test_files_that_go_or_change_meanwhile(
    scene: Scene, server: Forks, tmp_path: Path, harm: Callable[[Path], None], tell: Tell
) -> None:
    """Stopped at a random moment, three files harmed, and let go on: never wrong frames."""
    draw = random.Random(harm.__name__)
    came_of: Counter[str] = Counter()
    for number in range(scaled(20)):
        corpus = tmp_path / f"clips{number}"
        shutil.copytree(scene.corpus, corpus)
        cache_dir = tmp_path / f"cache{number}"
        running = server.start(*scene.words(cache_dir, corpus))
        stage = draw.choice(("hash", "list utterances", "write shards", "write shards"))
        wait_for(partial(STAGES[stage], cache_dir), running)
        running.signal(signal.SIGSTOP)
        victims = draw.sample(sorted(corpus.glob("*/*/*.wav")), 3)
        for victim in victims:
            harm(victim)
        running.signal(signal.SIGCONT)
        ended = running.wait()
        assert ended.code == INCOMPLETE, ended.err
        assert "Traceback" not in ended.err
        cache = the_cache(cache_dir)
        reasons, reader = skipped(cache), CacheReader(cache)
        assert not list(verify(cache))
        harmed = {v.relative_to(corpus).with_suffix("").as_posix() for v in victims}
        assert set(reasons) <= harmed | {"sad/broken"}
        assert {u.id for u in reader.utterances} | set(reasons) == {*scene.frames, "sad/broken"}
        for utterance in reader.utterances:  # of its first bytes, or not at all
            np.testing.assert_array_equal(
                reader.frames(utterance.id, 0), scene.frames[utterance.id]
            )
        for name in harmed:
            came_of[reasons.get(name, "encoded before").partition(":")[0]] += 1
    told = ", ".join(f"{what} {n}" for what, n in came_of.most_common())
    tell(f"files that meanwhile meet `{harm.__name__}`: {3 * scaled(20)}; {told}")
