"""Single bits that flip on the disk: found by `ser cache verify`, and never read silently.

Each flip is tried in a process that is not the test's: HDF5 is C code, and may crash or run for
ever on what is damaged.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from embedcache.errors import SerError
from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.reader import CacheReader, Frames
from embedcache.store.verify import describe_faults
from tests.faults.forks import Forks
from tests.faults.scale import scaled
from tests.material import REPOSITORY, write_clips

LAYERS = 3
Tell = Callable[[str], None]
Flip = tuple[str, int, int]  # a file of the cache, a byte in it, a bit of that


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flipped")
    write_clips(folder / "clips", 8)
    (folder / "clips" / "sad" / "broken.wav").write_bytes(b"RIFF")
    config = ExtractConfig(corpus="folder", root=folder / "clips", cache_dir=folder / "cache",
                           encoder="random:wav2vec2-tiny", layers="all", shard_mb=0.02)  # fmt: skip
    return extract(config).folder


@contextmanager
def flipped(path: Path, position: int, bit: int) -> Iterator[None]:
    """A file with one bit turned."""
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))
        file.flush()
        try:
            yield
        finally:
            file.seek(position)
            file.write(bytes([byte]))


def frames_of(cache: Path) -> dict[tuple[str, int], Frames]:
    """Everything that a reader gives."""
    reader = CacheReader(cache)
    return {
        (u.id, layer): reader.frames(u.id, layer)
        for u in reader.utterances
        for layer in range(LAYERS)
    }


def what_comes_of(cache: Path, flip: Flip, truth: dict[tuple[str, int], Frames]) -> list[str]:
    """What `ser cache verify` and a reader make of a flipped bit."""
    name, position, bit = flip
    seen = set()
    with flipped(cache / name, position, bit):
        try:
            sound = describe_faults(cache)[1]
        except SerError:
            sound = False
        seen.add("unfound" if sound else "found")
        try:
            reader = CacheReader(cache)
        except SerError:
            return [*seen, "refused"]
        for utterance in reader.utterances:
            for layer in range(LAYERS):
                try:
                    frames = reader.frames(utterance.id, layer)
                except SerError:
                    seen.add("refused")
                    continue
                same = np.array_equal(frames, truth.get((utterance.id, layer)))  # type: ignore[arg-type]
                seen.add("same" if same else "changed")
    return sorted(seen)


def try_flips(cache: Path, flips: Path) -> None:
    """The child's work: a line per flip."""
    truth = {key: frames.copy() for key, frames in frames_of(cache).items()}
    for flip in json.loads(flips.read_text()):
        sys.stdout.write(json.dumps([flip, what_comes_of(cache, flip, truth)]) + "\n")
        sys.stdout.flush()


def outcomes(cache: Path, flips: list[Flip], folder: Path) -> list[tuple[Flip, list[str]]]:
    """What came of each flip."""
    (folder / "flips.json").write_text(json.dumps(flips))
    code = ("import sys; from pathlib import Path; from tests.faults.test_flipped_bytes import "
            "try_flips; try_flips(Path(sys.argv[1]), Path(sys.argv[2]))")  # fmt: skip
    child = subprocess.run(
        [sys.executable, "-c", code, str(cache), str(folder / "flips.json")],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    found = [json.loads(line) for line in child.stdout.splitlines()]
    assert child.returncode == 0, (flips[len(found)], child.stderr[-2000:])
    assert len(found) == len(flips)
    return found


def draw_flips(cache: Path, pattern: str, count: int, seed: int) -> list[Flip]:
    """Random bits: half of them anywhere, half in the first 4 kB, where HDF5's structures are."""
    draw = random.Random(seed)
    paths = sorted(cache.glob(pattern))
    flips = []
    for number in range(count):
        path = draw.choice(paths)
        size = path.stat().st_size
        position = draw.randrange(min(4096, size) if number % 2 else size)
        flips.append((str(path.relative_to(cache)), position, draw.randrange(8)))
    return flips


def test_in_a_shard(cache: Path, tmp_path: Path, tell: Tell) -> None:
    flips = draw_flips(cache, "shards/*.h5", scaled(1000), seed=0)
    found: Counter[str] = Counter()
    for flip, seen in outcomes(cache, flips, tmp_path):
        assert "found" in seen, flip
        assert "changed" not in seen, flip
        found[" and ".join(seen)] += 1
    told = ", ".join(f"{what} {n}" for what, n in sorted(found.items()))
    tell(f"bits of shards: {len(flips)}; {told}")


def test_in_a_checksum_file(cache: Path, tmp_path: Path, tell: Tell) -> None:
    flips = draw_flips(cache, "shards/*.xxh3", scaled(200), seed=1)
    for flip, seen in outcomes(cache, flips, tmp_path):
        assert seen == ["found", "same"], flip
    tell(f"bits of .xxh3 files: {len(flips)}, all found")


@pytest.mark.parametrize(
    "pattern", ["plans/*.json", "meta.json", "utterances.jsonl", "skipped.jsonl"]
)
def test_in_what_has_no_checksum(cache: Path, tmp_path: Path, pattern: str, tell: Tell) -> None:
    """Not all are found; frames are never changed under their content's name."""
    flips = draw_flips(cache, pattern, scaled(200), seed=2)
    seen = outcomes(cache, flips, tmp_path)
    found = sum("found" in what for _, what in seen)
    assert found == len(flips) if pattern.startswith("plans") else found >= len(flips) // 10
    if pattern != "utterances.jsonl":  # it names the frames: a name may change
        assert not [flip for flip, what in seen if "changed" in what]
    tell(f"bits of {pattern}: {found} of {len(flips)} found")


def test_the_command_says_so(cache: Path, server: Forks, tell: Tell) -> None:
    assert server.run("cache", "verify", cache).code == 0
    for name, position, bit in draw_flips(cache, "shards/*", scaled(50), seed=3):
        with flipped(cache / name, position, bit):
            ended = server.run("cache", "verify", cache)
        assert ended.code == 1
        stem = name.partition(".")[0]
        assert f"{stem}.h5: the file's bytes do not match its checksum file" in ended.out
        assert not ended.err
