from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.material import REPOSITORY


def test_imports_run_one_way() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_only_the_command_line_prints() -> None:
    sources = [p for name in ("embedcache", "heads") for p in (REPOSITORY / name).rglob("*.py")]
    assert sources
    for path in sources:
        assert "print(" not in path.read_text().replace(">>> print(", ""), path


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "misc"])
def test_no_module_is_a_drawer(word: str) -> None:
    assert not [p for p in REPOSITORY.rglob(f"{word}.py") if ".venv" not in p.parts]


def test_every_package_is_in_the_wheel() -> None:
    import tomllib

    listed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    there = {
        ".".join(p.parent.relative_to(REPOSITORY).parts)
        for name in ("embedcache", "heads")
        for p in (REPOSITORY / name).rglob("__init__.py")
    }
    assert set(listed["packages"]) == there
