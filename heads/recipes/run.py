"""A whole experiment: from audio to the leaderboard and to bias."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from embedcache.extract import run_and_describe
from heads.experiment import run_heads
from heads.models import load_head
from heads.recipes.asked import REPORT, digest_request, runs_by_request
from heads.recipes.commands import (
    bias_command,
    compare_command,
    extract_command,
    finetune_command,
    train_command,
)
from heads.recipes.outlook import look
from heads.report.compare import Comparison, compare
from heads.report.contenders import Chosen
from heads.report.explain import explain
from heads.results import Run, require_writable
from heads.train.corpora import open_corpora
from heads.train.settings import TrainConfig

if TYPE_CHECKING:
    from heads.recipes.grammar import Biasing
    from heads.recipes.steps import Steps, Training

Announce = Callable[[str], None]

_log = logging.getLogger(__name__)


def run_recipe(steps: Steps) -> tuple[str, bool]:
    """Do all steps; what is there already is not done again.

    Frames that are stored are not encoded again, and a run is reused where the same was asked for
    on the same frames and labels, with the same versions: it would come out the same.

    Returns:
        The leaderboard and the bias reports, and whether every clip was encoded.

    Raises:
        UsageError: The corpus does not have what a step needs.
        SerError: A step failed.
    """
    with _quiet():  # each step will say it again
        look(steps, generate=True)
    require_writable(steps.places.results_dir)
    announce = _announcer(steps)
    caches, complete = _encode(steps, announce)
    runs: list[Path] = []
    for training in steps.train:
        own = caches[training.tuned or 0]
        announce(train_command(steps, training, own))
        runs += _train(steps, training, own)
    announce(compare_command(steps))
    names = [str(run) for run in dict.fromkeys(runs)]
    form = steps.compare.format
    chosen = Chosen(names=names, results_dir=steps.places.results_dir)
    board = compare(
        Comparison(chosen=chosen, metric=steps.compare.metric, sort=steps.compare.sort, format=form)
    )
    reports = list(_bias(steps, [Run(Path(name)) for name in names], announce))
    if form in ("csv", "json"):  # for programs; each run's bias.json is there
        return board, complete
    return "\n\n".join([board, *dict.fromkeys(reports)]), complete


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("embedcache", "heads")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _announcer(steps: Steps) -> Announce:
    """Says on the log which step begins."""
    total = 2 * len(steps.finetune) or 1
    total += len(steps.train) + 1 + len(steps.bias)
    numbers = count(1)

    def announce(command: str) -> None:
        _log.info("step %d of %d: %s", next(numbers), total, command)

    return announce


def _encode(steps: Steps, announce: Announce) -> tuple[list[list[Path]], bool]:
    """The caches of each fine-tuning's checkpoints; without any, the one of the encoder as it is.

    Also whether every clip was encoded.
    """
    if not steps.finetune:
        announce(extract_command(steps))
        folder, complete = run_and_describe(steps.extract)
        return [[folder]], complete
    from embedcache.request import per_encoder
    from heads.finetune.run import finetune

    caches, complete = [], True
    for section, config in zip(steps.recipe.finetune, steps.finetune, strict=True):
        announce(finetune_command(steps, section))
        checkpoints = str(finetune(config))
        announce(extract_command(steps, checkpoints))
        tuned = replace(steps.extract, encoder=checkpoints)
        done = [run_and_describe(one) for one in per_encoder(tuned)]
        caches.append([folder for folder, _ in done])
        complete &= all(whole for _, whole in done)
    return caches, complete


def _train(steps: Steps, training: Training, caches: Sequence[Path]) -> list[Path]:
    """The runs of one training, in the order of its heads."""
    results_dir = steps.places.results_dir
    config = replace(training.config, cache=caches)
    reader = open_corpora(config)
    asked = {head: digest_request(training, head, reader) for head in config.heads}
    there = runs_by_request(results_dir)
    found = {head: there[digest] for head, digest in asked.items() if digest in there}
    for head, folder in found.items():
        _log.info("%s is there already: %s (remove it to train it again)", head, folder)
    missing = [head for head in asked if head not in found]
    if missing:
        settings = _settings_for(missing, config.settings)
        config = replace(config, heads=missing, settings=settings)
        trained = run_heads(config, results_dir, training.tensorboard)
        for head, folder in zip(missing, trained, strict=True):
            report = {"recipe": steps.recipe.name, "asked": asked[head]}
            Run(folder).write_report(REPORT, report)
            found[head] = folder
    return [found[head] for head in asked]


def _settings_for(heads: Sequence[str], settings: Mapping[str, str]) -> dict[str, str]:
    """The settings that are for some of the heads: a key that no head has is refused."""
    own = {field.name for head in heads for field in fields(load_head(head).Config)}
    known = own | {field.name for field in fields(TrainConfig)}
    found = {}
    for key, text in settings.items():
        head, dot, name = key.rpartition(".")
        if head in heads if dot else name in known:
            found[key] = text
    return found


def _bias(steps: Steps, runs: Sequence[Run], announce: Announce) -> Iterator[str]:
    for position, biasing in enumerate(steps.bias):
        announce(bias_command(steps, position))
        for run in choose_runs(biasing, runs):
            _, table = explain(run, biasing.by)
            yield f"Bias of {table}"


def choose_runs(biasing: Biasing, runs: Sequence[Run]) -> list[Run]:
    """The runs that a bias report is of: those without shared speakers, where there are any."""
    asked = [run for run in runs if run.target == "emotion"]
    if biasing.run not in ("best", "all"):
        asked = [run for run in asked if run.results["head"]["name"] == biasing.run]
    disjoint = [run for run in asked if run.results["protocol"]["speaker_overlap"] == 0]
    found = disjoint or asked
    if biasing.run == "best":
        # Scores against other truths are not comparable.
        labels = found[0].results["training"]["labels"]
        found = [run for run in found if run.results["training"]["labels"] == labels]
        return [max(found, key=lambda run: run.results["metrics"]["ua"]["mean"] or 0.0)]
    return found
