"""Random utterances out of the cache, beside other ways to keep frames on a disk.

    python -m benchmarks.read [--data DIR] [--gigabytes 0.7] [--rounds 5] [--dir SCRATCH]

All hold the same float16 frames of 768 values at 50 Hz, with IEMOCAP's lengths (every k-th of the
published 5,531) where they are at hand. Each round reads every utterance once, in a random order
that is the same for all, a hundred at a time; all take turns at each hundred, and ratios are within
these turns. Every value is touched: the bytes that come back are summed as 64-bit integers. The
page cache is warm: what is measured is the way, not the disk. Opening is not counted, nor is the
cache's first pass, which checks every row against its checksum and is told apart. Lilcom keeps
float32 at a loss of its own, and reads a tenth of the utterances for its slowness; its bytes are
counted as float16.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import xxhash

from benchmarks.extract import durations
from benchmarks.machine import data_folder, machine
from embedcache.store.cache import Meta, write_meta, write_utterances
from embedcache.store.key import KeyParts, cache_key
from embedcache.store.plan import add_plan, deal
from embedcache.store.reader import CacheReader
from embedcache.store.shard import Row, write_shard
from embedcache.utterance import Utterance

DIM, FRAME_HZ = 768, 50
SHARD_BYTES = 64_000_000
OURS, BASE = "ser (CacheReader)", "numpy.memmap, one raw file"
TARGET = 0.8
CHUNK_FRAMES = 64  # 98 kB, in one big chunked data set
AT_A_TIME = 100
BATCH_ROWS = 256  # of an Arrow file
LILCOM_SHARE = 10
DIGEST_BYTES = 1 << 28

Read = Callable[[int], np.ndarray]  # the frames of an utterance, by its number


@dataclass(frozen=True, slots=True)
class Frames:
    """All frames, one utterance after the other.

    Attributes:
        values: [T, D] float16.
        offsets: [B + 1], rows of each utterance.
    """

    values: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> np.ndarray:
        return self.values[self.offsets[number] : self.offsets[number + 1]]


def make_frames(seconds: Sequence[float]) -> Frames:
    """Noise of the wanted lengths; what the values are is of no account."""
    offsets = np.cumsum([0, *(max(1, round(s * FRAME_HZ)) for s in seconds)])
    block = np.random.default_rng(0).standard_normal((20_011, DIM), np.float32).astype(np.float16)
    return Frames(np.resize(block, (int(offsets[-1]), DIM)), offsets)


def with_cache(frames: Frames, folder: Path) -> Read:
    """What stage 2 reads: a cache of ours, in shards of 64 MB."""
    reader = CacheReader(write_cache(frames, folder / "logmel-cache"))
    return lambda number: reader.frames(f"clip{number}", 0)


def write_cache(frames: Frames, folder: Path) -> Path:
    """A cache as an extraction leaves it."""
    parts = KeyParts(family="none", config={}, weights="", layers=("last",), conditioning={},
                     compute_dtype="float32", max_seconds=60.0, rate_hz=16_000,
                     store_dtype="float16")  # fmt: skip
    meta = Meta(corpus="folder", key=cache_key(parts), parts=parts, encoder_id="none", trained=None,
                dim=DIM, frame_hz=FRAME_HZ, last="last", versions={})  # fmt: skip
    write_meta(folder, meta)
    clips = [Utterance(id=f"clip{n}", path=Path(f"clip{n}.wav")) for n in range(len(frames))]
    write_utterances(folder, [(clip, f"content of {clip.id}") for clip in clips])
    rows = [(f"content of {c.id}", c.id, frames[n].nbytes) for n, c in enumerate(clips)]
    shards = deal(rows, SHARD_BYTES)
    add_plan(folder, shards)
    for number, shard in enumerate(shards):
        held = [Row(c, u, frames[int(u.removeprefix("clip"))][None]) for c, u in shard]
        path = folder / "shards" / f"0000-{number:05}.h5"
        write_shard(path, meta.key, held, [], (1, DIM), np.dtype(np.float16))
    return folder


def with_memmap(frames: Frames, folder: Path) -> Read:
    """The bound: the same bytes in one file, with nothing around them.

    As a plain array: those of the class memmap run Python code at each step that is taken.
    """
    frames.values.tofile(folder / "raw")
    mapped = np.memmap(folder / "raw", np.float16, "r", shape=frames.values.shape).view(np.ndarray)
    bounds = frames.offsets.tolist()
    return lambda number: mapped[bounds[number] : bounds[number + 1]]


def with_npy(frames: Frames, folder: Path) -> Read:
    """What toolkits do: one file per utterance."""
    (folder / "npy").mkdir()
    for number in range(len(frames)):
        np.save(folder / "npy" / f"{number}.npy", frames[number])
    return lambda number: np.load(folder / "npy" / f"{number}.npy")


def with_hdf5_each(frames: Frames, folder: Path) -> Read:
    """A chunked data set per utterance."""
    with h5py.File(folder / "each.h5", "w") as file:
        for number in range(len(frames)):
            file.create_dataset(str(number), data=frames[number], chunks=True)
    opened = h5py.File(folder / "each.h5", "r")
    return lambda number: opened[str(number)][:]


def with_hdf5_big(frames: Frames, folder: Path) -> Read:
    """One chunked data set for all."""
    with h5py.File(folder / "big.h5", "w") as file:
        file.create_dataset("frames", data=frames.values, chunks=(CHUNK_FRAMES, DIM))
    data = h5py.File(folder / "big.h5", "r")["frames"]
    bounds = frames.offsets.tolist()
    return lambda number: data[bounds[number] : bounds[number + 1]]


def with_arrow(frames: Frames, folder: Path) -> Read:
    """An Arrow file, memory-mapped; frames are a column of bytes, so that nothing is copied."""
    import pyarrow as pa

    path, schema = str(folder / "frames.arrow"), pa.schema([("frames", pa.large_binary())])
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for first in range(0, len(frames), BATCH_ROWS):
            numbers = range(first, min(first + BATCH_ROWS, len(frames)))
            cells = pa.array([frames[n].tobytes() for n in numbers], pa.large_binary())
            writer.write_batch(pa.record_batch([cells], schema))
    opened = pa.ipc.open_file(pa.memory_map(path))
    columns = [opened.get_batch(n).column(0) for n in range(opened.num_record_batches)]

    def read(number: int) -> np.ndarray:
        cell = columns[number // BATCH_ROWS][number % BATCH_ROWS]
        return np.frombuffer(cell.as_buffer(), np.float16).reshape(-1, DIM)

    return read


def with_lhotse_hdf5(frames: Frames, folder: Path) -> Read:
    """The reader of lhotse's NumpyHdf5Writer."""
    from lhotse.features.io import NumpyHdf5Reader, NumpyHdf5Writer

    with NumpyHdf5Writer(folder / "lhotse.h5") as writer:
        keys = [writer.write(str(number), frames[number]) for number in range(len(frames))]
    reader = NumpyHdf5Reader(folder / "lhotse.h5")
    return lambda number: reader.read(keys[number])


