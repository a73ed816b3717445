"""The grammar of recipes: a section is a command, a key its option, and a type the field's own.

Keys are derived from the dataclasses that the commands fill, so an option that these gain is a key
of recipes, too. What one command line says for a whole experiment (`--root`, `--device`, folders)
is no key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from embedcache.errors import unknown_name

Value = bool | int | float | str | tuple[str, ...] | dict[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key may hold.

    Attributes:
        told: For messages.
        read: Makes it of what TOML holds; ValueError where that is something else.
        parse: Makes it of text; ValueError likewise.
        options: Writes it as options of a command.
    """

    told: str
    read: Callable[[Any], Value]
    parse: Callable[[str], Value]
    options: Callable[[str, Any], list[str]]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section.

    Attributes:
        path: The field that it fills, as in ("labels", "kind").
        kind: What it may hold.
    """

    path: tuple[str, ...]
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """`[compare]`: the leaderboard.

    Attributes:
        metric: What is tested, and sorts; None for UA, and CCC of dimensions.
        sort: What sorts instead; see `ser compare --sort`.
        format: `table`, `md`, `csv` or `json`.
    """

    metric: str | None = None
    sort: str | None = None
    format: str = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Biasing:
    """`[[bias]]`: groups of speakers.

    Attributes:
        run: Whose: `best` (by UA), `all`, or those of a head. Of an experiment's runs only those
            count that share no speakers, if there are any.
        by: Columns of the corpus.
    """

    run: str = "best"
    by: Sequence[str] = ("gender", "speaker")


def _read_text(value: Any) -> Value:
    return str(_only(value, str))


def _read_truth(value: Any) -> Value:
    return bool(_only(value, bool))


def _read_whole(value: Any) -> Value:
    return int(_only(value, int))


def _read_number(value: Any) -> Value:
    return float(_only(value, int, float))


def _read_count(value: Any) -> Value:
    found = _only(value, int, str)
    return found if isinstance(found, int) else str(found)


def _read_names(value: Any) -> Value:
    if isinstance(value, str):
        return _split(value)
    return tuple(dict.fromkeys(str(_only(name, str)) for name in _only(value, list)))


def _read_pairs(value: Any) -> Value:
    """Pairs of a table, whose tables are heads' own: `cnn-rnn.pooling = "mean"`."""
    found: dict[str, str] = {}
    for key, one in _only(value, dict).items():
        if isinstance(one, dict):
            inner = _read_pairs(one)
            found |= {f"{key}.{name}": text for name, text in dict(inner).items()}  # type: ignore[arg-type]
        else:
            found[key] = ",".join(map(_scalar, one if isinstance(one, list) and one else [one]))
    return found


def _scalar(value: Any) -> str:
    return str(_only(value, int, float, str))


def _only(value: Any, *types: type) -> Any:
    """The value, if it is of one of these types; a truth value is no number."""
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise ValueError(value)
    return value


def _parse_truth(text: str) -> Value:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _parse_count(text: str) -> Value:
    return int(text) if text.lstrip("-").isdigit() else text


def _no_text(text: str) -> Value:
    raise ValueError(text)


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _once(name: str, value: object) -> list[str]:
    return [name, f"{value:.12g}" if isinstance(value, float) else str(value)]


def _joined(name: str, value: tuple[str, ...]) -> list[str]:
    return [name, ",".join(value)]


def _repeated(name: str, value: tuple[str, ...]) -> list[str]:
    return [word for one in value for word in (name, one)]


def _paired(name: str, value: Mapping[str, str]) -> list[str]:
    return [word for key, text in value.items() for word in (name, f"{key}={text}")]


def _flag(name: str, value: bool) -> list[str]:
    return [name] if value else []


TEXT = Kind('text, as in "last"', _read_text, str, _once)
TRUTH = Kind("true or false", _read_truth, _parse_truth, _flag)
WHOLE = Kind("a whole number", _read_whole, int, _once)
NUMBER = Kind("a number", _read_number, float, _once)
COUNT = Kind('a whole number, or text such as "speakers"', _read_count, _parse_count, _once)
NAMES = Kind('names, as in "a,b" or ["a", "b"]', _read_names, _split, _joined)
REPEATED = Kind(NAMES.told, _read_names, _split, _repeated)
PAIRS = Kind("a table, as in { key = value }", _read_pairs, _no_text, _paired)

