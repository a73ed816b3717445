"""A dry run: what an experiment would do, step by step, and how much of it there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedcache.estimate import Estimate, estimate
from embedcache.store.reader import CacheReader
from heads.recipes.asked import digest_request, runs_by_request
from heads.recipes.commands import (
    bias_command,
    checkpoints,
    compare_command,
    extract_command,
    finetune_command,
    train_command,
)
from heads.recipes.outlook import Outlook, count_models, look
from heads.recipes.timing import Size, tell, time_head, time_tuning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from heads.recipes.steps import Steps, Training


def describe_plan(steps: Steps) -> str:
    """The steps in words; nothing is written.

    Raises:
        UsageError: The corpus or encoder does not have what a step needs.
        SerError: The corpus cannot be read.
    """
    outlooks = look(steps, generate=False)
    found = estimate(steps.extract, remember=False)
    recipe = steps.recipe
    parts = [f"recipe {recipe.name} ({recipe.file}): {recipe.summary}"]
    blocks = [*_encoding(steps, outlooks, found), *_training(steps, outlooks, found)]
    runs = sum(len(training.config.heads) for training in steps.train)
    blocks.append((compare_command(steps), f"{_counted(runs, 'run')} side by side"))
    for position, biasing in enumerate(steps.bias):
        whose = {"best": "the best run by UA", "all": "all runs"}
        told = whose.get(biasing.run, f"runs of {biasing.run}")
        blocks.append((bias_command(steps, position), f"{told}, of those without shared speakers"))
    for number, (command, told) in enumerate(blocks, start=1):
        parts.append(f"{number}. {command}\n   {told}")
    return "\n".join(parts)


def _encoding(
    steps: Steps, outlooks: Sequence[Outlook], found: Estimate
) -> Iterator[tuple[str, str]]:
    size = (
        f"{found.utterances} utterances, {found.hours:.2f} h of audio, "
        f"{found.frames_bytes / 1e6:.1f} MB of frames"
    )
    if not steps.finetune:
        todo = f"{found.to_encode} contents to encode, about {found.encode_s:.0f} s"
        yield extract_command(steps), f"{size}; {todo if found.to_encode else 'all there already'}"
    for position, section in enumerate(steps.recipe.finetune):
        outlook = next(
            outlook
            for training, outlook in zip(steps.train, outlooks, strict=True)
            if training.tuned == position
        )
        count = outlook.folds if steps.finetune[position].all_folds else 1
        made = _counted(count, "checkpoint")
        audio_s = 3600 * found.hours * outlook.heard / found.utterances
        limit = tell(time_tuning(steps.finetune[position], audio_s, count))
        yield finetune_command(steps, section), f"{made}; {limit}"
        # Untuned and tuned, an encoder gives frames of one size at one speed.
        told = f"{size} by each of {made}; about {count * found.encode_s:.0f} s"
        yield extract_command(steps, checkpoints(steps, position)), told


def _training(
    steps: Steps, outlooks: Sequence[Outlook], found: Estimate
) -> Iterator[tuple[str, str]]:
    for training, outlook in zip(steps.train, outlooks, strict=True):
        config = training.config
        there = _there(steps, training, found)
        told = []
        for head in config.heads:
            models = count_models(config, head, outlook.folds, len(found.layers))
            state = "there already"
            if head not in there:
                state = tell(
                    time_head(config, head, _size(steps, training, outlook, found), models)
                )
            told.append(f"{head}: {_counted(models, 'model')}, {state}")
        learned = "class" if config.target == "emotion" else "dimension"
        size = (
            f"{outlook.utterances} utterances, {_counted(outlook.classes, learned)}, "
            f"{_counted(outlook.folds, 'fold')}"
        )
        caches = [found.folder] if training.tuned is None else []
        yield train_command(steps, training, caches), "; ".join([size, *told])


def _size(steps: Steps, training: Training, outlook: Outlook, found: Estimate) -> Size:
    """What a training's heads are trained on, its views of clips included."""
    asked = list(training.config.views)
    views = {"all": steps.extract.views, "none": ()}.get(asked[0], asked)
    frames = round(3600 * found.hours * found.frame_hz / found.utterances)
    return Size(
        utterances=outlook.heard * (1 + len(views)),
        frames=max(1, frames),
        dim=found.dim,
        outputs=outlook.classes,
    )


def _there(steps: Steps, training: Training, found: Estimate) -> set[str]:
    """The heads whose runs would be reused: only once all frames are there that are asked for."""
    if training.tuned is not None or found.to_encode or not (found.folder / "meta.json").is_file():
        return set()
    reader = CacheReader(found.folder)
    there = runs_by_request(steps.places.results_dir)
    heads = training.config.heads
    return {head for head in heads if digest_request(training, head, reader) in there}


def _counted(count: int, what: str) -> str:
    """A number and what it counts, as in `2 classes`."""
    plural = "es" if what.endswith("s") else "s"
    return f"{count} {what}{plural if count != 1 else ''}"
