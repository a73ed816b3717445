"""What an interrupted training goes on from: weights, the optimiser's moments, and where it stood.

One file beside the checkpoint that will be, replaced whole: whoever interrupts a save leaves the
one before. It has a header of its own in safetensors' metadata and holds nothing that runs.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from embedcache.atomic import remove_stale, write_whole
from embedcache.errors import SerError, disk_errors, out_of_memory
from heads.finetune.epochs import Progress, Training
from heads.finetune.network import below
from heads.train.stack import Epoch

FORMAT = 1
_SUFFIX = ".resume.safetensors"


def state_file(checkpoint: Path) -> Path:
    """Where the state of a training lies whose checkpoint will be a folder."""
    return checkpoint.with_name(checkpoint.name + _SUFFIX)


@contextmanager
def alone(checkpoint: Path) -> Iterator[None]:
    """Let no other process train the same checkpoint meanwhile.

    Raises:
        SerError: One does.
    """
    file = checkpoint.with_name(f".{checkpoint.name}.lock")  # stays: another may wait on it
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(file.parent)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with suppress(OSError):  # where the disk knows locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SerError(
                    f"another process is training {checkpoint}; wait for it, or train another "
                    "--fold"
                ) from error
        yield
    finally:
        os.close(handle)


def save_state(file: Path, training: Training, experiment: str) -> None:
    """Write where a training stands.

    Args:
        file: Replaced whole, or left as it was.
        training: Between two steps.
        experiment: Names all that it depends on; only the same one goes on from it.

    Raises:
        SerError: The disk is full or cannot be written.
    """
    progress = training.progress
    optimiser = training.optimiser.state_dict()
    tensors: dict[str, Tensor] = {f"now.{n}": t for n, t in training.network.state().items()}
    tensors |= {f"best.{name}": t for name, t in progress.best.items()}
    for number, moments in optimiser["state"].items():
        tensors |= {f"moments.{number}.{n}": t.cpu().contiguous() for n, t in moments.items()}
    told = {
        "format": FORMAT,
        "experiment": experiment,
        "epoch": progress.epoch,
        "step": progress.step,
        "loss": progress.loss,
        "history": [asdict(epoch) for epoch in progress.history],
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "scaler": training.scaler.state_dict(),
        "parts": progress.parts,
        "seconds": progress.seconds,
    }
    with disk_errors(file):
        write_whole(file, save(tensors, {"progress": json.dumps(told)}))


def load_state(file: Path, training: Training, experiment: str) -> bool:
    """Go on from where a training stood; false where there is nothing to go on from.

    Raises:
        SerError: The file is damaged.
    """
    if not file.is_file():
        return False
    try:
        with safe_open(file, "pt") as opened:
            told = json.loads(opened.metadata()["progress"])
            if told["format"] != FORMAT or told["experiment"] != experiment:
                return False
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        _restore(training, told, tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and out_of_memory(error):
            raise
        raise SerError(
            f"{file} is damaged ({error!r}); remove it, and the training begins anew"
        ) from error
    return True


def _restore(training: Training, told: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    training.network.load(below("now.", tensors))
    optimiser = training.optimiser.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in below("moments.", tensors).items():
        number, _, key = name.partition(".")
        moments.setdefault(int(number), {})[key] = tensor
    training.optimiser.load_state_dict({**optimiser, "state": moments})
    if told["scaler"]:
        training.scaler.load_state_dict(told["scaler"])
    training.progress = Progress(
        epoch=told["epoch"],
        step=told["step"],
        loss=tuple(told["loss"]),
        history=[Epoch(**epoch) for epoch in told["history"]],
        best=below("best.", tensors),
        best_epoch=told["best_epoch"],
        best_score=tuple(told["best_score"]),
        parts=told["parts"],
        seconds=told["seconds"],
    )
