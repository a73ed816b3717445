"""Thousands of malformed audio files in one extraction: each is encoded, or listed and told why."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from embedcache.store.reader import CacheReader
from embedcache.store.verify import verify
from tests.faults.forks import Ended, Forks
from tests.faults.malformed import (
    CONTAINERS,
    every_cut,
    truncated,
    wav,
    whole,
    write_malformed,
    write_no_files,
)
from tests.faults.scale import FULL, scaled
from tests.faults.scene import the_cache
from tests.material import REPOSITORY, noise, write_clips

MOST_MB = 300  # of memory beyond what an extraction of a few sound clips takes
HOUR_MB = 6000  # the same for the longest clip that is taken
SHORTENED = frozenset({"nist", "voc"})  # libsndfile takes what is there, and says nothing
Tell = Callable[[str], None]


def extract(server: Forks, corpus: Path, cache_dir: Path) -> Ended:
    words = ["extract", "--corpus", "folder", "--encoder", "logmel", "--root", corpus,
             "--cache-dir", cache_dir]  # fmt: skip
    return server.run(*words)


@pytest.fixture(scope="module")
def usual_mb(server: Forks, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Peak memory of an extraction of a few sound clips."""
    folder = tmp_path_factory.mktemp("usual")
    ended = extract(server, write_clips(folder / "clips", 4), folder / "cache")
    assert ended.code == 0, ended.err
    return ended.peak_mb


def skips_of(cache: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (cache / "skipped.jsonl").read_text().splitlines()]


def check(ended: Ended, cache: Path) -> tuple[CacheReader, list[dict[str, str]]]:
    """Nothing crashed, everything is accounted for, and what is stored is numbers."""
    assert ended.code == 3, ended.err[-2000:]
    assert "Traceback" not in ended.err
    reader, skips = CacheReader(cache), skips_of(cache)
    assert {u.id for u in reader.missing} == {skip["utterance_id"] for skip in skips}
    assert len(reader.missing) == len(skips)
    for skip in skips:
        assert skip["kind"] in ("content", "io")
        assert skip["reason"] and "\n" not in skip["reason"]
    for utterance in reader.utterances:
        frames = reader.frames(utterance.id, 0)
        assert len(frames) and np.isfinite(frames).all()
    assert not list(verify(cache))
    return reader, skips


def test_each_is_encoded_or_listed(
    server: Forks, tmp_path: Path, usual_mb: float, tell: Tell
) -> None:
    count = scaled(2200)
    written = write_malformed(tmp_path / "clips", count, seed=0 if FULL else 1)
    odd = write_no_files(tmp_path / "clips")
    ended = extract(server, tmp_path / "clips", tmp_path / "cache")
    reader, skips = check(ended, the_cache(tmp_path / "cache"))
    assert len(reader.utterances) + len(skips) == len(written) + len(odd)
    reasons = {skip["utterance_id"]: skip["reason"] for skip in skips}
    assert {name for name in reasons if name.startswith("odd/")} == {
        name for name, kind in odd.items() if kind == "no file"
    }
    never = {"no audio at all", "cut in its head"}
    assert not {u.id for u in reader.utterances if written.get(u.id) in never}
    kinds = Counter(written[u.id] for u in reader.utterances if u.id in written)
    assert len(kinds) >= 7  # the others are not all refused either
    assert ended.peak_mb < usual_mb + MOST_MB
    tell(f"malformed audio: {count} files, {len(reader.utterances) - 7} encoded, the others listed "
         f"with {len(set(reasons.values()))} reasons; peak memory {ended.peak_mb:.0f} MB, of a "
         f"few sound clips {usual_mb:.0f} MB")  # fmt: skip


