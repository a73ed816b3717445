"""Frames of a cache for other tools: one `.npy` file per utterance, or a table of means.

    DIR/export.json            where the frames come from, and what a frame's values are
    DIR/utterances.csv         npy: what the corpus knows about each utterance, and its file
    DIR/frames/<id>.npy        npy: [T, D]
    DIR/views/<view>/<id>.npy  npy: those of augmented views
    DIR/features.csv           csv: the same columns, and mean and deviation of each value

Every row is checked against its checksum while it is read. The folder is filled beside its place
and named at the end: it is there whole or not at all.
"""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import xxhash
from tqdm import tqdm

from embedcache.atomic import new_folder, remove_stale
from embedcache.errors import UsageError, disk_errors, unknown_name
from embedcache.store.reader import CacheReader
from embedcache.votes import format_votes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from embedcache.store.cache import Meta
    from embedcache.store.rows import Frames
    from embedcache.utterance import Utterance

FORMATS = ("npy", "csv")
_SAFE = " ._-+=@,()[]"
_LONGEST = 150  # characters of a name; file systems take 255 bytes, suffix included
_FIELDS = ("path", "start_s", "end_s", "speaker", "gender", "age", "session", "language",
           "sentence", "text", "label", "votes", "self_votes", "folds")  # fmt: skip

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Table:
    """What is known of utterances, as a table's columns.

    Attributes:
        dimensions: Names, each a column of its own.
        extra: Columns of the corpus's own, and what each is called in the table.
    """

    dimensions: tuple[str, ...]
    extra: dict[str, str]

    @property
    def columns(self) -> list[str]:
        """Names, in order."""
        return ["id", "view", *_FIELDS, *self.dimensions, *self.extra.values()]

    def row(self, utterance: Utterance) -> list[object]:
        """An utterance's cells."""
        cells = {name: getattr(utterance, name) for name in _FIELDS}
        cells["votes"] = format_votes(utterance.votes)
        cells["self_votes"] = format_votes(utterance.self_votes)
        cells["folds"] = ";".join(f"{name}={role}" for name, role in utterance.folds.items())
        values = [utterance.dimensions.get(name) for name in self.dimensions]
        own = [utterance.extra.get(name) for name in self.extra]
        return [utterance.id, utterance.view, *cells.values(), *values, *own]


def export(path: Path, target: Path, format: str, layer: str = "last", views: bool = False) -> None:
    """Write the frames of a cache at one layer for other tools.

    Args:
        path: The cache.
        target: A new or empty folder.
        format: `npy` for all frames, `csv` for their means and deviations.
        layer: Name of a stored layer, or `last`.
        views: Whether augmented views are written as well.

    Raises:
        UsageError: There is no such cache, layer or format, or the target holds something.
        SerError: A row is damaged, or the disk refused.
    """
    if format not in FORMATS:
        raise unknown_name("--format", format, FORMATS)
    reader = CacheReader(path)
    index = reader.layer(layer)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(
            f"{target} is there already and holds something; give a new or an empty folder"
        )
    chosen = [*reader.utterances, *(reader.views if views else ())]
    lacking = len(reader.missing) + (len(reader.missing_views) if views else 0)
    if lacking:
        _log.warning("%d listed clips have no frames in %s and are left out", lacking, path)
    about = _about(reader.meta, layer, format)
    with disk_errors(target):
        remove_stale(target.parent)
        with new_folder(target) as new:
            (new / "export.json").write_text(json.dumps(about, indent=2) + "\n")
            frames = _read(reader, chosen, index)
            (_write_npy if format == "npy" else _write_table)(new, chosen, frames, reader.meta)


def _read(reader: CacheReader, chosen: Sequence[Utterance], layer: int) -> Iterator[Frames]:
    """Frames of utterances, each checked, with a bar on a terminal."""
    for utterance in tqdm(
        chosen, "exporting", unit="clip", delay=2, disable=None, leave=False
    ):  # fmt: skip
        yield reader.frames(utterance.id, layer, utterance.view)


