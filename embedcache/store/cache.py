"""The cache folder: its description, its list of utterances, and finding one among others.

cache/<corpus>/files.json                  remembered hashes of audio files
cache/<corpus>/<encoder>-<key>/meta.json          what made it: never changed, but for the fidelity
                               encoder.json       what its encoder was trained on
                               utterances.jsonl   one utterance a line, and its content
                               skipped.jsonl      what was not encoded, and why
                               plans/             which contents go into which shard
                               shards/            the frames
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from embedcache.atomic import write_whole
from embedcache.audio.conditioning import Conditioning
from embedcache.audio.decode import DECODING
from embedcache.encoders import ColumnRoles
from embedcache.errors import FormatError, SerError, UsageError, disk_errors
from embedcache.seen import FoldOf, seen_by_cache
from embedcache.store.key import KeyParts
from embedcache.store.shard import Skip
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

FORMAT = 1

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What made a cache.

    Attributes:
        corpus: `PLUGIN` or `PLUGIN:NAME`.
        key: Hash of `parts`.
        parts: Everything that changes the numbers.
        encoder_id: The encoder as the user named it.
        names: Other names under which it was asked for: the same weights in another folder.
        trained: Whether its weights were trained; None where it has none.
        dim: Values per frame (D).
        frame_hz: Frames per second.
        last: Name of the layer that `last` stands for.
        versions: Of the libraries that the first extraction ran with.
        fidelity: How near its frames are to float32 ones: see `embedcache.fidelity`; None before
            its first extraction has ended.
        roles: What columns of a frame tell of it; nothing in caches of earlier versions.
        recorded: Whether `encoder.json` tells what the encoder was trained on.
    """

    corpus: str
    key: str
    parts: KeyParts
    encoder_id: str
    trained: bool | None
    dim: int
    frame_hz: float
    last: str
    versions: dict[str, str]
    fidelity: dict[str, float] | None = None
    roles: ColumnRoles = field(default_factory=ColumnRoles)
    names: tuple[str, ...] = ()
    recorded: bool = False

    @property
    def column_names(self) -> tuple[str, ...]:
        """What the values of a frame are called: [D]; nothing where they have no names."""
        return tuple(self.parts.config.get("columns", ()))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the stored layers."""
        return self.parts.layers

    @property
    def conditioning_steps(self) -> list[str]:
        """What was done to clips between decoding and encoding, such as `normalise=lufs`.

        Where another version did it in a way that this one does not know, the bare names of steps.
        """
        record = self.parts.conditioning
        try:
            return list(Conditioning.from_key(record).names)
        except SerError:
            return [f"{step} (unknown)" for step in record if step not in DECODING]


def cache_folder(cache_dir: Path, corpus: str, encoder_id: str, key: str) -> Path:
    """Where a cache lies."""
    return corpus_folder(cache_dir, corpus) / f"{slug(encoder_id)}-{key}"


def corpus_folder(cache_dir: Path, corpus: str) -> Path:
    """Where all caches of a corpus lie."""
    return cache_dir / corpus.replace(":", "-")


def hash_memory(cache_dir: Path, corpus: str) -> Path:
    """The file that remembers hashes of a corpus's audio files."""
    return corpus_folder(cache_dir, corpus) / "files.json"


def slug(encoder_id: str) -> str:
    """An encoder id as a part of a folder name.

    >>> slug("random:wav2vec2-tiny"), slug("facebook/wav2vec2-base"), slug("/models/my encoder/")
    ('random-wav2vec2-tiny', 'facebook-wav2vec2-base', 'my-encoder')
    >>> slug("/checkpoints/tuned/fold0")  # of a folder of all folds
    'tuned-fold0'
    """
    name = encoder_id.rstrip("/")
    if name.startswith(("/", ".", "~")):
        *above, name = name.split("/")
        if above and re.fullmatch(r"fold\d+", name):
            name = f"{above[-1]}-{name}"
    return re.sub(r"[^A-Za-z0-9._+]+", "-", name).strip("-.") or "encoder"


def write_meta(folder: Path, meta: Meta) -> None:
    """Describe a cache."""
    record = {"format": FORMAT, **asdict(meta), "parts": meta.parts.to_json()}
    _write_json(folder / "meta.json", record)


def read_meta(folder: Path) -> Meta:
    """Read what made a cache.

    Raises:
        UsageError: There is no cache in this folder.
        SerError: Its description is damaged or of another format version.
    """
    path = folder / "meta.json"
    if not path.is_file():
        raise UsageError(f"{folder} is no cache: it holds no meta.json; see `ser cache ls`")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if (found := record.pop("format")) != FORMAT:
            raise FormatError(path, found, FORMAT)
        roles = ColumnRoles(**record.pop("roles", {}))
        roles = replace(roles, level=tuple(roles.level))
        record["names"] = tuple(record.get("names", ()))
        parts = KeyParts.from_json(record.pop("parts"))
        return Meta(**record, parts=parts, roles=roles)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SerError(f"{path} is damaged ({error}); extract the corpus again") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let no other process change the cache's lists meanwhile, where the disk knows locks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_utterances(folder: Path, pairs: Iterable[tuple[Utterance, str]]) -> None:
    """Write the corpus's utterances with their content ids."""
    records = ({**utterance.to_json(), "content_id": content} for utterance, content in pairs)
    _write_jsonl(folder / "utterances.jsonl", records)


