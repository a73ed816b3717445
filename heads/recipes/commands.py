"""The steps of an experiment as the commands that would do the same."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from heads.recipes.grammar import keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from heads.recipes.reading import Section
    from heads.recipes.steps import Places, Steps, Training

RUN = "RUN"  # what only the steps before tell


def checkpoints(steps: Steps, position: int | None) -> str:
    """What stands for the folder that a fine-tuning prints: `CHECKPOINTS2` of the second."""
    several = len(steps.finetune) > 1 and position is not None
    return f"CHECKPOINTS{position + 1}" if several and position is not None else "CHECKPOINTS"


def extract_command(steps: Steps, encoder: str | None = None) -> str:
    """`ser extract`, with the recipe's encoder or another one."""
    recipe, places = steps.recipe, steps.places
    words = ["extract", "--corpus", recipe.corpus, "--root", str(places.root)]
    words += ["--encoder", encoder or recipe.encoder, *recipe.extract.options()]
    return _line([*words, *_dirs(places, "cache"), *_device(places)])


def finetune_command(steps: Steps, section: Section) -> str:
    """`ser finetune`: it hears what extraction will."""
    recipe, places = steps.recipe, steps.places
    shared = keys("extract")
    heard = [
        word
        for name, value in recipe.extract.values.items()
        if shared[name].path[0] in ("conditioning", "limit")
        for word in shared[name].kind.options(f"--{name}", value)
    ]
    words = ["finetune", "--corpus", recipe.corpus, "--root", str(places.root)]
    words += ["--encoder", recipe.encoder, *section.options(), *heard]
    folders = [*_dirs(places, "checkpoint"), *_dirs(places, "cache")]
    return _line([*words, *folders, *_device(places)])


def train_command(steps: Steps, training: Training, caches: Sequence[Path]) -> str:
    """`ser train-head` on caches; where they are not there yet, on those of the checkpoints."""
    words = ["train-head", "--corpus", steps.recipe.corpus]
    words += [word for cache in caches for word in ("--cache", str(cache))]
    if not caches:
        words += ["--encoder", checkpoints(steps, training.tuned), *_dirs(steps.places, "cache")]
    words += training.section.options()
    return _line([*words, *_dirs(steps.places, "results"), *_device(steps.places)])


def compare_command(steps: Steps) -> str:
    """`ser compare` of the experiment's runs."""
    words = ["compare", RUN, *steps.recipe.compare.options()]
    return _line([*words, *_dirs(steps.places, "results")])


def bias_command(steps: Steps, position: int) -> str:
    """`ser bias` of each run that is looked at."""
    options = ["--by", ",".join(steps.bias[position].by)]
    return _line(["bias", RUN, *options, *_dirs(steps.places, "results")])


def _line(words: list[str]) -> str:
    return " ".join(["ser", *map(quote, words)])


def _dirs(places: Places, what: str) -> list[str]:
    folder = str(getattr(places, f"{what}_dir"))
    return [] if folder == _DEFAULT_DIRS[what] else [f"--{what}-dir", folder]


def _device(places: Places) -> list[str]:
    return [] if places.device == "auto" else ["--device", places.device]


_DEFAULT_DIRS = {"cache": "cache", "results": "results", "checkpoint": "checkpoints"}
