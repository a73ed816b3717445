"""The map of a corpus: its clips as points, told by emotion, gender, speaker and prediction."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from heads.labels import majority
from heads.report.sections.parts import Badge, Gone, badges

if TYPE_CHECKING:
    from embedcache.utterance import Utterance
    from heads.analysis.tested import Tested
    from heads.report.sections.naming import Named

_GRID = 9999  # steps of a coordinate
_METHODS = {"t-sne": "t-SNE", "umap": "UMAP"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A run that has predicted the clips of a map.

    Attributes:
        named: What it is called.
        tested: Its predictions.
    """

    named: Named
    tested: Tested


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionShown:
    """A map for the page.

    Attributes:
        name: Unique in the page.
        title: Of what, and how it was made.
        badges: What it must be read with.
        count: How many clips it shows.
        settings: Of the method, in words.
        data: What the page's script reads: JSON that can stand in a script element.
    """

    name: str
    title: str
    badges: Sequence[Badge]
    count: int
    settings: str
    data: Markup


def projection_section(
    record: Mapping[str, Any] | None,
    reason: str,
    where: str,
    number: int,
    utterances: Mapping[str, Utterance],
    witnesses: Sequence[Witness],
    folder: Path,
) -> tuple[ProjectionShown | None, list[Gone]]:
    """A map of clips for the page.

    Args:
        record: `projection.json`; None where there is none.
        reason: Why there is none.
        where: Whose it is.
        number: Of the map in the page.
        utterances: What is known about clips, by id.
        witnesses: Runs on these clips; the first tells the true emotions.
        folder: Where the page goes: audio is looked for from there.
    """
    if record is None:
        return None, [Gone(what="projection", where=where, why=reason)]
    ids = [str(one) for one in record["ids"]]
    known = [utterances.get(one) for one in ids]
    runs = [_predicted(own, ids) for own in witnesses if own.tested.target == "emotion"]
    data = {
        "ids": ids,
        "x": _steps(record["x"]),
        "y": _steps(record["y"]),
        "columns": {
            "emotion": _coded(_emotions(ids, known, witnesses), _labels(witnesses)),
            "gender": _coded([u.gender if u else None for u in known]),
            "speaker": _coded([u.speaker if u else None for u in known]),
        },
        "runs": runs,
        "sounds": _sounds(ids, known, folder),
    }
    method = _METHODS.get(str(record["method"]), str(record["method"]))
    shown = ProjectionShown(
        name=f"map-{number}",
        title=f"{method} of layer {record['layer']}, {where}",
        badges=badges(record.get("notes") or []),
        count=len(ids),
        settings=", ".join(
            f"{name.replace('_', ' ')} {value}" for name, value in record["settings"].items()
        ),
        data=script_json(data),
    )
    return shown, []


def script_json(data: object) -> Markup:
    """JSON that can stand in a script element, whatever strings it holds."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _steps(values: Sequence[float]) -> list[int]:
    scaled: list[int] = (np.clip(values, 0, 1) * _GRID).round().astype(int).tolist()
    return scaled


def _labels(witnesses: Sequence[Witness]) -> Sequence[str]:
    """Emotions in the order of the first run, in which its pictures have them."""
    first = [own.tested for own in witnesses[:1] if own.tested.target == "emotion"]
    return first[0].labels if first else ()


def _coded(values: Sequence[str | None], first: Sequence[str] = ()) -> dict[str, Any]:
    """Names, some of them first, and each value's place among them; -1 where it is not known."""
    found = {value for value in values if value}
    names = [name for name in first if name in found] + sorted(found - set(first))
    place = {name: n for n, name in enumerate(names)}
    return {"names": names, "of": [place.get(value or "", -1) for value in values]}


def _emotions(
    ids: Sequence[str], known: Sequence[Utterance | None], witnesses: Sequence[Witness]
) -> list[str | None]:
    """The emotion that the first run was tested against; else the corpus's own label."""
    told: dict[str, str | None] = {}
    for own in witnesses[:1]:
        if own.tested.target == "emotion":
            truth = majority(own.tested.targets)
            told = {
                str(one): own.tested.labels[t] if t >= 0 else None
                for one, t in zip(own.tested.ids, truth, strict=True)
            }
    return [told.get(one, u.label if u else None) for one, u in zip(ids, known, strict=True)]


def _predicted(own: Witness, ids: Sequence[str]) -> dict[str, Any]:
    """What a run takes each clip for, seeds averaged, and how sure it is, one letter a clip.

    A clip's truth is the run's own: label sets differ. `!` and `--` are clips of which it does not
    tell; 100 per cent, which are rounded, are told as 99.
    """
    tested = own.tested
    place = {str(one): n for n, one in enumerate(tested.ids)}
    mean = tested.predictions.mean(axis=0)
    rows = [place.get(one, -1) for one in ids]
    chosen, truth = mean.argmax(axis=1).tolist(), majority(tested.targets).tolist()
    sure = np.minimum((100 * mean.max(axis=1)).round(), 99).astype(int).tolist()
    return {
        "name": own.named.short,
        "labels": list(tested.labels),
        "of": "".join("!" if n < 0 else _letter(chosen[n]) for n in rows),
        "truth": "".join("!" if n < 0 else _letter(truth[n]) for n in rows),
        "sure": "".join("--" if n < 0 else f"{sure[n]:02}" for n in rows),
    }


def _letter(place: int) -> str:
    """A class as a letter: `0` for the first; `!` for none."""
    return "!" if place < 0 else chr(ord("0") + place)


def _sounds(ids: Sequence[str], known: Sequence[Utterance | None], folder: Path) -> dict[str, Any]:
    """Where each clip may be heard: folders from the page and from the root, file, and part.

    Files that are called like their clips are told by their ending alone.
    """
    folders: dict[Path, int] = {}
    files, of, parts = [], [], []
    for own in known:
        if own is None:
            files.append("")
            of.append(-1)
            parts.append("")
            continue
        path = Path(os.path.abspath(own.path))  # noqa: PTH100 - links stay as they are
        of.append(folders.setdefault(path.parent, len(folders)))
        files.append(quote(os.fsencode(path.name)))
        parts.append(_part(own))
    ends = {Path(name).suffix for name in files}
    end = ends.pop() if len(ends) == 1 else ""
    plain = bool(end) and all(one.isascii() for one in ids)
    named_alike = plain and files == [f"{quote(os.fsencode(one))}{end}" for one in ids]
    return {
        "near": [_near_folder(parent, folder) for parent in folders],
        "far": [f"{parent.as_uri()}/" for parent in folders],
        "folder": of,
        "file": [] if named_alike else files,
        "end": end if named_alike else "",
        "part": parts if any(parts) else [],
    }


def _near_folder(parent: Path, folder: Path) -> str:
    """A folder as a link from the page's; one that ends in `/`."""
    relative = os.path.relpath(parent, folder)
    if relative == ".":
        return "./"
    start = "" if relative.startswith("..") else "./"  # else `a:b/` would be another scheme
    return quote(os.fsencode(f"{start}{relative}/"))


def _part(own: Utterance) -> str:
    """The part of a file that is a clip, as a media fragment; empty for the whole file."""
    if not own.start_s and own.end_s is None:
        return ""
    end = "" if own.end_s is None else f",{own.end_s:.3f}"
    return f"#t={own.start_s:.3f}{end}"
