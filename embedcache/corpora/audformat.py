"""An audformat database, your own or one of audEERING's: db.yaml and its tables.

The names of schemes, columns and raters follow audformat's conventions
(audeering.github.io/audformat, "Conventions"): the scheme or column `emotion` holds emotions,
`speaker`, `gender`, `age`, `language`, `transcription`, `valence` and so on what they say. Every
row of a filewise or segmented table that gives an emotion is a clip; other tables add what they
know of the same file or segment, and scheme labels what they know of a value (a speaker's age). All
other columns are extra. A split is that of the clip's table of emotions. Files that the tables name
and that are not there are kept, so that the extraction counts them as missing.

The label is the gold standard's: of a table or rater with `gold` in its name, or a rater of type
`vote` or `ground truth`. Without one it is the column `emotion`, or a table's only column of
emotions. Where a table has a column for each rater, each has one vote; these make the label where
nothing else does, none where two emotions share the first place. What a machine rated is extra.
Several raters' dimensions are averaged.

Tables are read from CSV or Parquet files. A pickled table beside them is never read, as a pickle
can run any code. Write `audformat:NAME` to give a database its own name, and so its own cache.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedcache.corpora import Example, clip_ids
from embedcache.corpora._audformat_columns import Column, Key, load_database, read_columns
from embedcache.corpora._library import (
    DIMENSIONS,
    as_number,
    as_text,
    fields_of,
    folder_with,
    majority,
    official_folds,
    warn_of_missing_files,
)
from embedcache.errors import SerError
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMED = True
NEEDS = "audformat"
LAYOUT = "an audformat database: db.yaml, its tables as db.TABLE.csv or .parquet, and its audio"
LABELS: tuple[str, ...] = ()
LICENCE = "the database's own, which its db.yaml states"
CITATION = "the database's own; the format: audEERING, audformat, github.com/audeering/audformat"

EXAMPLE = Example(
    audio=("wav/a.wav", "wav/b.wav", "wav/c.wav"),
    ignored=("wav/not-in-a-table.wav",),
    text={
        "db.yaml": (
            "name: mine\n"
            "source: own recordings\n"
            "usage: unrestricted\n"
            "languages: [deu]\n"
            "raters:\n"
            "  gold_standard: {type: vote}\n"
            "  rater1: {type: human}\n"
            "  rater2: {type: human}\n"
            "schemes:\n"
            "  emotion: {dtype: str, labels: [anger, joy]}\n"
            "  arousal: {dtype: float}\n"
            "  speaker:\n"
            "    dtype: str\n"
            "    labels:\n"
            "      anna: {gender: female, age: 34, town: Ulm}\n"
            "      ben: {gender: male}\n"
            "  transcription: {dtype: str, labels: {s1: Der Lappen liegt dort.}}\n"
            "splits:\n"
            "  train: {type: train}\n"
            "  test: {type: test}\n"
            "tables:\n"
            "  emotion:\n"
            "    type: segmented\n"
            "    columns:\n"
            "      rater1: {scheme_id: emotion, rater_id: rater1}\n"
            "      rater2: {scheme_id: emotion, rater_id: rater2}\n"
            "  emotion.train.gold_standard:\n"
            "    type: segmented\n"
            "    split_id: train\n"
            "    columns:\n"
            "      emotion: {scheme_id: emotion, rater_id: gold_standard}\n"
            "      arousal: {scheme_id: arousal, rater_id: gold_standard}\n"
            "  emotion.test.gold_standard:\n"
            "    type: filewise\n"
            "    split_id: test\n"
            "    columns:\n"
            "      emotion: {scheme_id: emotion, rater_id: gold_standard}\n"
            "  files:\n"
            "    type: filewise\n"
            "    columns:\n"
            "      speaker: {scheme_id: speaker}\n"
            "      transcription: {scheme_id: transcription}\n"
            "      room: {}\n"
        ),
        "db.emotion.csv": (
            "file,start,end,rater1,rater2\n"
            "wav/a.wav,0 days 00:00:00.250000,0 days 00:00:00.750000,anger,joy\n"
            "wav/b.wav,0 days,,joy,\n"
        ),
        "db.emotion.train.gold_standard.csv": (
            "file,start,end,emotion,arousal\n"
            "wav/a.wav,0 days 00:00:00.250000,0 days 00:00:00.750000,anger,0.5\n"
        ),
        "db.emotion.test.gold_standard.csv": "file,emotion\nwav/c.wav,joy\n",
        "db.files.csv": (
            "file,speaker,transcription,room\n"
            "wav/a.wav,anna,s1,hall\nwav/b.wav,ben,,\nwav/c.wav,ben,,\n"
        ),
    },
    expected={
        "a@0.25-0.75": {
            "path": "wav/a.wav",
            "start_s": 0.25,
            "end_s": 0.75,
            "speaker": "anna",
            "gender": "female",
            "age": 34.0,
            "language": "de",
            "sentence": "s1",
            "text": "Der Lappen liegt dort.",
            "label": "anger",
            "votes": {"anger": 1.0, "joy": 1.0},
            "dimensions": {"arousal": 0.5},
            "folds": {"official": "train"},
            "extra": {"room": "hall", "town": "Ulm"},
        },
        "b": {"label": "joy", "votes": {"joy": 1.0}, "gender": "male", "folds": {}},
        "c": {"label": "joy", "votes": {}, "start_s": 0.0, "end_s": None},
    },
)

_log = logging.getLogger(__name__)


def parse(root: Path) -> list[Utterance]:
    """Every row of a table that gives an emotion, in the tables' order.

    Raises:
        UsageError: audformat is not installed, or there are several databases under `root`.
        SerError: The database is damaged, or no table holds emotions.
    """
    folder = folder_with(root, "db.yaml")
    if folder is None:
        return []
    database = load_database(folder)
    columns = [column for table in database.tables for column in read_columns(database, table)]
    emotions = [c for c in columns if c.field == "emotion" and c.kind != "fact"]
    if not emotions:
        names = ", ".join(f"{c.table}.{c.name}" for c in columns) or "none"
        raise SerError(
            f"{folder / 'db.yaml'}: no table has a column of emotions that people gave, with the "
            f"scheme or name 'emotion'; the columns are {names}"
        )
    tables = ", ".join(dict.fromkeys(c.table for c in emotions))
    _log.info("audformat: clips are the rows of the tables %s", tables)
    clips = _read_clips(database, folder, columns, emotions)
    warn_of_missing_files("audformat", [clip.path for clip in clips])
    return clips


def _read_clips(
    database: Any, folder: Path, columns: Sequence[Column], emotions: Sequence[Column]
) -> list[Utterance]:
    languages = list(database.languages or ())
    keys = list(dict.fromkeys(key for column in emotions for key in column.values))
    ids = _ids(keys)
    judged = {key: _emotion(key, emotions) for key in keys}
    kept = [key for key, (label, votes, _) in judged.items() if label or votes]
    roles = _roles(keys, emotions)
    clips = []
    for key, folds in zip(kept, official_folds([roles.get(key) for key in kept]), strict=True):
        label, votes, other = judged[key]
        row = {**_facts(key, columns), **other}
        row.setdefault("language", languages[0] if len(languages) == 1 else None)
        row["language"] = _language(row["language"])
        file, start_s, end_s = key
        clips.append(
            Utterance(
                id=ids[key],
                path=folder / file,
                start_s=start_s,
                end_s=end_s,
                label=label,
                votes=votes,
                folds=folds,
                **fields_of(row),
            )
        )
    if len(kept) < len(keys):
        _log.info("audformat: %d rows without an emotion are left out", len(keys) - len(kept))
    differing = [ids[key] for key in kept if judged[key][2]]
    if differing:
        _log.warning(
            "audformat: %d clips have another emotion in another table, the first: %s; it is extra",
            len(differing),
            differing[0],
        )
    return clips


def _ids(keys: Sequence[Key]) -> dict[Key, str]:
    files = list(dict.fromkeys(file for file, _, _ in keys))
    paths = [Path(file).relative_to(Path(file).anchor) for file in files]
    names = dict(zip(files, clip_ids(paths, Path()), strict=True))
    return {
        key: names[key[0]]
        if key[1:] == (0.0, None)
        else f"{names[key[0]]}@{_seconds(key[1])}-{'' if key[2] is None else _seconds(key[2])}"
        for key in keys
    }


def _seconds(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _roles(keys: Sequence[Key], emotions: Sequence[Column]) -> dict[Key, str]:
    """Each clip's split; none where its tables belong to several."""
    found: dict[Key, set[str]] = defaultdict(set)
    for column in emotions:
        if column.role:
            for key in column.values:
                found[key].add(column.role)
    several = [key for key in keys if len(found[key]) > 1]
    if several:
        _log.warning(
            "audformat: %d clips belong to several splits, the first: %s; they are in no fold",
            len(several),
            several[0][0],
        )
    return {key: min(roles) for key, roles in found.items() if len(roles) == 1}


