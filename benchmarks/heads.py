"""Stage 2 beside what one writes without stacking: multi-head attention pooling, 25 models.

    python -m benchmarks.heads [--every 11] [--heads 8] [--device cpu] [--whole]

Frames are noise of IEMOCAP's lengths (every k-th of the published 5,531), 768 values in float16, 50
a second; five folds by speaker, five seeds. Ours trains all 25 models at once, validation after
every epoch and test predictions in the end included. The peer is one model of
`nn.MultiheadAttention` with a learned query on the same frames, in float32, forward and backward
and AdamW, no validation, in batches padded to their longest: length-sorted, and in random order.
The ratio is time per model and epoch. `--whole` trains `mlp`, `attention` and `mha` on all 5,531
for 30 epochs instead.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.extract import durations
from benchmarks.machine import data_folder, machine
from embedcache.allocator import keep_freed_memory
from embedcache.encoders import ColumnRoles
from heads.data import FrameSet, frame_set, moments, reduced, training_batches
from heads.losses import cross_entropy
from heads.models import HeadModule, load_head
from heads.stacked import Stack, Standardise
from heads.train.memory import placed
from heads.train.objective import Classify
from heads.train.settings import TrainConfig
from heads.train.stack import Task, train_stack

DIM, CLASSES, FOLDS, SEEDS, SPEAKERS, FRAME_HZ, BATCH = 768, 4, 5, 5, 10, 50, 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with durations in it")
    parser.add_argument("--every", type=int, default=11)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--head", default="mlp,attention,mha", help="of the whole benchmark")
    asked = parser.parse_args()
    keep_freed_memory()  # as the command does, for ours and for the peer
    print(machine())
    lengths = durations(data_folder(asked.data), 5531)[:: 1 if asked.whole else asked.every]
    # Drawn when they are read, as a cache reads them; the ratio is taken with all of them at hand.
    arrays = Noise(lengths) if asked.whole else list(Noise(lengths))
    task = make_task(len(lengths))
    count = sum(len(array) for array in arrays)
    print(f"{len(arrays)} utterances, {count:,} frames of {DIM}; {asked.heads} heads", flush=True)
    if asked.whole:
        for name in asked.head.split(","):
            train_ours(name, arrays, task, "auto", 30, asked)
        return
    ours = train_ours("mha", arrays, task, "bfloat16", 5, asked)
    train_ours("mha", arrays, task, "float32", 5, asked)
    rng = np.random.default_rng(0)
    sizes = np.array([len(array) for array in arrays])
    for name, batches in {
        "length-sorted batches": list(training_batches(sizes, BATCH, rng)),
        "random batches": np.array_split(rng.permutation(len(arrays)), len(arrays) // BATCH),
    }.items():
        taken = one_model(arrays, batches, asked)
        print(f"nn.MultiheadAttention, one model, one epoch, {name}: {taken:.2f} s, "
              f"{taken / ours:.0f} times ours per model and epoch", flush=True)  # fmt: skip


def train_ours(
    name: str,
    arrays: Sequence[np.ndarray],
    task: Task,
    precision: str,
    epochs: int,
    asked: argparse.Namespace,
) -> float:
    """Train all models of a head; seconds per model and epoch."""
    module = load_head(name)
    # `mean` is the peer's function; the whole benchmark takes each head as it is by default.
    own = {"heads": asked.heads} | ({} if asked.whole else {"pooling": "mean"})
    config = module.Config(**(own if name == "mha" else {}))
    started = time.perf_counter()
    reducer = getattr(module, "reducer", None)
    frames = frame_set(arrays)
    frames = reduced(frames, reducer(config, ColumnRoles())) if reducer else frames
    frames = placed(frames, precision, asked.device)
    head = stacked(module, config, frames, task, asked.device)
    loaded = time.perf_counter() - started
    started = time.perf_counter()
    training = [TrainConfig(epochs=epochs, patience=epochs, select="ua")] * len(task.names)
    train_stack(head, frames, task, training, 0, asked.device)
    taken = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name}, {len(training)} models, {epochs} epochs, {frames.dtype}: {taken:.1f} s, "
          f"{taken / epochs:.2f} s an epoch (before that, reading and placing frames, and moments "
          f"{loaded:.1f} s; peak memory so far {memory:.1f} GB)", flush=True)  # fmt: skip
    return taken / epochs / len(training)


class Noise(Sequence[np.ndarray]):
    """Frames of each utterance, [T, 768] in float16, the same whenever they are read."""

    def __init__(self, lengths: Sequence[float]) -> None:
        self._lengths = lengths
        self._counts = [max(1, int(FRAME_HZ * seconds)) for seconds in lengths]

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, index):
        if isinstance(index, slice):  # of the first ones
            return Noise(self._lengths[index])
        rng = np.random.default_rng(index)
        frames = rng.standard_normal((self._counts[index], DIM), dtype=np.float32)
        return frames.astype(np.float16)


def make_task(count: int) -> Task:
    """Five folds by speaker, each with five seeds."""
    speaker = np.arange(count) % SPEAKERS
    fold_of = np.repeat(np.arange(FOLDS), SEEDS)
    test = speaker // 2 == fold_of[:, None]
    val = speaker // 2 == (fold_of[:, None] + 1) % FOLDS
    truth = np.random.default_rng(1).integers(0, CLASSES, count)
    return Task(
        objective=Classify(
            targets=np.eye(CLASSES)[truth],
            weights=np.ones((len(fold_of), CLASSES)),
            loss=cross_entropy,
        ),
        train=~(test | val),
        val=val,
        test=test,
        names=[f"model {k}" for k in range(len(fold_of))],
    )


def stacked(module: HeadModule, config: object, frames: FrameSet, task: Task, device: str):
    """All models of the task."""
    models = len(task.names)
    mean, deviation = map(torch.from_numpy, moments(frames, task.train))
    generators = [torch.Generator(device).manual_seed(k) for k in range(models)]
    standardise = Standardise(mean, deviation).to(device)
    return module.Head(config, frames.dim, CLASSES, standardise, Stack(generators, [0.3] * models))


class Peer(nn.Module):
    """The usual way: every frame is projected to keys and values."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, DIM))
        self.attention = nn.MultiheadAttention(DIM, heads, batch_first=True)
        self.classifier = nn.Sequential(
            nn.Linear(DIM, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, CLASSES)
        )

    def forward(self, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits [B, C]."""
        query = self.query.expand(len(frames), -1, -1)
        pooled, _ = self.attention(query, frames, frames, key_padding_mask=~mask)
        return self.classifier(pooled[:, 0])


def one_model(arrays: Sequence[np.ndarray], batches, asked: argparse.Namespace) -> float:
    """Seconds of one epoch of one model; the first batch is not counted."""
    model = Peer(asked.heads).to(asked.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    frames = frame_set(arrays)
    loss = nn.CrossEntropyLoss()
    started = 0.0
    for number, batch in enumerate([batches[0], *batches]):
        if number == 1:
            started = time.perf_counter()
        padded, mask = frames.batch(list(batch), asked.device)
        optimiser.zero_grad()
        classes = torch.zeros(len(batch), dtype=torch.long, device=asked.device)
        loss(model(padded, mask), classes).backward()
        optimiser.step()
    if asked.device != "cpu":
        torch.cuda.synchronize(asked.device)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
