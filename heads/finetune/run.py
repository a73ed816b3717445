"""`ser finetune`: audio and a pretrained encoder in, checkpoints out, one for each fold asked for.

read the corpus -> decode all of it once -> targets and folds -> for each fold: encoder and head,
epochs, a checkpoint
"""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from embedcache.audio.conditioning import check_conditioning
from embedcache.corpora import read_corpus
from embedcache.encoders import ColumnRoles, find_family, load_tunable
from embedcache.errors import SerError, UsageError, disk_errors, unknown_name
from embedcache.request import resolve_device
from embedcache.seen import (
    FoldOf,
    Seen,
    encoders_of,
    is_silent,
    seen_by_checkpoint,
    write_folds,
)
from embedcache.store.cache import hash_memory
from embedcache.store.contents import identify
from heads.finetune.checkpoint import (
    describe_experiment,
    folder_of,
    is_there,
    protocol_options,
    what_is_seen,
    write_checkpoint,
)
from heads.finetune.clips import Clips, listen
from heads.finetune.epochs import Training
from heads.finetune.network import build
from heads.finetune.settings import ALL, FinetuneConfig, Schedule, parse_settings
from heads.finetune.state import alone, load_state, save_state, state_file
from heads.losses import CLASS_WEIGHTS, find_loss
from heads.models import HeadModule, load_head
from heads.results import require_writable
from heads.splits import Fold
from heads.stacked import Stack
from heads.tensorboard import require_tensorboard, scalar_log
from heads.train.folds import require_examples
from heads.train.leakage import find_leak
from heads.train.objective import Regress, make_objective
from heads.train.prepare import Dataset, make_dataset
from heads.train.stack import Epoch

if TYPE_CHECKING:
    from collections.abc import Callable

    from embedcache.encoders import Tunable
    from embedcache.utterance import Utterance

_SHOWN_REASONS = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
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


def finetune(config: FinetuneConfig) -> Path:
    """Fine-tune, going on where an interrupted run of the same stopped; what is done is not redone.

    Returns:
        The checkpoint, or the folder of those of all folds: a valid `--encoder` either way.

    Raises:
        UsageError: Something was asked for that does not exist or cannot be.
        SerError: The corpus cannot be read, a fold lacks a class, the loss diverged, or the disk
            refused.
    """
    plan = _plan(config)
    chosen = _chosen(plan.config, plan.data)
    if not config.by_fold:
        _train(plan, chosen[0], plan.folder, None)
        return plan.folder
    count = len(plan.data.folds)
    write_folds(plan.folder, plan.folder.name, count)
    _tell_leaks(plan, chosen)
    for number, fold in chosen.items():
        place = FoldOf(
            name=plan.folder.name, fold=number, count=count, protocol=protocol_options(config)
        )
        _train(plan, fold, plan.folder / f"fold{number}", place)
    return plan.folder if config.all_folds else plan.folder / f"fold{config.fold}"


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
    config, schedule, _ = _checked(config, name, load_head(name))
    _tunable(config, schedule, _device(config))
    corpora = [config.task.corpus] * len(utterances)
    _chosen(config, make_dataset(config.task, utterances, [], corpora))


def _chosen(config: FinetuneConfig, data: Dataset) -> dict[int, Fold]:
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


def _tell_leaks(plan: _Plan, chosen: Mapping[int, Fold]) -> None:
    """Warn where the encoder that fine-tuning begins with has seen what a fold is to test."""
    data = plan.data
    for number, fold in chosen.items():
        leak = find_leak(plan.base, data.utterances, plan.contents, data.corpora, fold)
        if leak:
            _log.warning(
                "fold %d tests %s, which %s was trained on, and so will the new checkpoint be: it "
                "cannot be tested there; begin with an encoder that was not",
                number,
                leak.told,
                plan.config.encoder,
            )