def _write_npy(
    folder: Path, chosen: Sequence[Utterance], frames: Iterator[Frames], meta: Meta
) -> None:
    table = _table(chosen, ["file", "frames"])
    names = file_names(chosen)
    with (folder / "utterances.csv").open("w", **_TEXT) as file:
        lines = csv.writer(file)
        lines.writerow([*table.columns, "file", "frames"])
        for utterance, name, one in zip(chosen, names, frames, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            np.save(folder / name, one)
            lines.writerow([*table.row(utterance), name, len(one)])


def _write_table(
    folder: Path, chosen: Sequence[Utterance], frames: Iterator[Frames], meta: Meta
) -> None:
    values = meta.column_names or tuple(f"d{number}" for number in range(meta.dim))
    features = [f"{name}_{what}" for what in ("mean", "std") for name in values]
    table = _table(chosen, ["frames", *features])
    with (folder / "features.csv").open("w", **_TEXT) as file:
        lines = csv.writer(file)
        lines.writerow([*table.columns, "frames", *features])
        for utterance, one in zip(chosen, frames, strict=True):
            exact = one.astype(np.float64)
            found = np.concatenate([exact.mean(axis=0), exact.std(axis=0)])
            told = [format(value, ".7g") for value in found]
            lines.writerow([*table.row(utterance), len(one), *told])


# Names and texts of corpora may hold bytes that are no UTF-8.
_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


def _about(meta: Meta, layer: str, format: str) -> dict[str, Any]:
    return {
        "corpus": meta.corpus,
        "encoder": meta.encoder_id,
        "trained": meta.trained,
        "layer": meta.last if layer == "last" else layer,
        "dim": meta.dim,
        "frame_hz": meta.frame_hz,
        "values": list(meta.column_names) or None,
        "stored_in": meta.parts.store_dtype,
        "cache_key": meta.key,
        "format": format,
    }


def _table(utterances: Sequence[Utterance], further: Sequence[str]) -> _Table:
    """The columns that utterances need; one of the corpus's own that is taken gets a prefix."""
    dimensions = tuple(dict.fromkeys(name for u in utterances for name in u.dimensions))
    taken = {"id", "view", *_FIELDS, *dimensions, *further}
    extra: dict[str, str] = {}
    for name in dict.fromkeys(name for u in utterances for name in u.extra):
        free = name
        while free in taken:
            free = f"extra.{free}"
        taken.add(free)
        extra[name] = free
    return _Table(dimensions, extra)


def file_names(utterances: Sequence[Utterance]) -> list[str]:
    """A file for each utterance's frames, below the export's folder; no two share one.

    Slashes of an id make folders. What not every file system takes is written as a URL would, and
    names that differ in nothing but case get a number.

    >>> from pathlib import Path
    >>> from embedcache.utterance import Utterance
    >>> file_names([Utterance(id=name, path=Path()) for name in ("sad/a b", "../x?")])
    ['frames/sad/a b.npy', 'frames/%2E%2E/x%3F.npy']
    """
    seen: Counter[str] = Counter()
    names = []
    for utterance in utterances:
        kind = f"views/{_safe(utterance.view)}" if utterance.view else "frames"
        name = "/".join((kind, *map(_safe, utterance.id.split("/"))))
        seen[name.lower()] += 1
        number = seen[name.lower()]
        names.append(f"{name}.npy" if number == 1 else f"{name}~{number}.npy")
    return names


def _safe(part: str) -> str:
    """A part of an id as a file's name, which only this part has.

    `%` and `~` themselves are escaped, so nothing else looks like an escape, a number or a hash. A
    folder must not look like a file, nor a name end as Windows does not let it.
    """
    name = quote(part, _SAFE, "utf-8", "surrogateescape").replace("~", "%7E")
    if name.endswith((".", " ", ".npy")) or part.startswith("."):
        name = name.replace(".", "%2E").replace(" ", "%20")
    if len(name) > _LONGEST:
        name = f"{name[:_LONGEST]}~{xxhash.xxh3_64_hexdigest(name.encode())}"
    return name or "%"
