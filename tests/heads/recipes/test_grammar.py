"""The grammar is that of the commands: a key for each option, of its field's type."""

from __future__ import annotations

import pytest

from heads.recipes.grammar import GIVEN, REPEATABLE, SECTIONS, keys, option_of
from heads.recipes.reading import read_recipe
from tests.heads.recipes.commands import options

# Options that are no field of a configuration: what a command does besides.
BESIDES = {
    "extract": {"dry-run"},
    "finetune": set(),
    "train-head": {"results-dir"},
    "compare": {"corpus", "encoder", "head", "picture", "protocol", "results-dir"},
    "bias": {"compare", "format", "metric", "min-clips", "min-speakers", "replicates"}
    | {"results-dir"},
}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_option_is_a_key_or_is_said_elsewhere(section: str) -> None:
    given = {option_of(name) for name in GIVEN[section]} | BESIDES[section]
    if section == "finetune":
        given -= {"conditioning", "limit"}
        given |= {
            name
            for name, key in keys("extract").items()
            if key.path[0] in ("conditioning", "limit")
        }
    of_recipes = {"run"} if section == "bias" else set()  # an argument of the command
    assert set(keys(section)) - of_recipes == options(section) - given


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_filled_by_one_key_at_most(section: str) -> None:
    paths = [key.path for key in keys(section).values()]
    assert len(set(paths)) == len(paths)


EXAMPLES = {  # of a kind: as TOML has it, and as --set writes it
    "text": ('"last"', "last"),
    "true": ("true", "true"),
    "a whole number": ("3", "3"),
    "a number": ("0.5", "0.5"),
    "names": ('["a", "b"]', "a,b"),
}


def file_with(folder, section, line):
    repeated = {name: f"[[{name}]]" if name in REPEATABLE else f"[{name}]" for name in SECTIONS}
    text = 'summary = "s"\ncorpus = "folder:x"\nencoder = "logmel"\n'
    if section != "train-head":
        text += '[[train-head]]\nhead = "mlp"\n'
    path = folder / "recipe.toml"
    path.write_text(f"{text}{repeated[section]}\n{line}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("section", "name"),
    [(s, name) for s in SECTIONS if s != "finetune" for name in keys(s)],
)
def test_set_and_the_file_say_the_same(tmp_path, section, name) -> None:
    key = keys(section)[name]
    known = [pair for kind, pair in EXAMPLES.items() if key.kind.told.startswith(kind)]
    if not known:
        assert key.kind.told.startswith("a table")
        written = file_with(tmp_path, section, f'{name} = {{ key = "value" }}')
        changes = [f"{section}.{name}.key=value"]
    else:
        in_toml, in_text = known[0]
        written = file_with(tmp_path, section, f"{name} = {in_toml}")
        changes = [f"{section}.{name}={in_text}"]
    told = getattr(read_recipe(written), section.replace("-", "_"))
    bare = file_with(tmp_path, section, "")
    changed = getattr(read_recipe(bare, changes), section.replace("-", "_"))
    assert told == changed
