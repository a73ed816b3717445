"""Recipes: whole experiments as TOML files. One file per recipe.

A recipe is a file `<name>.toml` in this folder, or anybody's own file. `summary` in it is its line
in `ser recipes`. Its sections are commands and its keys their options, as `ser` spells them:

- at the top: `summary`, `corpus`, `encoder`;
- `[extract]`: conditioning, augmentation, layers;
- `[[finetune]]`, where there is any: one for each protocol that its checkpoints are for;
- `[[train-head]]`: one or more, such as the original's protocol and a speaker-independent one;
- `[compare]`: what the leaderboard is sorted by;
- `[[bias]]`: which runs' groups of speakers are looked at.

`grammar` derives keys and types from the configurations that the commands fill, `reading` reads a
file, `steps` makes configurations of it, `outlook` checks them against a corpus, `plan` says what
would be done, and `run` does it. Here is only what listing needs.
"""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedcache.errors import SerError, UsageError, unknown_name

SUFFIX = ".toml"
_FOLDER = Path(__file__).parent


def recipes() -> dict[str, str]:
    """The recipes that are built in, by name: the line that each says of itself."""
    return {path.stem: str(load(path).get("summary", "")) for path in _files()}


def find_recipe(name: str) -> Path:
    """The file of a recipe that is built in, or of one's own.

    Raises:
        UsageError: There is none.
    """
    built_in = {path.stem: path for path in _files()}
    if name in built_in:
        return built_in[name]
    path = Path(name).expanduser()
    with suppress(OSError):  # a name that is too long is no file
        if path.is_file():
            return path
    if path.suffix == SUFFIX or "/" in name:
        raise UsageError(f"there is no recipe {name}; give a file, or one of `ser recipes`")
    raise unknown_name("recipe", name, built_in)


def load(path: Path) -> dict[str, Any]:
    """What a recipe's file holds, nothing checked.

    Raises:
        UsageError: It is no TOML.
        SerError: It cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SerError(f"{path} cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8 ({error.reason}), as TOML is") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}; see https://toml.io") from error


def _files() -> list[Path]:
    return sorted(_FOLDER.glob(f"*{SUFFIX}"))
