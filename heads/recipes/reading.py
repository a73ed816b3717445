"""A recipe's file, and what a command line changes in it: sections with values of their types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedcache.errors import SerError, UsageError, unknown_name
from heads.recipes import load
from heads.recipes.grammar import (
    PAIRS,
    REPEATABLE,
    SECTIONS,
    TOP,
    Key,
    Kind,
    Value,
    find_key,
    keys,
)


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a recipe: a command and some of its options.

    Attributes:
        name: Of the section, such as `train-head`.
        number: Among those of the same name, from 1; 0 where there is one only.
        values: By option.
    """

    name: str
    number: int
    values: Mapping[str, Value]

    @property
    def told(self) -> str:
        """What messages call it."""
        return f"[{self.name}]" if not self.number else f"[[{self.name}]] {self.number}"

    def options(self) -> list[str]:
        """The same as options of the command."""
        known = keys(self.name)
        words: list[str] = []
        for name, value in self.values.items():
            words += known[name].kind.options(f"--{name}", value)
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole experiment, as a file says it.

    Attributes:
        name: The file's name without its suffix.
        file: Where it was read.
        summary: A line.
        corpus: `PLUGIN` or `PLUGIN:NAME`.
        encoder: Encoder id.
        extract: Options of `ser extract`.
        finetune: Options of `ser finetune`, one for each protocol; often none.
        train_head: Options of `ser train-head`, one or more.
        compare: Options of `ser compare`.
        bias: Options of `ser bias`.
    """

    name: str
    file: Path
    summary: str
    corpus: str
    encoder: str
    extract: Section
    finetune: Sequence[Section] = ()
    train_head: Sequence[Section] = field(default_factory=tuple)
    compare: Section
    bias: Sequence[Section] = ()


@contextmanager
def at(place: str) -> Iterator[None]:
    """Errors tell where in a recipe they come from."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error
    except SerError as error:
        raise SerError(f"{place}: {error}") from error


def read_recipe(
    path: Path, changes: Sequence[str] = (), corpus: str | None = None, encoder: str | None = None
) -> Recipe:
    """Read a recipe.

    Args:
        path: Its file.
        changes: `SECTION.KEY=VALUE` each, which go before what the file says; of several sections
            of one name all are changed, or the one whose number is named, `SECTION.NUMBER.KEY`.
        corpus: In place of the file's.
        encoder: In place of the file's.

    Raises:
        UsageError: It is no TOML, a section or key is unknown or lacks, or a value has another
            type.
        SerError: It cannot be read.
    """
    record = load(path)
    with at(str(path)):
        top = {name: record.pop(name) for name in list(record) if name in TOP}
        told = {name: _read(name, TOP[name].kind, value) for name, value in top.items()}
        told |= {k: v for k, v in (("corpus", corpus), ("encoder", encoder)) if v is not None}
        for name in TOP:
            if not told.get(name):
                raise UsageError(f"{name} lacks; write {name} = ... above the first section")
        for name in record:
            if name not in SECTIONS:
                raise unknown_name("section or key", name, (*SECTIONS, *TOP))
        sections = {name: _sections(name, record.get(name)) for name in SECTIONS}
        if not sections["train-head"]:
            raise UsageError("there is no [[train-head]]; write one for each protocol")
    for change in changes:
        with at(f"--set {change}"):
            _change(sections, change)
    of = {name: _numbered(name, own) for name, own in sections.items()}
    return Recipe(
        name=path.stem,
        file=path,
        summary=str(told["summary"]),
        corpus=str(told["corpus"]),
        encoder=str(told["encoder"]),
        extract=_single("extract", of),
        finetune=of["finetune"],
        train_head=of["train-head"],
        compare=_single("compare", of),
        bias=of["bias"],
    )


def _sections(name: str, found: Any) -> list[dict[str, Value]]:
    """The values of each section of a name."""
    if found is None:
        return []
    tables = found if isinstance(found, list) else [found]
    if not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{name} is a section; write [{name}] and its keys below")
    if len(tables) > 1 and name not in REPEATABLE:
        raise UsageError(f"[{name}] stands {len(tables)} times; write it once")
    return [_values(name, table, n, len(tables)) for n, table in enumerate(tables, start=1)]


def _values(name: str, table: Mapping[str, Any], number: int, count: int) -> dict[str, Value]:
    values = {}
    with at(Section(name, number if count > 1 else 0, {}).told):
        for key, value in table.items():
            values[key] = _read(key, _find(name, key).kind, value)
    return values


def _find(section: str, key: str) -> Key:
    if key in ("corpus", "encoder"):
        raise UsageError(f"{key} is one for all sections; write it above the first of them")
    return find_key(section, key)


def _read(name: str, kind: Kind, value: Any) -> Value:
    return _taken(name, kind, value, kind.read)


def _taken(name: str, kind: Kind, value: Any, take: Callable[[Any], Value]) -> Value:
    try:
        return take(value)
    except ValueError:
        shown = repr(value) if not isinstance(value, bool) else str(value).lower()
        raise UsageError(f"{name} = {shown}: give {kind.told}") from None


def _change(sections: dict[str, list[dict[str, Value]]], change: str) -> None:
    """Do what one `SECTION.KEY=VALUE` says."""
    place, equals, text = change.partition("=")
    name, _, key = place.partition(".")
    if not (equals and key):
        raise UsageError("give SECTION.KEY=VALUE, as in train-head.seeds=1")
    if name not in SECTIONS:
        raise unknown_name("section", name, SECTIONS)
    if name not in REPEATABLE and not sections[name]:
        sections[name].append({})
    own = sections[name]
    number, dot, rest = key.partition(".")
    if dot and number.isdigit():
        if not 1 <= int(number) <= len(own):
            raise UsageError(f"there are {len(own)} sections [[{name}]], numbered from 1")
        own, key = [own[int(number) - 1]], rest
    if not own:
        raise UsageError(f"the recipe has no [[{name}]]")
    key, _, inner = key.partition(".")
    kind = _find(name, key).kind
    if (kind is PAIRS) != bool(inner):
        raise UsageError(
            f"{key} holds pairs; give {name}.{key}.KEY=VALUE"
            if kind is PAIRS
            else f"{key} holds no pairs; give {name}.{key}=VALUE"
        )
    for values in own:
        if kind is PAIRS:
            before = values.get(key, {})
            # Said for all heads, it is said for each: what the file says for one of them goes.
            kept = dict(before) if isinstance(before, dict) else {}
            kept = {k: v for k, v in kept.items() if not k.endswith(f".{inner}")}
            values[key] = {**kept, inner: text}
        else:
            values[key] = _taken(key, kind, text, kind.parse)


def _numbered(name: str, found: Sequence[Mapping[str, Value]]) -> list[Section]:
    several = len(found) > 1
    return [Section(name, n if several else 0, own) for n, own in enumerate(found, start=1)]


def _single(name: str, of: Mapping[str, Sequence[Section]]) -> Section:
    return of[name][0] if of[name] else Section(name, 0, {})
