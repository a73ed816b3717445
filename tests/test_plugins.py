from __future__ import annotations

import subprocess
import sys

import pytest

from embedcache.errors import UsageError, unknown_name
from embedcache.plugins import find, plugins

PACKAGES = ("embedcache.corpora", "embedcache.encoders", "embedcache.engines", "heads.models")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_plugin_has_a_line_for_its_listing(package: str) -> None:
    assert plugins(package)
    for plugin in plugins(package).values():
        assert 10 < len(plugin.summary) <= 100, plugin


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_read_from_the_text_is_what_the_module_says(package: str) -> None:
    for plugin in plugins(package).values():
        module = plugin.load()
        for name, value in plugin.constants.items():
            assert getattr(module, name) == value


def test_unknown_name_suggests_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="unknown corpus 'ravdes': did you mean 'ravdess'"):
        find("embedcache.corpora", "corpus", "ravdes")


def test_unknown_name_without_a_near_one_lists_all() -> None:
    assert str(unknown_name("head", "zzz", ["b", "a"])) == "unknown head 'zzz': there are: a, b"


def test_a_package_that_is_none_is_an_error_of_the_program() -> None:
    with pytest.raises(ModuleNotFoundError, match="is not a package"):
        plugins("embedcache.errors")


@pytest.mark.parametrize("command", [["--help"], ["corpora"], ["encoders"], ["heads"],
                                     ["extract", "--help"], ["train-head", "--help"]])  # fmt: skip
def test_listing_and_help_load_nothing_heavy(command: list[str]) -> None:
    program = (
        "import sys\n"
        "from cli import app\n"
        f"try: app({command!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'transformers', 'numpy', 'h5py', 'pandas', 'sklearn'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded - ALLOWED, loaded\n"
    ).replace("ALLOWED", "{'numpy'}" if command == ["encoders"] else "set()")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