def _plan(config: FinetuneConfig) -> _Plan:
    name = config.task.heads[0]
    module = load_head(name)
    config, schedule, head = _checked(config, name, module)
    task, device = config.task, _device(config)
    base = _base(config.encoder)
    device = resolve_device(task.device)
    if config.dtype == "float16" and device == "cpu":
        raise UsageError("--dtype float16 is for GPUs; give bfloat16 or float32 on a CPU")
    require_writable(config.checkpoint_dir)
    corpus = read_corpus(task.corpus, config.root, generate=True)[: config.limit or None]
    encoder = _tunable(config, schedule, device)
    if base.pretrained is None:
        base = replace(base, pretrained=bool(encoder.spec.trained))
    contents, unreadable = identify(corpus, hash_memory(task.cache_dir, task.corpus))
    readable = [one for one in corpus if one.key in contents]
    # What cannot be under this protocol is told before hours of audio are decoded.
    _chosen(config, make_dataset(task, readable, [], [task.corpus] * len(readable)))
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
    return _Plan(
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


def _device(config: FinetuneConfig) -> str:
    """The device, which has units for the precision that is asked for."""
    device = resolve_device(config.task.device)
    if config.dtype == "float16" and device == "cpu":
        raise UsageError("--dtype float16 is for GPUs; give bfloat16 or float32 on a CPU")
    return device


def _tunable(config: FinetuneConfig, schedule: Schedule, device: str) -> Tunable:
    """The encoder, with what of it is trained; it can hear clips of the schedule's length."""
    encoder = load_tunable(config.encoder, device, config.dtype)
    blocks = encoder.depth if config.unfreeze == ALL else int(config.unfreeze)
    encoder.unfreeze(blocks, config.unfreeze_cnn, masking=schedule.mask_time > 0)
    if config.gradient_checkpointing:
        encoder.checkpoint_gradients()
    check_conditioning(config.conditioning, encoder.spec.rate_hz)
    if not encoder.spec.frame_count(round(schedule.max_seconds * encoder.spec.rate_hz)):
        raise UsageError(f"--set max_seconds={schedule.max_seconds:g}: that is less than a frame")
    return encoder


def _checked(
    config: FinetuneConfig, name: str, module: HeadModule
) -> tuple[FinetuneConfig, Schedule, Any]:
    """The request with nothing left to `auto`, its schedule, and the head's configuration.

    Raises:
        UsageError: Something of it cannot be, which is told before any audio is read.
    """
    task = config.task
    if config.tensorboard:
        require_tensorboard()
    if hasattr(module, "fit"):
        raise UsageError(
            f"--head {name} is not trained by gradients; give another, see `ser heads`"
        )
    schedule, head = parse_settings(task.settings, name, module)
    _require_gradients(name, module, head)
    if not 0 <= task.seed < 2**32:
        raise UsageError(f"--seed {task.seed}: give a number from 0 to {2**32 - 1}")
    if task.class_weights not in CLASS_WEIGHTS:
        raise unknown_name("--class-weights", task.class_weights, CLASS_WEIGHTS)
    find_family(config.encoder)
    if encoders_of(config.encoder) != [config.encoder]:
        raise UsageError(
            f"--encoder {config.encoder} holds one checkpoint for each fold; name one of them, "
            f"such as {encoders_of(config.encoder)[0]}"
        )
    return *_resolved(config, schedule), head


def _require_gradients(name: str, module: HeadModule, head: Any) -> None:
    """See that a head can be trained with an encoder.

    Raises:
        UsageError: It cannot, or its dropout is no share.
    """
    Stack([torch.Generator()], [getattr(head, "dropout", 0.0)])
    reducer = getattr(module, "reducer", None)
    if reducer and reducer(head, ColumnRoles()) is not None:
        raise UsageError(
            f"--head {name} with these settings sees statistics that no gradient passes, and the "
            "encoder would learn nothing; give --set pooling=mean, or another head"
        )


def _resolved(config: FinetuneConfig, schedule: Schedule) -> tuple[FinetuneConfig, Schedule]:
    """The same with nothing left to `auto`.

    Raises:
        UsageError: The loss or what chooses the epoch is not one that the target has.
    """
    task = config.task
    soft = task.labels.kind == "soft"
    if task.target == "emotion":
        if task.loss == "auto":
            task = replace(task, loss="kl" if soft else "cross-entropy")
        find_loss(task.loss)
    usual = "ccc" if task.target == "dimensions" else ("loss" if soft else "ua")
    if schedule.select == "auto":
        schedule = replace(schedule, select=usual)
    known = ("ccc", "loss") if task.target == "dimensions" else ("ua", "loss")
    if schedule.select not in known:
        raise UsageError(f"--set select={schedule.select}: give {' or '.join(known)}")
    return replace(config, task=task), schedule


def _tell_left_out(faults: dict[str, str]) -> None:
    for reason, count in Counter(faults.values()).most_common(_SHOWN_REASONS):
        name = next(name for name, why in faults.items() if why == reason)
        more = f" and {count - 1} more" if count > 1 else ""
        _log.warning("left out: %s%s: %s", name, more, reason)


def _train(plan: _Plan, fold: Fold, folder: Path, place: FoldOf | None) -> None:
    """Train one fold's network and write its checkpoint, unless that is there."""
    config, told = plan.config, f"fold {place.fold}" if place else "all folds"
    devices = [] if plan.device == "cpu" else [torch.device(plan.device)]
    file = state_file(folder)
    with alone(folder), torch.random.fork_rng(devices):
        if is_there(folder):
            file.unlink(missing_ok=True)
            _log.info("%s is there already", folder)
            return
        training = _training(plan, fold)
        name = f"{plan.folder.name} {folder.name}"
        if load_state(file, training, name):
            at = training.progress
            _log.info("%s goes on in epoch %d, after step %d", folder, at.epoch, at.step)
        _tell_size(training, told)
        with _curves(config, plan.folder.name, folder) as tell:
            training.run(lambda: save_state(file, training, name), tell)
        seen = what_is_seen(plan.base, config, plan.data, plan.contents, fold, place, str(folder))
        about = {"encoder": config.encoder, "device": plan.device, **_output_scale(training)}
        write_checkpoint(folder, training, plan.experiment, seen, about)
        file.unlink(missing_ok=True)
    done = training.progress
    best, score = done.best_of_history, training.objective.score
    _log.info(
        "%s: the best of %d epochs is %d, with a validation loss of %.4f and %s of %.4f; %s",
        told, len(done.history), best.epoch, best.val_loss, score, best.val_score, folder,
    )  # fmt: skip


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


def _output_scale(training: Training) -> dict[str, Any]:
    """What the head's outputs become values on the annotators' scale by; nothing for classes."""
    objective = training.objective
    if not isinstance(objective, Regress):
        return {}
    factor, offset = objective.deviation[0].tolist(), objective.mean[0].tolist()
    return {"output_scale": {"factor": factor, "offset": offset}}


def _training(plan: _Plan, fold: Fold) -> Training:
    gc.collect()  # models before this one, whose hooks refer to them in a circle
    config, task, data = plan.config, plan.config.task, plan.data
    encoder = _tunable(config, plan.schedule, plan.device)
    train = np.zeros((1, len(data.utterances)), bool)
    train[0, fold.train] = True
    objective = make_objective(task, data.targets, train, np.zeros(0, np.int64))
    outputs = data.targets.values.shape[1]
    network = build(
        encoder,
        plan.module,
        plan.head,
        outputs,
        plan.clips.at(fold.train.tolist()),
        plan.schedule,
        task.seed,
        plan.device,
    )
    return Training(network, plan.clips, objective, fold, plan.schedule, task.seed, plan.device)


def _tell_size(training: Training, told: str) -> None:
    encoder = sum(p.numel() for p in training.network.encoder.trained().values())
    head = sum(p.numel() for p in training.network.head.parameters())
    _log.info("%s: %s weights of the encoder are trained, and %s of the head", told,
              f"{encoder:,}", f"{head:,}")  # fmt: skip


@contextmanager
def _curves(config: FinetuneConfig, name: str, folder: Path) -> Iterator[Callable[[Epoch], None]]:
    """What is called with each epoch: it tells the log, and TensorBoard where that is asked for."""

    def told(epoch: Epoch) -> None:
        _log.info("%s epoch %d: loss %.4f, validation loss %.4f, score %.4f", folder.name,
                  epoch.epoch, epoch.train_loss, epoch.val_loss, epoch.val_score)  # fmt: skip

    if not config.tensorboard:
        yield told
        return
    place = config.checkpoint_dir / "tensorboard" / name
    if folder.name != name:
        place /= folder.name
    with disk_errors(place), scalar_log(place) as add:

        def both(epoch: Epoch) -> None:
            told(epoch)
            values = {k: getattr(epoch, k) for k in ("train_loss", "val_loss", "val_score")}
            add(epoch.epoch, values)

        yield both
