"""Your own list: a CSV file with a line per clip, its label, and what else is known.

Columns: `path` (relative to the CSV file, or absolute) and `label`; optional are `id`, `speaker`,
`gender`, `age`, `start_s`, `end_s`, `votes` and `self_votes` (`happy=3;neutral=1`), `valence`,
`arousal`, `dominance`, `session`, `language`, `sentence`, `text`, and `fold`, for `--protocol
official`: either the number of the fold that tests the clip, or the clip's part of a single
published split (`train`, `val` or `dev`, `test`). Any other column is kept as extra. Columns are
separated by commas, semicolons or tabs. Write `manifest:NAME` to give a data set its own name, and
so its own cache.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedcache.corpora import Example, first_names
from embedcache.corpora._tables import read_table
from embedcache.corpora._words import GENDERS, ROLES
from embedcache.utterance import Utterance
from embedcache.votes import parse_votes

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMED = True
LAYOUT = "a CSV file with the columns path and label, or a folder that holds it as manifest.csv"
LABELS: tuple[str, ...] = ()
LICENCE = "the user's own"
CITATION = "the user's own"

EXAMPLE = Example(
    audio=("clips/a.wav", "long.wav"),
    text={
        "manifest.csv": (
            "path,label,speaker,gender,age,start_s,end_s,votes,fold,valence,room\n"
            "clips/a.wav,Happy,anna,F,34,,,happy=3;neutral=1,1,4.5,hall\n"
            "long.wav,,ben,man,,0.25,0.75,sad=1;angry=1,2,-0.5,\n"
        )
    },
    expected={
        "clips/a": {
            "path": "clips/a.wav",
            "label": "happy",
            "speaker": "anna",
            "gender": "female",
            "age": 34.0,
            "votes": {"happy": 3.0, "neutral": 1.0},
            "dimensions": {"valence": 4.5},
            "folds": {"1": "test", "2": "train"},
            "extra": {"room": "hall"},
        },
        "long@0.25-0.75": {
            "label": None,
            "gender": "male",
            "start_s": 0.25,
            "end_s": 0.75,
            "votes": {"sad": 1.0, "angry": 1.0},
            "dimensions": {"valence": -0.5},
            "folds": {"1": "train", "2": "test"},
            "extra": {},
        },
    },
)

_LARGEST = 1e9
_OLDEST = 150
_NEEDED = ("path", "label")
_DIMENSIONS = ("valence", "arousal", "dominance")
_KNOWN = frozenset(
    (*_NEEDED, *_DIMENSIONS, "id", "speaker", "gender", "age", "start_s", "end_s", "votes")
) | {"self_votes", "session", "language", "sentence", "text", "fold"}
_log = logging.getLogger(__name__)


def parse(root: Path) -> list[Utterance]:
    """Every line of the manifest.

    Raises:
        SerError: A line has a fault; the message holds its number.
    """
    path = root / "manifest.csv" if root.is_dir() else root
    if not path.is_file():
        return []
    found: list[Utterance] = []
    lines: dict[str, int] = {}
    folds: list[str] = []
    first_fold = ""
    for row in read_table(path, _NEEDED, lower_case=True):
        try:
            utterance = _utterance(row.cells, path.parent)
            folds.append(_fold(row.cells.get("fold", ""), first_fold))
        except ValueError as error:
            raise row.fault(error) from error
        first = lines.setdefault(utterance.id, row.line)
        if first != row.line:
            raise row.fault(
                f"the id '{utterance.id}' stands in line {first} already; give each clip an id of "
                "its own in a column id"
            )
        found.append(utterance)
        first_fold = first_fold or folds[-1]
    return _with_folds(path, found, folds)


def _fold(text: str, first: str) -> str:
    """The number of a fold, or `train`, `val` or `test`, or nothing.

    Args:
        text: The cell.
        first: The first fold of the list; empty where there was none yet.

    Raises:
        ValueError: It is neither, or a number among names or a name among numbers.
    """
    if not text:
        return ""
    if not text.isdecimal() and text.lower() not in ROLES:
        raise ValueError(
            f"the fold is '{text}', neither a whole number, of the fold that tests the clip, nor "
            "train, val or test"
        )
    if first and first.isdecimal() != text.isdecimal():
        raise ValueError(
            f"the fold is '{text}', and '{first}' in a line before; give all clips numbers, or all "
            "of them train, val or test"
        )
    return str(int(text)) if text.isdecimal() else ROLES[text.lower()]


def _with_folds(path: Path, utterances: list[Utterance], folds: Sequence[str]) -> list[Utterance]:
    """Each clip's role in each fold."""
    names = sorted({fold for fold in folds if fold.isdecimal()}, key=int)
    blank = [u.id for u, fold in zip(utterances, folds, strict=True) if not fold]
    if any(folds) and blank:
        _log.warning(
            "%s: %d of %d clips have no fold and are in no part of the published folds: %s",
            path,
            len(blank),
            len(utterances),
            first_names(blank),
        )
    return [
        replace(u, folds=_roles(fold, names)) if fold else u
        for u, fold in zip(utterances, folds, strict=True)
    ]


def _roles(fold: str, names: Sequence[str]) -> dict[str, str]:
    if not fold.isdecimal():
        return {"official": fold}
    return {name: "test" if name == fold else "train" for name in names}


def _utterance(row: dict[str, str], folder: Path) -> Utterance:
    if not Path(row["path"]).name:
        raise ValueError("the path is empty")
    if "\0" in row["path"]:
        raise ValueError(
            f"the path {row['path']!r} holds a NUL character, which no file's name has"
        )
    label, votes = row["label"].lower() or None, parse_votes(row.get("votes", ""))
    if label is None and not votes:
        raise ValueError("neither a label nor votes")
    start_s, end_s = _number(row, "start_s") or 0.0, _number(row, "end_s")
    if end_s is not None and end_s <= start_s:
        raise ValueError(f"end_s {end_s:g} is not after start_s {start_s:g}")
    gender = row.get("gender", "").lower()
    return Utterance(
        id=row.get("id") or _default_id(row, start_s, end_s),
        path=folder / Path(row["path"]).expanduser(),
        start_s=start_s,
        end_s=end_s,
        speaker=row.get("speaker") or None,
        gender=GENDERS.get(gender, gender) or None,
        age=_number(row, "age", most=_OLDEST),
        session=row.get("session") or None,
        language=row.get("language") or None,
        sentence=row.get("sentence") or None,
        text=row.get("text") or None,
        label=label,
        votes=votes,
        self_votes=parse_votes(row.get("self_votes", "")),
        dimensions={
            name: value
            for name in _DIMENSIONS
            if (value := _number(row, name, -_LARGEST)) is not None
        },
        extra={name: cell for name, cell in row.items() if name and cell and name not in _KNOWN},
    )


def _default_id(row: dict[str, str], start_s: float, end_s: float | None) -> str:
    name = Path(row["path"]).with_suffix("").as_posix()
    if not row.get("start_s") and end_s is None:
        return name
    return f"{name}@{start_s:g}-{'' if end_s is None else format(end_s, 'g')}"


def _number(
    row: dict[str, str], column: str, least: float = 0.0, most: float = _LARGEST
) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise ValueError(f"{column} is '{text}', not a number from {least:g} to {most:g}")
    return value
