"""A fine-tuning's plan: clips that were heard, their targets and folds, and where it will lie."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedcache.corpora import read_corpus
from embedcache.errors import SerError, UsageError
from embedcache.seen import Seen, is_silent, seen_by_checkpoint
from embedcache.store.cache import hash_memory
from embedcache.store.contents import identify
from heads.finetune.checkpoint import describe_experiment, folder_of
from heads.finetune.clips import Clips, listen
from heads.finetune.request import find_device, load_encoder, resolve
from heads.finetune.settings import FinetuneConfig, Schedule
from heads.models import HeadModule, load_head
from heads.results import require_writable
from heads.splits import Fold
from heads.train.folds import require_examples
from heads.train.prepare import Dataset, make_dataset

if TYPE_CHECKING:
    from embedcache.utterance import Utterance

_SHOWN_REASONS = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that the folds' trainings share.

    Attributes:
        config: What is asked for, with nothing left to `auto`.
        schedule: How it goes, likewise.
        base: What the encoder has seen before.
        module: The head.
        head: Its configuration.
        device: Of `torch`.
        clips: [N].
        contents: [N], content ids.
        data: Targets and folds of the clips.
        experiment: All that weights depend on, but for the fold.
        folder: Of the checkpoint, or of those of all folds.
    """

    config: FinetuneConfig
    schedule: Schedule
    base: Seen
    module: HeadModule
    head: Any
    device: str
    clips: Clips
    contents: Sequence[str]
    data: Dataset
    experiment: dict[str, Any]
    folder: Path


def make_plan(config: FinetuneConfig) -> Plan:
    """Read the corpus, hear all of it once, and make targets and folds.

    Raises:
        UsageError: Something was asked for that does not exist or cannot be.
        SerError: The corpus cannot be read, or a fold lacks a class.
    """
    name = config.task.heads[0]
    module = load_head(name)
    config, schedule, head = resolve(config, name, module)
    task, device = config.task, find_device(config)
    base = _base(config.encoder)
    require_writable(config.checkpoint_dir)
    corpus = read_corpus(task.corpus, config.root, generate=True)[: config.limit or None]
    encoder = load_encoder(config, schedule, device)
    if base.pretrained is None:
        base = replace(base, pretrained=bool(encoder.spec.trained))
    contents, unreadable = identify(corpus, hash_memory(task.cache_dir, task.corpus))
    readable = [one for one in corpus if one.key in contents]
    # What cannot be under this protocol is told before hours of audio are decoded.
    choose_folds(config, make_dataset(task, readable, [], [task.corpus] * len(readable)))
    clips, positions, faults = listen(readable, encoder.ear, config.conditioning)
    _tell_left_out({**{name: why for (name, _), why in unreadable.items()}, **faults})
    if not positions:
        raise SerError(f"no clip of {task.corpus} in {config.root} can be used")
    there = [readable[i] for i in positions]
    heard = {one.id for one in there}
    missing = [one for one in corpus if one.id not in heard]
    data = make_dataset(task, there, missing, [task.corpus] * len(there))
    place = {one.id: i for i, one in enumerate(there)}
    clips = clips.at([place[one.id] for one in data.utterances])
    ids = [contents[one.key].id for one in data.utterances]
    experiment = describe_experiment(config, schedule, head, encoder.spec, base, data, ids)
    return Plan(
        config=config,
        schedule=schedule,
        base=base,
        module=module,
        head=head,
        device=device,
        clips=clips,
        contents=ids,
        data=data,
        experiment=experiment,
        folder=folder_of(config, experiment),
    )


def check(config: FinetuneConfig, utterances: Sequence[Utterance]) -> None:
    """Refuse what `finetune` would refuse before it hears audio.

    Args:
        config: As `finetune` takes it.
        utterances: Of the corpus.

    Raises:
        UsageError: Something was asked for that does not exist or cannot be.
        SerError: A fold lacks a class, or the encoder's files are damaged.
    """
    name = config.task.heads[0]
    config, schedule, _ = resolve(config, name, load_head(name))
    load_encoder(config, schedule, find_device(config))
    corpora = [config.task.corpus] * len(utterances)
    choose_folds(config, make_dataset(config.task, utterances, [], corpora))


def choose_folds(config: FinetuneConfig, data: Dataset) -> dict[int, Fold]:
    """The folds that are to be trained, by their numbers.

    Without folds all speakers train but those that choose the epoch, and nobody is left to test.

    Raises:
        UsageError: There is no such fold.
        SerError: A fold lacks a class.
    """
    if not config.by_fold:
        first = data.folds[0]
        train = np.sort(np.concatenate([first.train, first.test]))
        chosen = {0: Fold(train=train, val=first.val, test=first.test[:0])}
    elif config.fold is None:
        chosen = dict(enumerate(data.folds))
    elif config.fold < len(data.folds):
        chosen = {config.fold: data.folds[config.fold]}
    else:
        last = len(data.folds) - 1
        raise UsageError(f"--fold {config.fold}: there are {last + 1}; give 0 to {last}")
    require_examples(data.targets, list(chosen.values()), next(iter(chosen)))
    return chosen


def _base(encoder_id: str) -> Seen:
    """What an encoder has seen, as far as it is known; a warning where its folder does not tell."""
    seen = seen_by_checkpoint(encoder_id)
    if seen is None and is_silent(encoder_id):
        _log.warning(
            "%s does not tell what it was trained on, so the new checkpoint cannot tell all",
            encoder_id,
        )
        return Seen(complete=False)
    return seen or Seen()


def _tell_left_out(faults: dict[str, str]) -> None:
    for reason, count in Counter(faults.values()).most_common(_SHOWN_REASONS):
        name = next(name for name, why in faults.items() if why == reason)
        more = f" and {count - 1} more" if count > 1 else ""
        _log.warning("left out: %s%s: %s", name, more, reason)
