"""Commands in this process, a small experiment of one's own, and what a folder holds."""

from __future__ import annotations

from pathlib import Path

import pytest

import cli
from tests.heads.recipes.commands import Done
from tests.material import write_clips

MINE = """
summary = "two protocols on clips of one's own"
corpus = "folder:mine"
encoder = "logmel"

[extract]
augment = { speed = [0.9] }

[[train-head]]
head = ["mlp", "attention"]
protocol = "random"
test = 0.2
val = 0.2
seeds = 1
set = { epochs = 2, hidden = "8" }

[[train-head]]
head = "mlp"
folds = 3
seeds = 2
set = { epochs = 2, hidden = "8" }

[compare]
format = "md"

[[bias]]
by = "speaker"
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """A command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_log_to_stderr", lambda: None)

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["ser", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        text = capfd.readouterr()
        return Done(int(stop.value.code or 0), text.out, text.err)

    return call


@pytest.fixture
def mine(tmp_path) -> Path:
    """An experiment on 24 clips by six speakers, which lie in `clips`."""
    write_clips(tmp_path / "clips", 24)
    file = tmp_path / "mine.toml"
    file.write_text(MINE, encoding="utf-8")
    return file
