"""How many times faster than real time one core decodes, averages and resamples 48 kHz to 16 kHz.

    python -m benchmarks.decode [--data DIR] [--rounds 7]

Our `read_clip` beside what one would write in its place, on the same clips in turn within each
round, on one thread. Peers that are not installed are left out, and named.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

for threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[threads] = "1"  # before anything loads them

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
import torchaudio  # noqa: E402

from benchmarks.machine import data_folder, machine  # noqa: E402
from embedcache.audio.decode import read_clip  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

FROM_HZ, TO_HZ = 48_000, 16_000
TARGET = 300


def ours(path: Path) -> np.ndarray:
    """What extraction calls."""
    return read_clip(path, 0, None, TO_HZ)


def with_torchaudio(path: Path) -> np.ndarray:
    """The same steps, written out: the same numbers."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = torch.from_numpy(samples.mean(axis=1))
    return torchaudio.functional.resample(mono, rate_hz, TO_HZ).numpy()


def with_librosa(path: Path) -> np.ndarray:
    """The field's habit."""
    import librosa

    return librosa.load(path, sr=TO_HZ, mono=True)[0]


def with_soxr(path: Path) -> np.ndarray:
    """Another resampler."""
    import soxr

    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate_hz, TO_HZ)


def decoding_alone(path: Path) -> np.ndarray:
    """What cannot be saved: libsndfile."""
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


PEERS: dict[str, tuple[str, Callable[[Path], np.ndarray]]] = {
    "ser (read_clip)": ("soundfile", ours),
    "soundfile + torchaudio": ("torchaudio", with_torchaudio),
    "librosa.load": ("librosa", with_librosa),
    "soundfile + soxr": ("soxr", with_soxr),
    "(soundfile, decoding alone)": ("soundfile", decoding_alone),
}


def clips_in(folder: Path | None, scratch: Path) -> tuple[list[Path], str]:
    """The clips to decode, and what they are; generated ones where there are no real ones."""
    chosen = data_folder(folder) / "ravdess-original"
    paths = sorted(chosen.rglob("*.flac")) or sorted(chosen.rglob("*.wav"))
    if paths:
        return paths, f"{chosen}"
    if folder:
        raise SystemExit(f"no flac or wav files in {chosen}")
    for number in range(60):
        path = scratch / f"{number:02}.flac"
        soundfile.write(path, generated(3.7, number), FROM_HZ, subtype="PCM_16")
        paths.append(path)
    return paths, f"generated clips, for there are no real ones in {chosen}"


def generated(seconds: float, seed: int) -> np.ndarray:
    """Something that FLAC packs about as well as speech: a few tones, a swell, a little noise."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * FROM_HZ)) / FROM_HZ
    tones = sum(np.sin(2 * np.pi * k * rng.uniform(90, 250) * time_s) / k for k in range(1, 9))
    swell = np.maximum(0, np.sin(2 * np.pi * 0.4 * time_s)) ** 2
    return 0.1 * swell * tones + 1e-3 * rng.standard_normal(len(time_s))


def measure(paths: list[Path], rounds: int) -> dict[str, list[float]]:
    """Seconds that each takes for all clips, round by round."""
    there = {name: decode for name, (package, decode) in PEERS.items() if find_spec(package)}
    taken: dict[str, list[float]] = {name: [] for name in there}
    for path in paths[:8]:  # code, kernels and files are warm
        for decode in there.values():
            decode(path)
    for number in range(rounds):
        names = list(there)
        turned = names[number % len(names) :] + names[: number % len(names)]
        for name in turned:
            start = time.perf_counter()
            for path in paths:
                there[name](path)
            taken[name].append(time.perf_counter() - start)
    return taken


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with ravdess-original in it")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        paths, what = clips_in(arguments.data, Path(scratch))
        seconds = sum(soundfile.info(path).duration for path in paths)
        print(f"{len(paths)} clips, {seconds:.1f} s: {what}")
        print(f"{machine()}; one core is used")
        taken = measure(paths, arguments.rounds)
    missing = [name for name in PEERS if name not in taken]
    print(f"not installed: {', '.join(missing) or 'none'}")
    print(f"\n{'':28}{'x real time':>12}{'lowest':>9}{'highest':>9}{'ours / it':>11}")
    base = taken["ser (read_clip)"]
    for name, times in taken.items():
        rates = sorted(seconds / t for t in times)
        # Ratios within a round, where the machine was equally busy.
        ratio = statistics.median(t / b for t, b in zip(times, base, strict=True))
        print(
            f"{name:28}{statistics.median(rates):12.0f}{rates[0]:9.0f}{rates[-1]:9.0f}{ratio:11.2f}"
        )
    reached = seconds / statistics.median(base)
    verdict = "reached" if reached >= TARGET else "missed"
    print(f"\ntarget of {TARGET} x real time per core: {verdict}")


if __name__ == "__main__":
    main()
