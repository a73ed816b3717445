"""Stage 1 beside the loop that toolkits use: one utterance at a time, one `.npy` file each.

    python -m benchmarks.extract [--encoder random:wav2vec2-base] [--clips 32] [--rounds 3]
                                 [--device cpu] [--dtypes float32,bfloat16]

Both encode the same wav files with the same weights, from files to files on the same disk, in the
same process and by turns. The loop reads with soundfile, calls the library's feature extractor and
model, and saves the last hidden state. Lengths are IEMOCAP's (every k-th of the published 5,531),
where they are at hand. Imports and loading of weights are not counted for either. The share of the
machine's peak is the encoder's floating-point operations per second over those of a square matrix
product that was timed beside it, in the same dtype.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import data_folder, machine
from embedcache import extract as extraction
from embedcache.encoders import load_encoder
from embedcache.encoders._checkpoints import load_checkpoint
from embedcache.request import ExtractConfig

RATE_HZ = 16_000
MATRIX = 2048


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with durations in it")
    parser.add_argument("--encoder", default="random:wav2vec2-base")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        seconds = write_corpus(folder / "clips", durations(data_folder(asked.data), asked.clips))
        print(f"{asked.clips} clips, {seconds:.1f} s of audio; {asked.encoder} on {asked.device}")
        flops = None
        print(f"\n{'':34}{'x real time':>12}{'of peak':>9}{'to the loop':>13}")
        for dtype in asked.dtypes.split(","):
            loop = Loop(asked.encoder, asked.device, dtype)
            flops = flops or loop.count(sorted((folder / "clips").rglob("*.wav")))
            peak = matrix_peak(asked.device, dtype)
            times = by_turns(folder, loop, asked, dtype)
            base = times["the loop"]
            for name, taken in times.items():
                ratio = statistics.median(b / t for b, t in zip(base, taken, strict=True))
                best = statistics.median(taken)
                print(f"{f'{name}, {dtype}':34}{seconds / best:12.1f}{flops / best / peak:8.0%} "
                      f"{ratio:12.2f}")  # fmt: skip


class Loop:
    """What one writes without a cache: the model, one utterance after the other, `.npy` files."""

    def __init__(self, encoder: str, device: str, dtype: str) -> None:
        source = load_checkpoint(encoder)
        self.device, self.dtype = torch.device(device), getattr(torch, dtype)
        self.model = source.model.eval().to(self.device, self.dtype)
        self.extractor = source.extractor

    def __call__(self, paths: list[Path], to: Path) -> None:
        """Encode files."""
        to.mkdir(parents=True)
        with torch.inference_mode():
            for path in paths:
                frames = self.model(**self.read(path)).last_hidden_state
                np.save(to / f"{path.stem}.npy", frames[0].float().cpu().numpy())

    def read(self, path: Path) -> dict[str, torch.Tensor]:
        """A file as the model takes it, by the library's feature extractor."""
        samples, rate_hz = soundfile.read(path, dtype="float32")
        inputs = self.extractor(samples, sampling_rate=rate_hz, return_tensors="pt")
        return {name: tensor.to(self.device, self.dtype) for name, tensor in inputs.items()}

    def count(self, paths: list[Path]) -> int:
        """Floating-point operations that the model needs for all files."""
        counter = FlopCounterMode(display=False)
        with torch.no_grad(), counter:
            for path in paths:
                self.model(**self.read(path))
        return counter.get_total_flops()


def by_turns(
    folder: Path, loop: Loop, asked: argparse.Namespace, dtype: str
) -> dict[str, list[float]]:
    """Seconds of each, round by round; the first round is not counted."""
    encoder = load_encoder(asked.encoder, "last", asked.device, dtype)
    extraction.load_requested = lambda config: encoder  # its loading is not counted
    extraction.measure_fidelity = lambda *_: None  # nor is what the loop does not do
    paths = sorted((folder / "clips").rglob("*.wav"))
    taken: dict[str, list[float]] = {"the loop": [], "ser extract": []}
    for number in range(asked.rounds + 1):
        home = folder / f"{dtype}-{number}"
        config = ExtractConfig(corpus="folder", root=folder / "clips", encoder=asked.encoder,
                               device=asked.device, dtype=dtype, store_dtype="float32",
                               cache_dir=home / "cache")  # fmt: skip
        steps = {
            "the loop": lambda home=home: loop(paths, home / "loop"),
            "ser extract": lambda config=config: extraction.extract(config),
        }
        for name in list(steps)[:: 1 if number % 2 else -1]:
            started = time.perf_counter()
            steps[name]()
            if number:
                taken[name].append(time.perf_counter() - started)
    return taken


def durations(data: Path, count: int) -> list[float]:
    """Lengths in seconds: every k-th of IEMOCAP's, or ones around 4.5 s where these are absent."""
    file = data / "durations" / "iemocap_seconds.txt"
    if not file.is_file():
        return np.random.default_rng(0).gamma(3.0, 1.5, count).clip(0.6, 30).tolist()
    every = np.loadtxt(file)
    return every[:: len(every) // count][:count].tolist()


def write_corpus(root: Path, seconds: list[float]) -> float:
    """Write clips of noise; their seconds in all."""
    (root / "neutral").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, length in enumerate(seconds):
        samples = 0.1 * rng.standard_normal(round(length * RATE_HZ))
        soundfile.write(root / "neutral" / f"{number:04}.wav", samples, RATE_HZ)
    return sum(seconds)


def matrix_peak(device: str, dtype: str, size: int = MATRIX) -> float:
    """Operations per second of a square matrix product, the best of ten."""
    a = torch.randn(size, size, device=device, dtype=getattr(torch, dtype))
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        (a @ a)[0, 0].item()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


if __name__ == "__main__":
    main()
