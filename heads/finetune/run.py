"""`ser finetune`: audio and a pretrained encoder in, checkpoints out, one for each fold asked for.

read the corpus -> decode all of it once -> targets and folds -> for each fold: encoder and head,
epochs, a checkpoint
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from embedcache.errors import disk_errors
from embedcache.seen import FoldOf, write_folds
from heads.finetune.checkpoint import (
    is_there,
    protocol_options,
    what_is_seen,
    write_checkpoint,
)
from heads.finetune.epochs import Training
from heads.finetune.network import build
from heads.finetune.plan import Plan, choose_folds, make_plan
from heads.finetune.request import load_encoder
from heads.finetune.settings import FinetuneConfig
from heads.finetune.state import alone, load_state, save_state, state_file
from heads.splits import Fold
from heads.tensorboard import scalar_log
from heads.train.leakage import find_leak
from heads.train.objective import Regress, make_objective
from heads.train.stack import Epoch

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


def finetune(config: FinetuneConfig) -> Path:
    """Fine-tune, going on where an interrupted run of the same stopped; what is done is not redone.

    Returns:
        The checkpoint, or the folder of those of all folds: a valid `--encoder` either way.

    Raises:
        UsageError: Something was asked for that does not exist or cannot be.
        SerError: The corpus cannot be read, a fold lacks a class, the loss diverged, or the disk
            refused.
    """
    plan = make_plan(config)
    chosen = choose_folds(plan.config, plan.data)
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


def _tell_leaks(plan: Plan, chosen: Mapping[int, Fold]) -> None:
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


def _train(plan: Plan, fold: Fold, folder: Path, place: FoldOf | None) -> None:
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


def _output_scale(training: Training) -> dict[str, Any]:
    """What the head's outputs become values on the annotators' scale by; nothing for classes."""
    objective = training.objective
    if not isinstance(objective, Regress):
        return {}
    factor, offset = objective.deviation[0].tolist(), objective.mean[0].tolist()
    return {"output_scale": {"factor": factor, "offset": offset}}


def _training(plan: Plan, fold: Fold) -> Training:
    gc.collect()  # models before this one, whose hooks refer to them in a circle
    config, task, data = plan.config, plan.config.task, plan.data
    encoder = load_encoder(config, plan.schedule, plan.device)
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
