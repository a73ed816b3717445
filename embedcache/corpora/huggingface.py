"""A Hugging Face data set on disk: what `save_to_disk` of the library datasets has written.

The audio is the column with the feature `Audio`. Other columns have the names of `manifest`'s, or
common ones: `emotion` or `label`; `votes`, as numbers by emotion or as a list of each annotator's
emotion; `speaker` or `speaker_id`, `gender` or `sex`, `age`, `session`, `language`, `sentence`,
`text`, `transcription` or `transcript`; `valence`, `arousal`, `dominance`; `id`, `start_s`,
`end_s`. All other columns with one value a row are extra. Without a label, votes make it: none
where two emotions share the first place. Splits that are called train, validation or dev, and test
are the published fold.

`save_to_disk` puts audio inside the data set. Such clips are written, once, to the folder
`ser-audio` in the library's own cache (`HF_DATASETS_CACHE` in the environment moves it) and are
taken from there afterwards. Bytes in a row come before its path, which may name a file that has
nothing to do with it on this machine. Write `huggingface:NAME` to give a data set its own name, and
so its own cache.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedcache.atomic import remove_stale, write_whole
from embedcache.corpora import Example
from embedcache.corpora._library import (
    as_number,
    as_text,
    fields_of,
    folder_with,
    import_library,
    majority,
    official_folds,
    role_of,
    warn_of_missing_files,
)
from embedcache.errors import SerError, disk_errors
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMED = True
NEEDS = "datasets"
LAYOUT = (
    "a data set that datasets' save_to_disk has written: dataset_info.json, state.json and "
    "data-*.arrow, or dataset_dict.json and a folder of these for each split"
)
LABELS: tuple[str, ...] = ()
LICENCE = "the data set's own, which its page on the Hugging Face hub states"
CITATION = "the data set's own; the format: Q. Lhoest et al. (2021), Datasets, arXiv 2109.02846"

EXAMPLE = Example(
    audio=("clips/a.wav", "clips/b.wav"),
    expected={
        "a": {
            "speaker": "7",
            "gender": "female",
            "age": 34.0,
            "language": "en",
            "text": "Kids are talking by the door",
            "label": "angry",
            "votes": {"angry": 2.0, "sad": 1.0},
            "dimensions": {"arousal": 4.5},
            "folds": {"official": "train"},
            "extra": {"room": "hall"},
        },
        "b": {
            "speaker": "8",
            "gender": "male",
            "age": None,
            "label": "sad",
            "votes": {"sad": 2.0},
            "folds": {"official": "test"},
            "extra": {},
        },
    },
)

_BATCH = 64
_MAGIC = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, and where it stands.

    Attributes:
        split: Name of its split, empty where the data set has none.
        number: From 0.
        where: For messages.
        values: By column, audio left out.
        path: Its audio file.
        audio_name: The file name that the data set remembers.
    """

    split: str
    number: int
    where: str
    values: Mapping[str, Any]
    path: Path
    audio_name: str


def parse(root: Path) -> list[Utterance]:
    """Every row with audio and an emotion, in the order of the splits and rows.

    Raises:
        UsageError: datasets is not installed, or there are several data sets under `root`.
        SerError: The data set is damaged, has no audio or no emotions, or a row has a fault.
    """
    folder = folder_with(root, "dataset_dict.json") or folder_with(root, "state.json")
    if folder is None:
        return []
    datasets = import_library("huggingface", "datasets")
    rows = [
        row
        for split, data in _load(datasets, folder).items()
        for row in _rows(datasets, folder, split, data)
    ]
    judged = [(row, *_emotion(row)) for row in rows]
    kept = [(row, label, votes) for row, label, votes in judged if label or votes]
    if len(kept) < len(judged):
        _log.info("huggingface: %d rows without an emotion are left out", len(judged) - len(kept))
    ids = _ids([row for row, _, _ in kept])
    folds = official_folds([role_of(row.split) for row, _, _ in kept])
    found = [
        _utterance(row, name, label, votes, fold)
        for (row, label, votes), name, fold in zip(kept, ids, folds, strict=True)
    ]
    warn_of_missing_files("huggingface", [utterance.path for utterance in found])
    return found


