"""Your own list: a CSV file with a line per clip, its label, and what else is known.

Columns: `path` (relative to the CSV file, or absolute) and `label`; optional are `id`, `speaker`,
`gender`, `age`, `start_s`, `end_s`, `votes` and `self_votes` (`happy=3;neutral=1`), `valence`,
`arousal`, `dominance`, `session`, `language`, `sentence`, `text`, and `fold`: the number of the
fold that tests the clip, for `--protocol official`. Any other column is kept as extra. Columns are
separated by commas, semicolons or tabs. Write `manifest:NAME` to give a data set its own name, and
so its own cache.
"""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedcache.corpora import Example
from embedcache.corpora._library import GENDERS
from embedcache.errors import SerError
from embedcache.utterance import Utterance
from embedcache.votes import parse_votes

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
_NEEDED = ("path", "label")
_DIMENSIONS = ("valence", "arousal", "dominance")
_KNOWN = frozenset(
    (*_NEEDED, *_DIMENSIONS, "id", "speaker", "gender", "age", "start_s", "end_s", "votes")
) | {"self_votes", "session", "language", "sentence", "text", "fold"}
_SEPARATORS = ",;\t"


def parse(root: Path) -> list[Utterance]:
    """Every line of the manifest.

    Raises:
        SerError: A line has a fault; the message holds its number.
    """
    path = root / "manifest.csv" if root.is_dir() else root
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=_separator(path), strict=True)
        try:
            return _with_folds(_read_lines(path, reader))
        except UnicodeDecodeError as error:
            raise SerError(
                f"{path} line {reader.line_num + 1}: no UTF-8 text ({error}); save it as UTF-8"
            ) from error
        except csv.Error as error:
            raise SerError(f"{path} line {reader.line_num}: no valid CSV ({error})") from error
        except ValueError as error:
            raise SerError(f"{path} line {max(reader.line_num, 1)}: {error}") from error


def _read_lines(path: Path, reader: Any) -> list[Utterance]:
    header = [name.strip().lower() for name in next(reader, [])]
    for needed in _NEEDED:
        if needed not in header:
            raise ValueError(f"no column '{needed}'; the columns are {', '.join(header) or 'none'}")
    if len(set(header)) < len(header):
        raise ValueError(f"a column stands there twice: {', '.join(header)}")
    found: list[Utterance] = []
    lines: dict[str, int] = {}
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise ValueError(f"{len(cells)} fields, but the first line names {len(header)}")
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        utterance = _utterance(row, path.parent)
        first = lines.setdefault(utterance.id, reader.line_num)
        if first != reader.line_num:
            raise ValueError(
                f"the id '{utterance.id}' stands in line {first} already; give each clip an id of "
                "its own in a column id"
            )
        found.append(utterance)
    return found


def _separator(path: Path) -> str:
    """Of comma, semicolon and tab, the one that the first line has most of."""
    with path.open("rb") as file:
        first = file.readline().decode("utf-8", errors="replace")
    return max(_SEPARATORS, key=first.count)


def _with_folds(utterances: list[Utterance]) -> list[Utterance]:
    """Each clip's role in each fold, from the number of the fold that tests it."""
    tests = [utterance.folds.get("test") for utterance in utterances]
    names = sorted({name for name in tests if name})
    if not names:
        return utterances
    return [
        replace(u, folds={n: "test" if n == test else "train" for n in names} if test else {})
        for u, test in zip(utterances, tests, strict=True)
    ]


def _utterance(row: dict[str, str], folder: Path) -> Utterance:
    if not Path(row["path"]).name:
        raise ValueError("the path is empty")
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
        age=_number(row, "age"),
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
        folds={"test": row["fold"]} if row.get("fold") else {},
        extra={name: cell for name, cell in row.items() if name and cell and name not in _KNOWN},
    )


def _default_id(row: dict[str, str], start_s: float, end_s: float | None) -> str:
    name = Path(row["path"]).with_suffix("").as_posix()
    if not row.get("start_s") and end_s is None:
        return name
    return f"{name}@{start_s:g}-{'' if end_s is None else format(end_s, 'g')}"


def _number(row: dict[str, str], column: str, least: float = 0.0) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= _LARGEST:
        raise ValueError(f"{column} is '{text}', not a number from {least:g} to {_LARGEST:g}")
    return value
