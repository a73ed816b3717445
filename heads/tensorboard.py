"""Scalars over steps in TensorBoard's event files; TensorBoard is an extra.

A file is a series of records (length, data, checksums), each an `Event` with a step. They are
written at once, and not from a thread as `torch.utils.tensorboard` does: where the disk is full,
that thread leaves its traceback on stderr, whoever catches the error.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    AddScalars = Callable[[int, Mapping[str, float]], None]

_VERSION = "brain.Event:2"  # of the file format: every file starts with it


def require_tensorboard() -> None:
    """See that the extra is installed, before any work.

    Raises:
        UsageError: It is not.
    """
    _load("compat.proto.event_pb2")


@contextmanager
def scalar_log(folder: Path) -> Iterator[AddScalars]:
    """A new event file, and what adds scalars by name to it at a step.

    What was added is in the file when the call returns, so TensorBoard can watch a training.

    Args:
        folder: Shown as one curve of each scalar; it is made.

    Raises:
        UsageError: The extra is not installed.
        OSError: The disk refused.
    """
    event = _load("compat.proto.event_pb2").Event
    summary = _load("compat.proto.summary_pb2").Summary
    record_writer = _load("summary.writer.record_writer").RecordWriter
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"events.out.tfevents.{time.time_ns()}").open("xb") as file:
        records = record_writer(file)

        def write(**content: Any) -> None:
            records.write(event(wall_time=time.time(), **content).SerializeToString())
            file.flush()

        def add(step: int, scalars: Mapping[str, float]) -> None:
            values = [summary.Value(tag=name, simple_value=x) for name, x in scalars.items()]
            write(step=step, summary=summary(value=values))

        write(file_version=_VERSION)
        yield add


def _load(module: str) -> Any:
    try:
        return import_module(f"tensorboard.{module}")
    except ImportError as error:
        raise UsageError(
            "--tensorboard needs the package tensorboard; install it with "
            "`pip install 'ser-embedcache[tensorboard]'`"
        ) from error
