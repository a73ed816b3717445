"""The scene of all faults, and what came of them, told at the end of the test run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.faults.forks import Forks
from tests.faults.scale import FULL
from tests.faults.scene import Scene, make_scene

_told: list[str] = []


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with Forks(tmp_path_factory.mktemp("streams")) as server:
        yield server


@pytest.fixture(scope="session")
def scene(server: Forks, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(server, tmp_path_factory.mktemp("scene"))


@pytest.fixture
def tell() -> Callable[[str], None]:
    """Say something of a result in the summary."""
    return _told.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _told:
        terminalreporter.section("faults, all of them" if FULL else "faults, a tenth of them")
        for line in _told:
            terminalreporter.write_line(line)
