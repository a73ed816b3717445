"""What a command gave, and what commands there are."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import typer

import cli


class Done(NamedTuple):
    code: int
    out: str
    err: str


def options(command: str) -> set[str]:
    """Options of a command, without their hyphens; of several spellings the first."""
    found = typer.main.get_command(cli.app).commands[command]
    return {p.opts[0].removeprefix("--") for p in found.params if p.opts[0].startswith("--")}


def holds(folder: Path, but: str = "") -> dict[str, bytes]:
    """Every file below a folder, but for those of one name, and its bytes."""
    found = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != but]
    return {str(path): path.read_bytes() for path in found}