def read_utterances(folder: Path) -> list[tuple[Utterance, str]]:
    """The corpus's utterances with their content ids; none where nothing was written yet."""
    return _read_jsonl(
        folder / "utterances.jsonl",
        lambda record: (Utterance.from_json(record), record["content_id"]),
    )


def write_skipped(folder: Path, skips: Iterable[Skip]) -> None:
    """Write what was not encoded, and why."""
    _write_jsonl(folder / "skipped.jsonl", (asdict(skip) for skip in skips))


def read_skipped(folder: Path) -> list[Skip]:
    """What was not encoded, and why."""
    return _read_jsonl(folder / "skipped.jsonl", lambda record: Skip(**record))


def list_caches(cache_dir: Path, corpus: str | None = None) -> list[Path]:
    """All caches below a folder, or those of one corpus."""
    folders = [corpus_folder(cache_dir, corpus)] if corpus else sorted(cache_dir.glob("[!.]*"))
    # A folder with a dot is one that is being removed.
    return [path.parent for folder in folders for path in sorted(folder.glob("[!.]*/meta.json"))]


def find_caches(cache_dir: Path, corpus: str, encoder_id: str | None) -> list[Path]:
    """The only cache of a corpus that fits, or those of the checkpoints of all folds in order.

    Args:
        cache_dir: Folder of all caches.
        corpus: `PLUGIN` or `PLUGIN:NAME`.
        encoder_id: An encoder, or a folder with a checkpoint for each fold; None is any.

    Raises:
        UsageError: There is none, or more than one fits.
        SerError: What an encoder has seen cannot be read.
    """
    found = list_caches(cache_dir, corpus)
    fitting: dict[str, list[Path]] = {}
    for path in found:
        meta = read_meta(path)
        ids = meta.encoder_id, *meta.names
        if encoder_id and any(_same(encoder_id, name) for name in ids):
            fitting[str(path)] = [path]
        elif encoder_id is None or any(_same(encoder_id, str(Path(n).parent)) for n in ids):
            fold = _fold_of(path)
            if fold or encoder_id is None:
                fitting.setdefault(fold.name if fold else str(path), []).append(path)
    if len(fitting) == 1:
        ((name, paths),) = fitting.items()
        return paths if name == str(paths[0]) else in_order_of_folds(paths)
    if fitting:
        names = "\n  ".join(str(path) for paths in fitting.values() for path in paths)
        how = "--cache" if encoder_id else "--cache or --encoder"
        raise UsageError(f"{len(fitting)} caches of {corpus} fit; name one with {how}:\n  {names}")
    wish = f"{corpus} with encoder {encoder_id}" if encoder_id else corpus
    others = f"; there are: {', '.join(p.name for p in found)}" if found else ""
    command = f"ser extract --corpus {corpus} --root DIR --encoder {encoder_id or 'ID'}"
    raise UsageError(f"no cache of {wish} in {cache_dir}{others}; make it with `{command}`")


def in_order_of_folds(paths: Sequence[Path]) -> list[Path]:
    """Caches by the checkpoints of all folds of one protocol, in their order.

    Raises:
        UsageError: They are not that, or one is missing.
        SerError: What an encoder has seen cannot be read.
    """
    folds = {path: _fold_of(path) for path in paths}
    known: dict[int, Path] = {}
    first = folds[paths[0]]
    for path, fold in folds.items():
        if fold is None or first is None or fold.name != first.name or fold.fold in known:
            other = path if path != paths[0] else paths[1]
            raise UsageError(
                f"{paths[0]} and {other} both hold {read_meta(path).corpus}; name one with "
                "--cache, or one for each fold of the same checkpoints"
            )
        known[fold.fold] = path
    count = first.count if first else 0
    missing = [k for k in range(count) if k not in known]
    if missing:
        told = ", ".join(map(str, missing))
        raise UsageError(
            f"{paths[0]} is by one of {count} checkpoints, one for each fold, and no cache is by "
            f"that of fold {told}; extract with the folder that holds all of them, or name one "
            "cache with --cache"
        )
    return [known[k] for k in sorted(known)]


def _same(encoder_id: str, other: str) -> bool:
    """Whether two encoder ids mean the same, in whatever way they name a local folder.

    The folder itself need not be on this machine: heads are trained on caches alone.
    """
    ours, theirs = (Path(name.removeprefix("folder:")).expanduser() for name in (encoder_id, other))
    return encoder_id == other or ours.resolve() == theirs.resolve()


def _fold_of(path: Path) -> FoldOf | None:
    meta = read_meta(path)
    seen, _ = seen_by_cache(path, meta.encoder_id, meta.recorded)
    return seen.fold if seen else None


def _write_json(path: Path, record: dict[str, Any]) -> None:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(record, indent=2) + "\n").encode())


def _write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(record) + "\n" for record in records)
    with disk_errors(path):
        write_whole(path, text.encode())


def _read_jsonl(path: Path, parse: Callable[[dict[str, Any]], Record]) -> list[Record]:
    if not path.exists():
        return []
    records = []
    # Not splitlines(): it also splits at characters that a text may hold, such as U+2028.
    for number, line in enumerate(filter(None, path.read_bytes().split(b"\n")), start=1):
        try:
            records.append(parse(json.loads(line.decode())))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SerError(f"{path} line {number} is damaged ({error})") from error
    return records