_KINDS: dict[object, Kind] = {
    str: TEXT,
    str | None: TEXT,
    bool: TRUTH,
    int: WHOLE,
    int | None: WHOLE,
    float: NUMBER,
    float | None: NUMBER,
    int | str | None: COUNT,
    Sequence[str]: NAMES,
    tuple[str, ...]: NAMES,
    frozenset[str]: REPEATED,
    Mapping[str, str]: PAIRS,
}

TOP = {
    "summary": Key(("summary",), TEXT),
    "corpus": Key(("corpus",), TEXT),
    "encoder": Key(("encoder",), TEXT),
}
REPEATABLE = ("finetune", "train-head", "bias")
SECTIONS = ("extract", "finetune", "train-head", "compare", "bias")

# Options that are not called as their fields are.
_OPTIONS = {
    "heads": "head",
    "test_share": "test",
    "val_share": "val",
    "kind": "labels",
    "rename": "map",
    "settings": "set",
}
_PLACES = frozenset({"corpus", "root", "encoder", "cache", "cache_dir", "checkpoint_dir", "device"})
# What a recipe does not say: where and on what it runs, and what only one of its steps would know.
GIVEN = {
    "extract": _PLACES | {"engine", "worker"},
    # Fine-tuning hears what extraction will: the same clips, conditioned in the same way.
    "finetune": _PLACES
    | {"conditioning", "limit"}
    | {"allow_leakage", "layer", "seeds", "standardise", "test_corpus", "views"}
    | {"ambiguous", "balance", "worst_group"},
    "train-head": _PLACES | {"test_corpus"},
    "compare": frozenset[str](),
    "bias": frozenset[str](),
}


@cache
def keys(section: str) -> dict[str, Key]:
    """The keys of a section, by name."""
    found = dict(_keys(_config_of(section), GIVEN[section], ()))
    if section == "extract":  # one option for all views, as in --augment speed=0.9,1.1
        found = {name: key for name, key in found.items() if name != "views"}
        found["augment"] = Key(("views",), PAIRS)
    if section == "train-head":
        found["tensorboard"] = Key(("tensorboard",), TRUTH)
    return found


def find_key(section: str, name: str) -> Key:
    """A key of a section.

    Raises:
        UsageError: It has none of that name.
    """
    known = keys(section)
    if name not in known:
        raise unknown_name("key", name, known)
    return known[name]


def option_of(field: str) -> str:
    """What the option of a field is called."""
    return _OPTIONS.get(field, field.replace("_", "-"))


def types_of(config_type: type) -> dict[str, Any]:
    """Types of a configuration's fields."""
    from heads.train.config import RunConfig

    # What their modules import for annotations alone.
    names = {"Mapping": Mapping, "Path": Path, "RunConfig": RunConfig, "Sequence": Sequence}
    return get_type_hints(config_type, localns=names)


def _config_of(section: str) -> type:
    """The configuration that a section fills."""
    from embedcache.request import ExtractConfig
    from heads.train.config import RunConfig

    if section == "finetune":
        from heads.finetune.settings import FinetuneConfig

        return FinetuneConfig
    return {
        "extract": ExtractConfig,
        "train-head": RunConfig,
        "compare": Comparing,
        "bias": Biasing,
    }[section]


def _keys(config_type: type, given: frozenset[str], path: tuple[str, ...]) -> list[tuple[str, Key]]:
    """Keys of a configuration and of those inside it."""
    found = []
    for name, kind in types_of(config_type).items():
        if name in given:
            continue
        if is_dataclass(kind):
            found += _keys(kind, given, (*path, name))  # type: ignore[arg-type]
            continue
        found.append((option_of(name), Key((*path, name), _KINDS[kind])))
    return found