def write_example(root: Path) -> None:
    """Write the data set of `EXAMPLE` around its audio."""
    datasets = import_library("huggingface", "datasets")
    value = datasets.Value
    features = datasets.Features(
        {
            "audio": {"bytes": value("binary"), "path": value("string")},
            "label": datasets.ClassLabel(names=["Angry", "Sad"]),
            "votes": {"angry": value("int32"), "sad": value("int32")},
            "speaker_id": value("int64"),
            "gender": datasets.ClassLabel(names=["F", "M"]),
            "age": value("float32"),
            "language": value("string"),
            "text": value("string"),
            "arousal": value("float32"),
            "room": value("string"),
        }
    )
    columns = list(features)
    known = ("en", "Kids are talking by the door", 4.5, "hall")
    rows = {
        "train": ("a", 0, {"angry": 2, "sad": 1}, 7, 0, 34.0, *known),
        "test": ("b", 1, {"angry": None, "sad": 2}, 8, 1, None, None, None, None, None),
    }
    splits = {}
    for split, (name, *values) in rows.items():
        audio = {"bytes": None, "path": str(root / f"clips/{name}.wav")}
        row = dict(zip(columns, (audio, *values), strict=True))
        data = datasets.Dataset.from_list([row], features=features)
        splits[split] = data.cast_column("audio", datasets.Audio())
    datasets.DatasetDict(splits).save_to_disk(str(root))


def _load(datasets: Any, folder: Path) -> dict[str, Any]:
    """The data sets by split; one without splits under an empty name."""
    try:
        found = datasets.load_from_disk(str(folder))
    except Exception as error:  # a damaged data set raises nearly anything in the library
        reason = str(error) or type(error).__name__
        raise SerError(f"{folder} cannot be read as a saved data set ({reason})") from error
    return dict(found) if isinstance(found, datasets.DatasetDict) else {"": found}


def _rows(datasets: Any, folder: Path, split: str, data: Any) -> Iterator[_Row]:
    where = f"{folder}{f' split {split}' if split else ''}"
    features = data.features
    audio = _audio_column(datasets, where, features)
    columns = [name for name, feature in features.items() if _is_read(datasets, name, feature)]
    if not {"emotion", "label", "votes"} & {name.lower() for name in columns}:
        raise SerError(
            f"{where}: no column 'emotion' or 'label' with one value a row, and none of 'votes'; "
            f"the columns are {', '.join(features)}"
        )
    values = data.with_format(None).select_columns(columns).to_list()
    cache = Path(datasets.config.HF_DATASETS_CACHE) / "ser-audio" / _file_name(data._fingerprint)
    remove_stale(cache)
    newest_s = max((Path(f["filename"]).stat().st_mtime for f in data.cache_files), default=0.0)
    silent = []
    for number, (content, name) in enumerate(_cells(data, audio)):
        here = f"{where} row {number}"
        if content is not None:
            stem = _file_name(f"{split}-{number:06}" if split else f"{number:06}")
            path = cache / f"{stem}{_suffix(bytes(content[:4]), name)}"
            _write_once(path, content, newest_s, folder)
        elif name:
            path = folder / name
        else:
            silent.append(here)
            continue
        row = values[number]
        named = {column: _named(features[column], row[column], here) for column in columns}
        yield _Row(split, number, here, named, path, name)
    if silent:
        _log.warning("huggingface: %d rows hold no audio, the first: %s", len(silent), silent[0])


def _audio_column(datasets: Any, where: str, features: Mapping[str, Any]) -> str:
    found = [name for name, feature in features.items() if isinstance(feature, datasets.Audio)]
    if not found:
        raise SerError(
            f"{where}: no column has the feature Audio; the columns are {', '.join(features)}; "
            'name the one with the audio by data.cast_column("COLUMN", datasets.Audio())'
        )
    if len(found) > 1 and "audio" not in found:
        raise SerError(
            f"{where}: {len(found)} columns hold audio ({', '.join(found)}); rename the one that "
            "counts to 'audio'"
        )
    return "audio" if len(found) > 1 else found[0]


def _is_read(datasets: Any, name: str, feature: Any) -> bool:
    """Whether a column has one value a row, or votes."""
    if isinstance(feature, datasets.ClassLabel):
        return True
    if isinstance(feature, datasets.Value):
        return "binary" not in feature.dtype
    return name.lower() == "votes" and (isinstance(feature, dict) or hasattr(feature, "feature"))


