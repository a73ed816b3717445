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
import warnings
from collections import defaultdict
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from embedcache.corpora import Example, clip_ids
from embedcache.corpora._library import (
    DIMENSIONS,
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
from embedcache.errors import SerError
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

# A file, and a clip's start and end in it in seconds; no end is the file's.
_Key = tuple[str, float, "float | None"]
_KNOWN = frozenset(
    (*DIMENSIONS, "emotion", "speaker", "gender", "age", "language", "transcription", "text")
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Column:
    """A table's column.

    Attributes:
        table: The table's name.
        name: Its own name.
        field: What it is about: `emotion` where its scheme is that, whatever its own name.
        kind: `gold`, `label` or `vote` (one rater's word) for emotions and dimensions, else `fact`.
        role: Of the split that the table belongs to.
        values: By clip; None where the row holds nothing.
        labels: What the scheme says of a value.
    """

    table: str
    name: str
    field: str
    kind: str
    role: str | None
    values: Mapping[_Key, Any]
    labels: Mapping[Any, Any]

    def get(self, key: _Key) -> Any:
        """The clip's value, or else its whole file's."""
        value = self.values.get(key)
        return self.values.get((key[0], 0.0, None)) if value is None else value


def parse(root: Path) -> list[Utterance]:
    """Every row of a table that gives an emotion, in the tables' order.

    Raises:
        UsageError: audformat is not installed, or there are several databases under `root`.
        SerError: The database is damaged, or no table holds emotions.
    """
    folder = folder_with(root, "db.yaml")
    if folder is None:
        return []
    database = _load(folder)
    columns = [column for table in database.tables for column in _columns(database, table)]
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


def _load(folder: Path) -> Any:
    """The database, from its header and its tables as CSV or Parquet."""
    audformat = import_library("audformat", "audformat")
    _check_header(folder / "db.yaml")
    tables = [p for p in folder.glob("db.*") if p.suffix in (".csv", ".parquet")]
    named = {path.stem for path in tables}
    for path in sorted(folder.glob("db.*.pkl")):
        if path.stem not in named:
            raise SerError(
                f"{path} is a pickle, which can run any code as it is read; if you trust it, write "
                'it as CSV: audformat.Database.load(DIR).save(DIR, storage_format="csv")'
            )
    # The library would prefer pickles, so it is shown a folder without them.
    with TemporaryDirectory(prefix="ser-audformat-") as temporary:
        for path in (folder / "db.yaml", *tables):
            (Path(temporary) / path.name).symlink_to(path.resolve())
        try:
            with warnings.catch_warnings():
                # It calls pandas in ways that pandas is going to drop.
                warnings.filterwarnings("ignore", category=DeprecationWarning, module="audformat")
                return audformat.Database.load(temporary, load_data=True)
        except Exception as error:  # a damaged database raises nearly anything in the library
            reason = str(error).replace(temporary, str(folder)) or type(error).__name__
            raise SerError(f"{folder} is no database that audformat reads ({reason})") from error


def _check_header(path: Path) -> None:
    """Refuse a header that is no plain YAML: the library's reader would run what is in its tags."""
    yaml = import_module("yaml")
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        header = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SerError(f"{path} is no plain YAML ({' '.join(str(error).split())})") from error
    fields = header if isinstance(header, dict) else {}
    (only,) = fields.values() if len(fields) == 1 else (None,)
    if isinstance(only, dict):  # headers of old stood under the database's name
        fields = {"name": "", **only}
    missing = [field for field in ("name", "source", "usage") if field not in fields]
    if missing:
        raise SerError(f"{path} is no header of an audformat database: no {', '.join(missing)}")


def _columns(database: Any, table_id: str) -> list[_Column]:
    table = database.tables[table_id]
    frame = table.get()
    keys = _keys(frame.index)
    role = role_of(database.splits[table.split_id].type) if table.split_id else None
    fields = {name: _field(database, table, name) for name in frame.columns}
    found = []
    for name, field in fields.items():
        scheme_id = table.columns[name].scheme_id
        missing = frame[name].isna().tolist()
        values = [
            None if gone else v for v, gone in zip(frame[name].tolist(), missing, strict=True)
        ]
        siblings = [other for other, its_field in fields.items() if its_field == field]
        found.append(
            _Column(
                table=table_id,
                name=name,
                field=field,
                kind=_kind(database, table_id, name, field, siblings),
                role=role,
                values=dict(zip(keys, values, strict=True)),
                labels=_labels(database, scheme_id) if scheme_id else {},
            )
        )
    return found


def _keys(index: Any) -> list[_Key]:
    if index.nlevels == 1:
        return [(str(file), 0.0, None) for file in index]
    return [
        (str(file), start.total_seconds(), None if end != end else end.total_seconds())
        for file, start, end in index
    ]


def _field(database: Any, table: Any, name: str) -> str:
    """What a column is about: its scheme's name where that is a field, else its own."""
    scheme_id = table.columns[name].scheme_id
    field = next((x.lower() for x in (scheme_id, name) if x and x.lower() in _KNOWN), name)
    if field == "emotion" and scheme_id:
        scheme = database.schemes[scheme_id]
        if scheme.labels is None and scheme.dtype not in ("str", "object"):
            return name  # a number that only says how strong or how sure
    return field


def _kind(database: Any, table_id: str, name: str, field: str, siblings: Sequence[str]) -> str:
    """Whose word a column is; `siblings` are the columns of its table about the same."""
    if field not in ("emotion", *DIMENSIONS):
        return "fact"
    rater_id = database.tables[table_id].columns[name].rater_id
    rater = database.raters[rater_id].type if rater_id else ""
    if rater == "machine":
        return "fact"
    if rater in ("vote", "ground truth") or "gold" in f"{table_id} {rater_id}".lower():
        return "gold"
    if len(siblings) == 1 or name.lower() == field:
        return "label"
    return "vote" if rater_id or field not in map(str.lower, siblings) else "fact"


def _labels(database: Any, scheme_id: str) -> dict[Any, Any]:
    """What a scheme says of its values, in the header or in a table of its own."""
    labels = database.schemes[scheme_id].labels
    if isinstance(labels, str):
        frame = database.misc_tables[labels].get()
        rows = frame.astype(object).where(frame.notna(), None).to_dict("index")
        return dict(rows)
    return labels if isinstance(labels, dict) else {}


def _read_clips(
    database: Any, folder: Path, columns: Sequence[_Column], emotions: Sequence[_Column]
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


def _ids(keys: Sequence[_Key]) -> dict[_Key, str]:
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


def _roles(keys: Sequence[_Key], emotions: Sequence[_Column]) -> dict[_Key, str]:
    """Each clip's split; none where its tables belong to several."""
    found: dict[_Key, set[str]] = defaultdict(set)
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
    key: _Key, emotions: Sequence[_Column]
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


def _word(column: _Column, value: Any) -> str | None:
    """An emotion; a number by what its scheme says of it."""
    told = column.labels.get(value) if column.labels else None
    if isinstance(value, int) and told:
        value = next(iter(told.values())) if isinstance(told, dict) else told
    text = as_text(value)
    return text.lower() if text else None


def _facts(key: _Key, columns: Sequence[_Column]) -> dict[str, Any]:
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
