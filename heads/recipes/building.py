"""Sections of a recipe to the configurations that commands fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from embedcache.audio.augmentation import parse_views
from embedcache.errors import UsageError
from heads.recipes.grammar import keys, option_of, types_of

if TYPE_CHECKING:
    from heads.recipes.reading import Section

C = TypeVar("C")


def build(config_type: type[C], section: Section, given: Mapping[str, Any]) -> C:
    """A configuration from a section, and from what stands outside it.

    Args:
        config_type: What is built; configurations inside it are built too.
        section: Whose values fill its fields.
        given: Fields of it, and of those inside it, that no key fills.

    Raises:
        UsageError: The configuration refuses a value, or a field that needs one has none.
    """
    known = keys(section.name)
    filled = {known[name].path: _plain(name, value) for name, value in section.values.items()}
    return _build(config_type, filled, given)  # type: ignore[no-any-return]


def _build(
    config_type: Any, filled: Mapping[tuple[str, ...], Any], given: Mapping[str, Any]
) -> Any:
    types = types_of(config_type)
    values = {name: given[name] for name in types if name in given}
    needed = {f.name for f in fields(config_type) if f.default is f.default_factory is MISSING}
    for name, kind in types.items():
        inner = {path[1:]: value for path, value in filled.items() if path[0] == name}
        if is_dataclass(kind) and name not in given:
            values[name] = _build(kind, inner, given)
        elif inner:
            values[name] = inner[()]
    for name in sorted(needed - values.keys()):
        raise UsageError(f"{option_of(name)} lacks; write {option_of(name)} = ...")
    return config_type(**values)


def _plain(name: str, value: Any) -> Any:
    """A value as its field has it."""
    if name == "augment":
        return parse_views([f"{key}={text}" for key, text in value.items()], "augment")
    return frozenset(value) if name == "drop" else value
