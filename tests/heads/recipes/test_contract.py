"""What every recipe must satisfy, run over every file found."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib

import pytest

from heads.recipes import find_recipe, recipes
from heads.recipes.commands import (
    bias_command,
    compare_command,
    extract_command,
    finetune_command,
    train_command,
)
from heads.recipes.grammar import keys
from heads.recipes.reading import read_recipe
from heads.recipes.steps import Places, make_steps
from tests.heads.recipes.commands import options
from tests.material import REPOSITORY

NAMES = sorted(recipes())
SYSTEMS = {"multi-emotion-iemocap", "attention-ravdess", "meanpool-ravdess", "pase-bias",
           "scratch-ravdess"}  # fmt: skip
DISJOINT = ("speaker", "session", "official")


@pytest.fixture(params=NAMES)
def steps(request, tmp_path):
    return make_steps(read_recipe(find_recipe(request.param)), Places(root=tmp_path))


def test_the_five_systems_are_there() -> None:
    assert set(NAMES) >= SYSTEMS


def test_a_recipe_says_what_it_is_in_a_line(steps) -> None:
    assert 10 < len(steps.recipe.summary) <= 100
    assert steps.recipe.summary == recipes()[steps.recipe.name]


def test_beside_shared_speakers_stands_a_protocol_without(steps) -> None:
    for training in steps.train:
        if training.config.protocol == "random":
            alike = [o.config for o in steps.train if o.config.protocol in DISJOINT]
            assert any(set(one.heads) == set(training.config.heads) for one in alike)


def test_the_test_part_of_a_fold_never_tunes_its_encoder(steps) -> None:
    assert all(one.all_folds or one.fold is not None for one in steps.finetune)
    if steps.finetune:
        assert {training.tuned for training in steps.train} == set(range(len(steps.finetune)))


def test_its_steps_are_commands_with_options_that_there_are(steps) -> None:
    lines = [extract_command(steps), compare_command(steps)]
    lines += [finetune_command(steps, section) for section in steps.recipe.finetune]
    lines += [train_command(steps, training, []) for training in steps.train]
    lines += [bias_command(steps, position) for position in range(len(steps.bias))]
    for line in lines:
        ser, command, *words = shlex.split(line)
        assert ser == "ser"
        used = {word.removeprefix("--") for word in words if word.startswith("--")}
        assert used <= options(command), line


def test_a_page_tells_of_it(steps) -> None:
    page = (REPOSITORY / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert re.search(rf"^## `{steps.recipe.name}`", page, re.M)


def test_listing_them_loads_nothing_heavy() -> None:
    """The line of each comes from its file."""
    code = (
        "import sys, cli\n"
        "sys.argv = ['ser', 'recipes']\n"
        "try:\n    cli.main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print(sorted({'torch', 'transformers', 'numpy', 'pandas', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True,
                          text=True, check=True)  # fmt: skip
    *lines, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    told = dict(line.split(maxsplit=1) for line in lines)
    assert told == recipes()


def test_the_page_tells_how_to_write_one(tmp_path) -> None:
    page = (REPOSITORY / "docs" / "recipes.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    file = tmp_path / "example.toml"
    file.write_text(example, encoding="utf-8")
    steps = make_steps(read_recipe(file), Places(root=tmp_path))
    assert len(steps.train) == 2 and steps.extract.views
    for section in ("extract", "compare", "bias"):
        (row,) = re.findall(rf"^\| `\[+{section}\]+` \| (.*) \|$", page, re.M)
        assert set(keys(section)) <= set(re.findall(r"`([\w-]+)`", row)), section


def test_the_wheel_holds_every_file() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["heads"]
    held = {p.stem for pattern in patterns for p in (REPOSITORY / "heads").glob(pattern)}
    assert set(NAMES) <= held