def _cells(data: Any, column: str) -> Iterator[tuple[Any, str]]:
    """Each row's audio: its bytes (in place, not copied) or None, and the file name it has."""
    for table in data.with_format("arrow").select_columns([column]).iter(_BATCH):
        for cell in table[column]:
            content = cell["bytes"].as_buffer() if cell.is_valid else None
            name = cell["path"].as_py() if cell.is_valid else None
            yield content, name or ""


def _write_once(path: Path, content: Any, newest_s: float, folder: Path) -> None:
    """Write a clip's bytes, unless they were written after the data set was."""
    with disk_errors(path):
        if path.is_file():
            there = path.stat()  # whole, as it was written in one step
            if there.st_size == len(content) and there.st_mtime >= newest_s:
                return
        if not path.parent.is_dir():
            _log.info("huggingface: audio inside %s is written to %s, once", folder, path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, memoryview(content))


def _suffix(head: bytes, name: str) -> str:
    """The suffix that an audio file's first bytes tell, or else its name."""
    if head[:3] == b"ID3" or head[:1] == b"\xff":
        return ".mp3"
    return _MAGIC.get(head) or Path(name).suffix.lower() or ".audio"


def _file_name(text: str) -> str:
    """Text from a file that may be anyone's, as a name that leads to no other folder."""
    return re.sub(r"[^\w-]", "_", text)


def _named(feature: Any, value: Any, where: str) -> Any:
    """A value by the name of its class; a list of each annotator's word as a list of names."""
    if isinstance(value, list):
        return [_named(getattr(feature, "feature", None), each, where) for each in value]
    names = getattr(feature, "names", None)
    if names is None or value is None:
        return value
    if not -1 <= value < len(names):
        raise SerError(f"{where}: class {value} is none of the {len(names)} that there are")
    return None if value == -1 else names[value]  # -1 is the library's word for no class


def _emotion(row: _Row) -> tuple[str | None, dict[str, float]]:
    columns = {name.lower(): name for name in row.values}
    votes = _votes(row.values.get(columns.get("votes", "")), row.where)
    given = [columns[name] for name in ("emotion", "label") if name in columns]
    for column in given:
        value = row.values[column]
        text = None if isinstance(value, float) else as_text(value)
        if text:
            return text.lower(), votes
    return None if given else majority(votes), votes


def _votes(value: Any, where: str) -> dict[str, float]:
    if isinstance(value, list):
        words = (as_text(each) for each in value)
        return dict(Counter(word.lower() for word in words if word))
    if not isinstance(value, dict):
        return {}
    votes: dict[str, float] = {}
    for label, number in value.items():
        count = 0.0 if number is None else as_number(number)
        if count is None or count < 0 or math.isinf(count):
            raise SerError(f"{where}: votes for '{label}' are {number!r}, not a number from 0")
        if number is not None:
            votes[label.lower()] = votes.get(label.lower(), 0.0) + count
    return votes if sum(votes.values()) else {}


def _ids(rows: list[_Row]) -> list[str]:
    """The column `id`, or the audio's names, where these are unique; else split and row."""
    given = [as_text(row.values.get("id")) or "" for row in rows]
    stems = [Path(row.audio_name).stem for row in rows]
    for names in (given, stems):
        if all(names) and len(set(names)) == len(names):
            return names
    return [f"{row.split}-{row.number:06}" if row.split else f"{row.number:06}" for row in rows]


def _utterance(
    row: _Row, name: str, label: str | None, votes: dict[str, float], folds: dict[str, str]
) -> Utterance:
    used = {"id": name, "emotion": label, "label": label}
    values = {
        column: value
        for column, value in row.values.items()
        if not isinstance(value, dict | list)
        and (as_text(value) or "").lower() != (used.get(column.lower()) or "").lower()
    }
    start_s, end_s = (as_number(values.pop(column, None)) for column in ("start_s", "end_s"))
    if row.split and role_of(row.split) is None:
        values.setdefault("split", row.split)
    return Utterance(
        id=name,
        path=row.path,
        start_s=start_s or 0.0,
        end_s=end_s,
        label=label,
        votes=votes,
        folds=folds,
        **fields_of(values),
    )
