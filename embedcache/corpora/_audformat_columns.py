"""audformat's files: a database's header and tables, and whose word each column is.

What of these becomes an utterance is the matter of the plug-in `audformat`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from embedcache.corpora._library import DIMENSIONS, import_library, role_of
from embedcache.errors import SerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A file, and a clip's start and end in it in seconds; no end is the file's.
Key = tuple[str, float, "float | None"]
_KNOWN = frozenset(
    (*DIMENSIONS, "emotion", "speaker", "gender", "age", "language", "transcription", "text")
)


@dataclass(frozen=True, slots=True)
class Column:
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
    values: Mapping[Key, Any]
    labels: Mapping[Any, Any]

    def get(self, key: Key) -> Any:
        """The clip's value, or else its whole file's."""
        value = self.values.get(key)
        return self.values.get((key[0], 0.0, None)) if value is None else value


def load_database(folder: Path) -> Any:
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


def read_columns(database: Any, table_id: str) -> list[Column]:
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
            Column(
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


def _keys(index: Any) -> list[Key]:
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
