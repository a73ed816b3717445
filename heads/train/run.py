"""A run: one head on one cache under one protocol, all folds and seeds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from embedcache.errors import SerError, UsageError, unknown_name
from embedcache.request import resolve_device
from heads.data import FrameSet, load_frames, moments
from heads.losses import class_weights, find_loss
from heads.models import HeadModule, configure, load_head
from heads.results import NewRun
from heads.stacked import Standardise
from heads.train.prepare import Prepared, RunConfig, prepare
from heads.train.record import Finished, record
from heads.train.stack import Task, TrainConfig, train_stack


def train_runs(config: RunConfig) -> Iterator[NewRun]:
    """Train each head; a run is given out as soon as it is finished.

    Raises:
        UsageError: A head, cache, layer, protocol or setting does not exist.
        SerError: The cache is damaged, a fold lacks a class, or a loss diverged.
    """
    if not config.heads:
        raise UsageError("--head is empty; see `ser heads`")
    if config.seeds < 1:
        raise UsageError(f"--seeds {config.seeds}: give 1 or more")
    if not 0 <= config.seed < 2**32:
        raise UsageError(f"--seed {config.seed}: give a number from 0 to {2**32 - 1}")
    modules = {name: load_head(name) for name in dict.fromkeys(config.heads)}
    settings = _settings(config, modules)
    loss = config.loss
    if loss == "auto":
        loss = "kl" if config.labels.kind == "soft" else "cross-entropy"
    find_loss(loss)
    device = resolve_device(config.device)
    data = prepare(config)
    for name, module in modules.items():
        head_config, train_config = settings[name]
        yield _train(
            replace(config, loss=loss), data, name, module, head_config, train_config, device
        )


def _settings(
    config: RunConfig, modules: Mapping[str, HeadModule]
) -> dict[str, tuple[Any, TrainConfig]]:
    """Each head's own settings and the training's; a key need only fit one of the heads."""
    training = {f.name for f in fields(TrainConfig)}
    of_head = {name: {f.name for f in fields(m.Config)} for name, m in modules.items()}
    for key in config.settings:
        known = training.union(*of_head.values())
        if key not in known:
            raise unknown_name("key in --set", key, known)

    def chosen(keys: set[str]) -> dict[str, str]:
        return {key: text for key, text in config.settings.items() if key in keys}

    train_config = configure(TrainConfig, chosen(training))
    if train_config.select == "auto":
        select = "loss" if config.labels.kind == "soft" else "ua"
        train_config = replace(train_config, select=select)
    return {
        name: (configure(module.Config, chosen(of_head[name])), train_config)
        for name, module in modules.items()
    }


def _train(
    config: RunConfig,
    data: Prepared,
    name: str,
    module: HeadModule,
    head_config: Any,
    train_config: TrainConfig,
    device: str,
) -> NewRun:
    started = time.perf_counter()
    reduce = getattr(module, "reduce", None)
    everyone = [*data.utterances, *data.views]
    frames = load_frames(data.reader, everyone, config.layer, reduce)
    whole = None
    if reduce and train_config.mask_time:
        whole = load_frames(data.reader, everyone, config.layer, None)
    seeds = [config.seed + s for s in range(config.seeds)]
    # Model k = fold * seeds + seed: all seeds of a fold stand side by side.
    models = [(fold, seed) for fold in range(len(data.folds)) for seed in seeds]
    task = _task(config, data, models)
    head = _build(module, head_config, frames, task, models, device)
    loaded = time.perf_counter()
    trained = train_stack(head, frames, task, train_config, config.seed, device, whole)
    timing: dict[str, float | int | str] = {
        "load_s": round(loaded - started, 3),
        "train_s": round(time.perf_counter() - loaded, 3),
        "device": device,
        "threads": torch.get_num_threads(),
    }
    return record(
        Finished(
            config=config,
            data=data,
            head=name,
            head_config=head_config,
            train_config=train_config,
            models=models,
            parameters=sum(p.numel() // len(models) for p in head.parameters()),
            dim=frames.dim,
            trained=trained,
            timing=timing,
        )
    )


def _task(config: RunConfig, data: Prepared, models: Sequence[tuple[int, int]]) -> Task:
    of_fold = [fold for fold, _ in models]
    train, val = data.role("train"), data.role("val")
    targets = data.targets.distributions
    for fold, counts in enumerate(train.astype(float) @ targets):
        lacking = [x for x, n in zip(data.targets.labels, counts, strict=True) if n == 0]
        if lacking:
            raise SerError(
                f"fold {fold} has no training utterance of {', '.join(lacking)}; give fewer "
                "--folds, --drop the class, or another --seed"
            )
    # A view has its utterance's target, and trains wherever its utterance does.
    train = np.concatenate([train, train[:, data.view_of]], axis=1)
    targets = np.concatenate([targets, targets[data.view_of]])
    return Task(
        targets=targets,
        smoothing=config.labels.smoothing,
        train=train[of_fold],
        val=val[of_fold],
        weights=class_weights(config.class_weights, targets, train)[of_fold],
        loss=find_loss(config.loss),
        names=[f"fold {fold}, seed {seed}" for fold, seed in models],
    )


def _build(
    module: HeadModule,
    head_config: Any,
    frames: FrameSet,
    task: Task,
    models: Sequence[tuple[int, int]],
    device: str,
) -> torch.nn.Module:
    """The stack: each model with its own seed, standardised by its own training part."""
    mean, deviation = moments(frames, task.train)
    standardise = Standardise(torch.from_numpy(mean), torch.from_numpy(deviation)).to(device)
    generators = [
        torch.Generator(device).manual_seed(seed * 1_000_003 + fold) for fold, seed in models
    ]
    classes = task.targets.shape[1]
    return module.Head(head_config, frames.dim, classes, standardise, generators)