def _emotion(
    key: Key, emotions: Sequence[Column]
) -> tuple[str | None, dict[str, float], dict[str, str]]:
    """A clip's label, its votes, and other emotions by the column that gives them."""
    given = [(c, _word(c, c.values[key])) for c in emotions if key in c.values]
    gold = [(c, word) for c, word in given if c.kind == "gold"]
    plain = [(c, word) for c, word in given if c.kind == "label"]
    votes: dict[str, float] = {}
    for column, word in given:
        if column.kind == "vote" and word:
            votes[word] = votes.get(word, 0.0) + 1.0
    label = next((word for _, word in (*gold, *plain) if word), None)
    if gold and not any(word for _, word in gold):
        label = None  # the gold standard says that there is no majority
    elif label is None:
        label = majority(votes)
    other = {f"{c.table}.{c.name}": w for c, w in (*gold, *plain) if w and w != label}
    return label, votes, other


def _word(column: Column, value: Any) -> str | None:
    """An emotion; a number by what its scheme says of it."""
    told = column.labels.get(value) if column.labels else None
    if isinstance(value, int) and told:
        value = next(iter(told.values())) if isinstance(told, dict) else told
    text = as_text(value)
    return text.lower() if text else None


def _facts(key: Key, columns: Sequence[Column]) -> dict[str, Any]:
    """All that is known of a clip, by field or by column."""
    row: dict[str, Any] = {}
    told: dict[str, Any] = {}
    rated: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for column in columns:
        value = column.get(key)
        if value is None or (column.field == "emotion" and column.kind != "fact"):
            continue
        if column.kind != "fact" and (number := as_number(value)) is not None:
            rated[column.field][column.kind].append(number)
            continue
        field = column.field
        if field in ("emotion", *DIMENSIONS):  # not people's word, so not the field's value
            field = f"{column.table}.{column.name}"
        facts = column.labels.get(value) if column.labels else None
        if field in ("transcription", "text") and isinstance(facts, str):
            told.setdefault("sentence", value)
            value = facts
        elif isinstance(facts, dict):
            for name, fact in facts.items():
                told.setdefault(name, fact)
        if as_text(row.setdefault(field, value)) != as_text(value):
            row[f"{column.table}.{column.name}"] = value
    for field, kinds in rated.items():
        numbers = kinds.get("gold") or kinds.get("label") or kinds["vote"]
        row[field] = sum(numbers) / len(numbers)
    return {**told, **row}


def _language(value: Any) -> str | None:
    """A language's ISO 639-1 code, where it has one."""
    text = as_text(value)
    if text is None:
        return None
    iso639 = import_module("iso639")
    return (iso639.Lang(text).pt1 or text) if iso639.is_language(text) else text