def with_lilcom(frames: Frames, folder: Path) -> Read:
    """The reader of lhotse's LilcomChunkyWriter, its default."""
    from lhotse.features.io import LilcomChunkyReader, LilcomChunkyWriter

    with LilcomChunkyWriter(folder / "lhotse.lca") as writer:
        keys = [
            writer.write(str(number), frames[number].astype(np.float32))
            for number in range(0, len(frames), LILCOM_SHARE)
        ]
    reader = LilcomChunkyReader(folder / "lhotse.lca")
    return lambda number: reader.read(keys[number // LILCOM_SHARE])


PEERS: dict[str, tuple[str, Callable[[Frames, Path], Read]]] = {
    OURS: ("embedcache", with_cache),
    BASE: ("numpy", with_memmap),
    "Arrow file, memory-mapped": ("pyarrow", with_arrow),
    "one .npy file each": ("numpy", with_npy),
    "HDF5, one chunked data set": ("h5py", with_hdf5_big),
    "HDF5, a chunked data set each": ("h5py", with_hdf5_each),
    "lhotse, NumpyHdf5": ("lhotse", with_lhotse_hdf5),
    "lhotse, LilcomChunky": ("lilcom", with_lilcom),
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with durations in it")
    parser.add_argument("--gigabytes", type=float, default=0.7)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", type=Path, help="where files are written and removed again")
    asked = parser.parse_args()
    print(machine())
    every = durations(data_folder(asked.data), 5531)
    gigabytes = sum(every) * FRAME_HZ * DIM * 2 / 1e9
    step = max(1, round(gigabytes / asked.gigabytes))
    frames = make_frames(every[::step])
    size = frames.values.nbytes
    print(f"{len(frames)} utterances, {size / 1e9:.2f} GB of float16 frames of {DIM} values")
    print_digests(frames.values)
    with tempfile.TemporaryDirectory(dir=asked.dir) as scratch:
        readers = open_all(frames, Path(scratch))
        first = rate(readers[OURS], range(len(frames)), frames)
        print(f"\nthe cache's first pass, which verifies: {first / 1e9:.2f} GB/s")
        rates = by_turns(readers, frames, asked.rounds)
    print_table(rates, size / len(frames))


def open_all(frames: Frames, folder: Path) -> dict[str, Read]:
    """Write and open each store; those whose package is absent are named."""
    there = {name: make for name, (package, make) in PEERS.items() if find_spec(package)}
    for name in PEERS.keys() - there.keys():
        package = PEERS[name][0]
        print(f"skipped: {name}: {package} is not installed; pip install 'ser-embedcache[bench]'")
    readers = {name: make(frames, folder) for name, make in there.items()}
    for name, read in readers.items():  # whoever reads something else is no peer
        got, number = read(LILCOM_SHARE), LILCOM_SHARE
        close = got.shape == frames[number].shape and np.abs(got - frames[number]).max() < 0.1
        if not close:
            raise SystemExit(f"{name} reads other frames than were written")
    return readers


def rate(read: Read, numbers: Sequence[int], frames: Frames) -> float:
    """Bytes per second of some utterances, every value touched."""
    size = sum(frames[number].nbytes for number in numbers)
    started = time.perf_counter()
    for number in numbers:
        read(number).reshape(-1).view(np.uint64).sum()
    return size / (time.perf_counter() - started)


def by_turns(readers: dict[str, Read], frames: Frames, rounds: int) -> dict[str, list[float]]:
    """Bytes per second of each, turn by turn; the first round warms up and is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in readers}
    rng, names = np.random.default_rng(0), list(readers)
    for number in range(rounds + 1):
        order = rng.permutation(len(frames))
        for turn, some in enumerate(np.array_split(order, max(1, len(frames) // AT_A_TIME))):
            few = [n for n in some.tolist() if n % LILCOM_SHARE == 0]
            first = (number + turn) % len(names)
            for name in names[first:] + names[:first]:
                asked = few if "Lilcom" in name else some.tolist()
                if asked:
                    found = rate(readers[name], asked, frames)
                    rates[name] += [found] if number else []
                else:
                    rates[name] += [np.nan] if number else []
    return rates


def print_table(rates: dict[str, list[float]], mean_bytes: float) -> None:
    """Rates, and ratios within turns: medians."""
    print(f"\n{'':32}{'GB/s':>7}{'reads/s':>10}{'of memmap':>11}{'ours / it':>11}")
    base, ours = np.array(rates[BASE]), np.array(rates[OURS])
    ahead = True
    for name, own in rates.items():
        middle, to_base = np.nanmedian(own), np.nanmedian(own / base)
        ours_to_it = np.nanmedian(ours / own)
        ahead &= bool(ours_to_it > 1) or name in (OURS, BASE)
        print(f"{name:32}{middle / 1e9:7.2f}{middle / mean_bytes:10,.0f}{to_base:10.0%} "
              f"{ours_to_it:10.2f}")  # fmt: skip
    reached = "reached" if np.median(ours / base) >= TARGET else "missed"
    told = "ahead of all others" if ahead else "not ahead of all others"
    print(f"\ntarget of {TARGET:.0%} of memmap: {reached}; {told}")


def print_digests(values: np.ndarray) -> None:
    """What it costs to check bytes, the best of three."""
    data = values.reshape(-1).view(np.uint8)[:DIGEST_BYTES].data
    digests = {"xxh3-64": xxhash.xxh3_64_intdigest, "xxh3-128": xxhash.xxh3_128_intdigest,
               "CRC-32": zlib.crc32, "SHA-256": hashlib.sha256}  # fmt: skip
    rates = []
    for name, digest in digests.items():
        best = float("inf")
        for _ in range(3):
            started = time.perf_counter()
            digest(data)
            best = min(best, time.perf_counter() - started)
        rates.append(f"{name} {len(data) / best / 1e9:.1f}")
    print(f"checksums of the same bytes, GB/s: {', '.join(rates)}")


if __name__ == "__main__":
    main()
