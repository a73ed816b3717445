"""Plug-ins: one module in a package's folder is one plug-in, imported on use.

Names come from listing the folder, and what a listing shows (the docstring's first line, literal
constants) is read from the source text without importing it. So `ser corpora`, `ser encoders` and
`ser heads` load nothing heavy, and adding a plug-in means adding one file.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedcache.errors import unknown_name

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a plug-in says of itself without being imported.

    Attributes:
        name: The module's file name, which is the plug-in's name.
        package: The package that holds it, such as `embedcache.corpora`.
        summary: First line of its docstring, without the full stop.
        constants: Its upper-case module constants that are plain literals.
    """

    name: str
    package: str
    summary: str
    constants: dict[str, Any]

    def load(self) -> ModuleType:
        """Import the plug-in's module."""
        return import_module(f"{self.package}.{self.name}")


@cache
def plugins(package: str) -> dict[str, Plugin]:
    """All plug-ins of a package, by name.

    >>> "ravdess" in plugins("embedcache.corpora")
    True
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not a package")
    folder = Path(next(iter(spec.submodule_search_locations)))
    files = sorted(p for p in folder.glob("*.py") if not p.stem.startswith("_"))
    return {path.stem: _read(path, package) for path in files}


def find(package: str, kind: str, name: str) -> Plugin:
    """One plug-in by name.

    Raises:
        UsageError: There is none of that name; the nearest one is suggested.
    """
    known = plugins(package)
    if name not in known:
        raise unknown_name(kind, name, known)
    return known[name]


def _read(path: Path, package: str) -> Plugin:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    summary = (ast.get_docstring(tree) or "").partition("\n")[0].rstrip(".")
    constants = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id.isupper():
            try:
                constants[target.id] = ast.literal_eval(value)
            except ValueError:  # not a literal: known once the module is imported
                continue
    return Plugin(path.stem, package, summary, constants)
