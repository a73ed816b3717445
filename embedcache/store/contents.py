"""Contents: what an utterance sounds like, named by a hash and not by its file's name.

A content is an audio file's bytes, the clip's bounds in it, and the view. Several utterances may
share one; a moved or renamed file keeps it, a changed file gets another.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import xxhash

from embedcache.ahead import ahead
from embedcache.atomic import write_whole
from embedcache.audio.containers import open_regular
from embedcache.audio.decode import probe_open
from embedcache.errors import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from embedcache.utterance import Utterance

Key = tuple[str, str]  # an utterance's id and view

_RACY_NS = 2_000_000_000
_BLOCK = 1 << 18
_BATCH = 32  # files that a thread looks at in one go
_THREADS = 8


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is remembered of an audio file.

    Attributes:
        size: Bytes.
        mtime_ns: Time of its last change, in nanoseconds.
        hash: xxh3-128 of its bytes, in hexadecimal.
        seconds: Duration by its header; None where that does not say.
    """

    size: int
    mtime_ns: int
    hash: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Content:
    """One thing to encode, and where it can be read.

    Attributes:
        id: The content's hash, 32 hexadecimal digits.
        utterance: The first utterance with this content.
        facts: Of its file.
        seconds: Duration of the original clip, whatever the view; 0 where unknown.
    """

    id: str
    utterance: Utterance
    facts: FileFacts
    seconds: float


def content_id(file_hash: str, start_s: float, end_s: float | None, view: str) -> str:
    """Hash of a file's hash, the clip's bounds and the view."""
    end = None if end_s is None else float(end_s)
    text = f"{file_hash}\n{float(start_s)!r}\n{end}\n{view}"
    return xxhash.xxh3_128_hexdigest(text.encode())


def identify(
    utterances: Iterable[Utterance],
    memory: Path,
    tick: Callable[[], object] = lambda: None,
    remember: bool = True,
) -> tuple[dict[Key, Content], dict[Key, str]]:
    """The content of each utterance.

    Args:
        utterances: In the corpus's order, views included.
        memory: File that remembers hashes by path, size and modification time.
        tick: Called once per utterance.
        remember: Whether hashes are written there, too.

    Returns:
        Contents by the utterance's key, and for those whose file cannot be read the reason.
    """
    known = _load(memory)
    places = [(utterance, utterance.path.absolute()) for utterance in utterances]
    listed = [(utterance, path, str(path)) for utterance, path in places]
    seen: dict[str, FileFacts] = {}
    faults: dict[str, str] = {}
    found: dict[Key, Content] = {}
    unreadable: dict[Key, str] = {}
    with closing(_look({name: path for _, path, name in listed}, known)) as looking:
        for utterance, _, name in listed:
            if name not in seen and name not in faults:  # then it is the next to come
                facts = next(looking)
                if isinstance(facts, OSError):
                    faults[name] = f"cannot be read ({facts.strerror or facts})"
                else:
                    seen[name] = facts
            if name in seen:
                found[utterance.key] = _content(utterance, seen[name])
            else:
                unreadable[utterance.key] = faults[name]
            tick()
    if remember:
        _save(memory, known, seen)
    return found, unreadable


def add_views(contents: Mapping[Key, Content], views: Sequence[str]) -> dict[Key, Content]:
    """Contents of originals, and then those of each view of them."""
    found = dict(contents)
    for view in views:
        for (name, _), content in contents.items():
            utterance = replace(content.utterance, view=view)
            own = content_id(content.facts.hash, utterance.start_s, utterance.end_s, view)
            found[name, view] = replace(content, id=own, utterance=utterance)
    return found


def unchanged(content: Content) -> bool:
    """Whether a content's file still has the size and time that it was hashed with.

    Raises:
        OSError: The file is gone.
    """
    status = content.utterance.path.stat()
    return (status.st_size, status.st_mtime_ns) == (content.facts.size, content.facts.mtime_ns)


def _content(utterance: Utterance, facts: FileFacts) -> Content:
    name = content_id(facts.hash, utterance.start_s, utterance.end_s, utterance.view)
    end_s = facts.seconds if utterance.end_s is None else utterance.end_s
    seconds = max(0.0, (end_s or 0.0) - utterance.start_s)
    return Content(name, utterance, facts, seconds)


def _look(
    paths: Mapping[str, Path], known: Mapping[str, FileFacts]
) -> Generator[FileFacts | OSError, None, None]:
    """What there is to remember of each file, or why it cannot be read, in order.

    Some threads wait for the disk while another hashes.
    """

    def look(some: Sequence[tuple[str, Path]]) -> list[FileFacts | OSError]:
        found: list[FileFacts | OSError] = []
        buffer = memoryview(bytearray(_BLOCK))
        for name, path in some:
            try:
                found.append(_facts(path, known.get(name), buffer))
            except OSError as error:
                found.append(error)
        return found

    files = list(paths.items())
    batches = (files[first : first + _BATCH] for first in range(0, len(files), _BATCH))
    for _, found in ahead(look, batches, _THREADS, 2 * _THREADS):
        yield from found


def _facts(path: Path, remembered: FileFacts | None, buffer: memoryview) -> FileFacts:
    status = path.stat()
    if remembered and (remembered.size, remembered.mtime_ns) == (
        status.st_size,
        status.st_mtime_ns,
    ):
        return remembered
    digest = xxhash.xxh3_128()
    with open_regular(path) as file:
        while count := file.readinto(buffer):  # type: ignore[attr-defined]
            digest.update(buffer[:count])
        info = probe_open(file)
    seconds = info.seconds if info else None
    return FileFacts(status.st_size, status.st_mtime_ns, digest.hexdigest(), seconds)


def _load(memory: Path) -> dict[str, FileFacts]:
    try:
        records = json.loads(memory.read_text(encoding="utf-8"))
        return {path: FileFacts(*record) for path, record in records.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # a memory only saves time


def _save(memory: Path, known: dict[str, FileFacts], seen: dict[str, FileFacts]) -> None:
    # A file that changed within the clock's grain could change again unseen: do not remember it.
    now = time.time_ns()
    settled = {p: f for p, f in seen.items() if abs(now - f.mtime_ns) > _RACY_NS}
    merged = {**known, **settled}
    if merged == known:
        return
    records = {p: (f.size, f.mtime_ns, f.hash, f.seconds) for p, f in sorted(merged.items())}
    with disk_errors(memory):
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_whole(memory, json.dumps(records).encode())  # an indent would take Python's encoder
