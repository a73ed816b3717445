"""Your own list: a CSV file with a line per clip, its label, and what else is known.

Columns: `path` (relative to the CSV file, or absolute) and `label`; optional are `id`, `speaker`,
`gender`, `age`, `start_s`, `end_s`, `votes` (`happy=3;neutral=1`), `session`, `language`,
`sentence` and `text`. Any other column is kept as extra. Write `manifest:NAME` to give a data set
its own name, and so its own cache.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from embedcache.corpora import Example
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
            "path,label,speaker,gender,age,start_s,end_s,votes,room\n"
            "clips/a.wav,Happy,anna,F,34,,,happy=3;neutral=1,hall\n"
            "long.wav,,ben,man,,0.25,0.75,sad=1;angry=1,\n"
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
            "extra": {"room": "hall"},
        },
        "long@0.25-0.75": {
            "label": None,
            "gender": "male",
            "start_s": 0.25,
            "end_s": 0.75,
            "votes": {"sad": 1.0, "angry": 1.0},
            "extra": {},
        },
    },
)

_LARGEST = 1e9
_GENDERS = {
    **dict.fromkeys(("f", "female", "woman", "w"), "female"),
    **dict.fromkeys(("m", "male", "man"), "male"),
}
_NEEDED = ("path", "label")
_OPTIONAL = ("id", "speaker", "gender", "age", "start_s", "end_s", "votes", "session")
_KNOWN = frozenset((*_NEEDED, *_OPTIONAL, "language", "sentence", "text"))


def parse(root: Path) -> list[Utterance]:
    """Every line of the manifest.

    Raises:
        SerError: A line has a fault; the message holds its number.
    """
    path = root / "manifest.csv" if root.is_dir() else root
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            return _read_lines(path, reader)
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
            hint = "; separate columns with commas" if len(header) == 1 else ""
            raise ValueError(
                f"no column '{needed}'; the columns are {', '.join(header) or 'none'}{hint}"
            )
    if len(set(header)) < len(header):
        raise ValueError(f"a column stands there twice: {', '.join(header)}")
    found = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise ValueError(f"{len(cells)} fields, but the first line names {len(header)}")
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        found.append(_utterance(row, path.parent))
    return found


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
        gender=_GENDERS.get(gender, gender) or None,
        age=_number(row, "age"),
        session=row.get("session") or None,
        language=row.get("language") or None,
        sentence=row.get("sentence") or None,
        text=row.get("text") or None,
        label=label,
        votes=votes,
        extra={name: cell for name, cell in row.items() if name and cell and name not in _KNOWN},
    )


def _default_id(row: dict[str, str], start_s: float, end_s: float | None) -> str:
    name = Path(row["path"]).with_suffix("").as_posix()
    if not row.get("start_s") and end_s is None:
        return name
    return f"{name}@{start_s:g}-{'' if end_s is None else format(end_s, 'g')}"


def _number(row: dict[str, str], column: str) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _LARGEST:
        raise ValueError(f"{column} is '{text}', not a number from 0 to {_LARGEST:.0e}")
    return value