def test_a_truncated_file_is_never_taken_for_a_shorter_one(
    server: Forks, tmp_path: Path, tell: Tell
) -> None:
    folder = tmp_path / "clips" / "cut"
    folder.mkdir(parents=True)
    for container in CONTAINERS:
        (folder / f"{container}=.wav").write_bytes(whole(container))
    cuts = list(every_cut(120 if FULL else 12))
    for number, (container, share) in enumerate(cuts):
        (folder / f"{container}={number}.wav").write_bytes(truncated(container, share))
    ended = extract(server, tmp_path / "clips", tmp_path / "cache")
    reader, skips = check(ended, the_cache(tmp_path / "cache"))
    assert not [skip for skip in skips if skip["utterance_id"].endswith("=")]
    short = set()
    for utterance in reader.utterances:
        name = utterance.id.partition("=")[0]
        frames, right = reader.frames(utterance.id, 0), reader.frames(f"{name}=", 0)
        if frames.shape != right.shape or not np.array_equal(frames, right):
            short.add(name.removeprefix("cut/"))
    assert short == SHORTENED
    tell(f"truncated audio: {len(cuts)} files in {len(CONTAINERS)} containers, "
         f"{len(skips)} listed; taken for shorter ones: {', '.join(sorted(short))}")  # fmt: skip


def sparse_wav(path: Path, seconds: float, rate_hz: int, channels: int = 1) -> None:
    """A wav file of silence that takes no room, but for a second of noise near its end."""
    size = round(seconds * rate_hz) * channels * 2
    sound = (noise(1.0, 0, rate_hz) * 32_767).astype("<i2").repeat(channels).tobytes()
    head = bytearray(wav(b"", channels=channels, rate_hz=rate_hz))
    head[40:44] = struct.pack("<I", size)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
        file.seek(len(head) + size - 2 * len(sound))
        file.write(sound)


LARGE = [(4.0, 16_000, 1024, MOST_MB)]
if FULL:
    LARGE += [(12 * 3600, 16_000, 1, MOST_MB), (1300, 768_000, 2, MOST_MB)]
    LARGE += [(3600, 48_000, 1, HOUR_MB)]


@pytest.mark.parametrize(("seconds", "rate_hz", "channels", "most_mb"), LARGE)
def test_memory_is_bounded_for_what_is_long_or_wide(
    server: Forks,
    tmp_path: Path,
    usual_mb: float,
    seconds: float,
    rate_hz: int,
    channels: int,
    most_mb: float,
    tell: Tell,
) -> None:
    folder = write_clips(tmp_path / "clips", 2) / "sad"
    sparse_wav(folder / "large.wav", seconds, rate_hz, channels)
    ended = extract(server, tmp_path / "clips", tmp_path / "cache")
    assert ended.code in (0, 3), ended.err
    assert "Traceback" not in ended.err
    reader = CacheReader(the_cache(tmp_path / "cache"))
    assert len(reader.utterances) + len(skips_of(reader.path)) == 3
    came = skips_of(reader.path)[0]["reason"] if reader.missing else "encoded"
    tell(
        f"{seconds:g} s at {rate_hz} Hz in {channels} channels: {came}; peak {ended.peak_mb:.0f} MB"
    )
    assert ended.peak_mb < usual_mb + most_mb


@pytest.mark.skipif(not FULL, reason="writes a file of 1.4 GB, if only in name")
def test_a_clip_is_read_out_of_twelve_hours(tmp_path: Path) -> None:
    sparse_wav(tmp_path / "day.wav", 12 * 3600, 16_000)
    (tmp_path / "list.csv").write_text(
        f"path,start_s,end_s,label\nday.wav,{12 * 3600 - 2},{12 * 3600 - 1},sad\n"
    )
    words = ["extract", "--corpus", "manifest", "--encoder", "logmel",
             "--root", tmp_path / "list.csv", "--cache-dir",
             tmp_path / "cache"]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "cli", *map(str, words)], cwd=REPOSITORY,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    reader = CacheReader(Path(done.stdout.strip()))
    soundfile.write(tmp_path / "second.wav", noise(1.0, 0), 16_000, subtype="PCM_16")
    assert len(reader.frames(reader.utterances[0].id, 0)) == 49
