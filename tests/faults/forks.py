"""Real processes that run `ser` without the seconds that it takes to import torch.

A server has imported everything and done nothing else. For each command it forks: the child is a
process of its own, with the command's standard streams, which runs `cli.main`, waits for its
threads, and ends. It can be killed, stopped and interrupted like any other; only its imports are
done already, and Python is not torn down, which takes a second where so much is imported.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.material import REPOSITORY

PATIENCE_S = 180.0
NOBODY = 65534
_IMPORTED = (
    "cli", "torch", "torchaudio", "pydantic", "sysconfig", "zoneinfo", "secrets",
    "embedcache.extract", "embedcache.engines.local", "embedcache.encoders.spectral", "soundfile",
    "embedcache.corpora.folder", "embedcache.corpora.manifest", "embedcache.store.verify",
    "embedcache.store.describe", "embedcache.estimate",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a command.

    Attributes:
        code: Its exit status; -9 where it was killed.
        out: What it wrote to stdout.
        err: What it wrote to stderr.
        peak_mb: The most memory that it held.
    """

    code: int
    out: str
    err: str
    peak_mb: float

    @property
    def sentence(self) -> str:
        """The last line of stderr."""
        return self.err.rstrip("\n").rpartition("\n")[2]


class Running:
    """A command that runs.

    Attributes:
        pid: Of its process.
    """

    def __init__(self, server: Forks, pid: int, streams: Path) -> None:
        self.pid = pid
        self._server = server
        self._streams = streams
        self._end: tuple[int, float] | None = None  # exit status, peak memory in MB

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended and was asked how."""
        if self._end is None:
            os.kill(self.pid, number)

    def ended(self) -> bool:
        """Whether it has ended."""
        if self._end is None:
            self._end = self._server.ask(poll=self.pid)
        return self._end is not None

    def wait(self) -> Ended:
        """Wait for its end."""
        if self._end is None:
            self._end = self._server.ask(wait=self.pid)
        texts = []
        for stream in map(self._streams.with_suffix, (".out", ".err")):
            there = stream.exists()  # it may have been killed before
            texts.append(stream.read_text(errors="surrogateescape") if there else "")
        return Ended(self._end[0], *texts, self._end[1])

    def kill(self) -> Ended:
        """Kill it with SIGKILL."""
        self.signal(signal.SIGKILL)
        return self.wait()


class Forks:
    """The server, as its client sees it; a context, which ends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.faults.forks import serve; serve()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY,
            start_new_session=True,
        )  # fmt: skip
        self._answer()

    def start(
        self, *arguments: object, user: int | None = None, cwd: Path | None = None
    ) -> Running:
        """Start `ser` with some arguments.

        Args:
            arguments: Of the command.
            user: Become this user first; None stays.
            cwd: Where it runs.
        """
        self._count += 1
        streams = self._folder / f"{self._count:05}"
        words = [os.fsencode(str(argument)).hex() for argument in arguments]
        pid = self.ask(start=words, streams=str(streams), user=user, cwd=str(cwd or self._folder))
        return Running(self, pid, streams)

    def run(self, *arguments: object, user: int | None = None, cwd: Path | None = None) -> Ended:
        """Run `ser` to its end."""
        return self.start(*arguments, user=user, cwd=cwd).wait()

    def ask(self, **request: Any) -> Any:
        """Send the server a request, give its answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], PATIENCE_S)[0]:
            raise TimeoutError(f"a command did not end within {PATIENCE_S:g} s")
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


def serve() -> None:
    """Import, then answer requests until stdin ends. In a child: become the command."""
    sys.path.insert(0, str(REPOSITORY))  # "" would be wherever a child goes
    for module in _IMPORTED:
        importlib.import_module(module)
    gc.freeze()  # or each child's first collection would copy all of it
    _answer("ready")
    for line in iter(sys.stdin.buffer.readline, b""):
        request = json.loads(line)
        if "start" in request:
            pid = os.fork()
            if pid == 0:
                os._exit(_become(request))
            _answer(pid)
        else:
            patience = 0 if "wait" in request else os.WNOHANG
            pid, status, usage = os.wait4(request.get("wait") or request["poll"], patience)
            code = os.waitstatus_to_exitcode(status)
            _answer((code, usage.ru_maxrss / 1e3) if pid else None)


def _answer(value: object) -> None:
    os.write(1, json.dumps(value).encode() + b"\n")


def _become(request: dict[str, Any]) -> int:
    """Run the command; its exit status, which Python would end with."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    new = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["streams"] + ".out", new),
        (2, request["streams"] + ".err", new),
    ):
        os.dup2(os.open(name, flags, 0o644), number)
    os.chdir(request["cwd"])
    if request["user"] is not None:
        os.setgroups([])
        os.setgid(request["user"])
        os.setuid(request["user"])
    sys.argv = ["ser", *(os.fsdecode(bytes.fromhex(word)) for word in request["start"])]
    import cli

    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # as Python does before it ends
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def wait_for(seen: Any, running: Running) -> bool:
    """Wait until something is seen; False where the process has ended before."""
    deadline = time.monotonic() + PATIENCE_S
    while not seen():
        if running.ended():
            return bool(seen())
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for has not come")
        time.sleep(0.001)
    return True
