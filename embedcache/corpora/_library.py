"""What data sets that a library reads have in common: the library, their folder, their columns."""

from __future__ import annotations

import logging
import math
from datetime import date, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from embedcache.corpora._files import files_below
from embedcache.corpora._messages import first_names
from embedcache.corpora._words import GENDERS, ROLES
from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

DIMENSIONS = ("valence", "arousal", "dominance")
# Columns of one field stand in the order in which they are taken.
_FIELDS = {
    "speaker": "speaker",
    "speaker_id": "speaker",
    "gender": "gender",
    "sex": "gender",
    "age": "age",
    "session": "session",
    "language": "language",
    "sentence": "sentence",
    "text": "text",
    "transcription": "text",
    "transcript": "text",
}
_OLDEST = 150.0
_MOST_NAMED = 10


def import_library(corpus: str, package: str) -> Any:
    """Import the package that reads a corpus's data sets.

    Raises:
        UsageError: It is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise UsageError(
            f"corpus {corpus} needs the package {package}; install it with "
            f"`pip install 'ser-embedcache[{package}]'`"
        ) from error


def folder_with(root: Path, name: str) -> Path | None:
    """The folder that holds a file of some name: `root`, or else the only one below it.

    Raises:
        UsageError: Several folders below `root` do.
    """
    if (root / name).is_file():
        return root
    if not root.is_dir():
        return None
    suffix = name[name.rindex(".") :]
    found = [p.parent for p in files_below(root, frozenset({suffix})) if p.name == name]
    if len(found) > 1:
        shown = first_names(found, _MOST_NAMED)
        raise UsageError(
            f"{root} holds {len(found)} data sets: {shown}; give one of them as --root"
        )
    return found[0] if found else None


def fields_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of an utterance from named values.

    Upper and lower case of the names make no difference. A value that does not fit its field (an
    age "thirties"), a second value for a field, and what no field is for, are kept as extra.

    >>> fields_of({"Speaker": 7, "sex": "F", "age": "thirties", "arousal": 2.5})
    ... # doctest: +NORMALIZE_WHITESPACE
    {'speaker': '7', 'gender': 'female', 'dimensions': {'arousal': 2.5},
     'extra': {'age': 'thirties'}}
    """
    columns = {column.lower(): column for column in row}
    fields: dict[str, Any] = {}
    used = set()
    for name, field in _FIELDS.items():
        read: Callable[[Any], Any] = _READERS.get(field, as_text)
        value = read(row.get(columns.get(name, "")))
        if value is not None and field not in fields:
            fields[field] = value
            used.add(columns[name])
    fields["dimensions"] = {}
    for name in DIMENSIONS:
        number = as_number(row.get(columns.get(name, "")))
        if number is not None:
            fields["dimensions"][name] = number
            used.add(columns[name])
    rest = {column: as_text(value) for column, value in row.items() if column not in used}
    fields["extra"] = {column: text for column, text in rest.items() if text is not None}
    return fields


def as_text(value: Any) -> str | None:
    """A value as text: whole numbers without point, durations in seconds; None where it is empty.

    >>> as_text(3.0), as_text(timedelta(seconds=1.5)), as_text(True), as_text(" ")
    ('3', '1.5', 'true', None)
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date):
        return value.isoformat()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def as_number(value: Any) -> float | None:
    """A value as a finite number; None where it is none.

    >>> as_number("2.5"), as_number("high"), as_number(True)
    (2.5, None, None)
    """
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def role_of(split: str) -> str | None:
    """The role of a split by its name: `train`, `val` or `test`."""
    return ROLES.get(split.lower())


def official_folds(roles: Sequence[str | None]) -> list[dict[str, str]]:
    """Each utterance's role as its published folds, where the roles make one.

    A data set that is all `train`, as those without a split are often saved, has no published fold.

    >>> official_folds(["train", None, "test"])
    [{'official': 'train'}, {}, {'official': 'test'}]
    >>> official_folds(["train", "train"])
    [{}, {}]
    """
    whole = {"train", "test"} <= set(roles)
    return [{"official": role} if role and whole else {} for role in roles]


def majority(votes: Mapping[str, float]) -> str | None:
    """The emotion with more votes than any other; None where two share the first place.

    >>> majority({"sad": 2, "angry": 1}), majority({"sad": 1, "angry": 1})
    ('sad', None)
    """
    most = max(votes.values(), default=0.0)
    top = [label for label, count in votes.items() if count == most]
    return top[0] if len(top) == 1 else None


def warn_of_missing_files(corpus: str, paths: Collection[Path]) -> None:
    """Warn, by name, of audio files that are not there; the utterances stay, and are not encoded.

    Args:
        corpus: What the message calls it.
        paths: The audio files that the data set names.
    """
    missing = [path for path in dict.fromkeys(paths) if not path.is_file()]
    if missing:
        _log.warning(
            "%s: %d of %d audio files are not there: %s",
            corpus,
            len(missing),
            len(set(paths)),
            first_names(missing, _MOST_NAMED),
        )


def _age(value: Any) -> float | None:
    number = as_number(value)
    return number if number is not None and 0 <= number <= _OLDEST else None


def _gender(value: Any) -> str | None:
    text = as_text(value)
    return GENDERS.get(text.lower(), text.lower()) if text else None


_READERS: dict[str, Callable[[Any], Any]] = {"age": _age, "gender": _gender}
