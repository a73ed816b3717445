"""What the documents say is what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

import cli
from tests.material import REPOSITORY

PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")])


def test_tables_are_those_of_the_plug_ins() -> None:
    from docs.tables import PAGE, with_tables

    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text) == text, "run `python -m docs.tables`"


def commands(page: Path) -> list[list[str]]:
    """The `ser` commands of a page's code blocks, without comments."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("ser ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_has_the_options_that_it_is_shown_with(page: Path) -> None:
    root = typer.main.get_command(cli.app)
    for words in commands(page):
        command, rest = root, words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]  # type: ignore[attr-defined]
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert used <= known, words


@pytest.mark.parametrize("command", ["extract", "train-head"])
def test_every_option_has_a_help_text(command: str) -> None:
    root = typer.main.get_command(cli.app)
    for parameter in root.commands[command].params:  # type: ignore[attr-defined]
        assert parameter.help, parameter.name
