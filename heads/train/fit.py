"""Fit every candidate in every fold, with every seed, side by side in stacks.

Letters: N utterances, V views, K models.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch

from heads.data import FrameSet
from heads.losses import class_weights, find_loss
from heads.models import HeadModule
from heads.stacked import Stack, Standardise
from heads.train.candidates import Candidate, stacks
from heads.train.inputs import Input, Inputs
from heads.train.member import Member
from heads.train.objective import Classify, Objective, Regress
from heads.train.prepare import Prepared, RunConfig
from heads.train.stack import Task, Trained, train_stack

Model = tuple[int, int, int]
"""A model's fold, candidate and seed."""


def fit(
    config: RunConfig,
    data: Prepared,
    module: HeadModule,
    candidates: Sequence[Candidate],
    inputs: Inputs,
    device: str,
) -> tuple[list[Member], float]:
    """Fit all candidates.

    Returns:
        Their models, and the seconds that went into reading frames.

    Raises:
        SerError: The cache is damaged.
    """
    members: list[Member] = []
    load_s = 0.0
    for positions in stacks(candidates):
        started = time.perf_counter()
        seen = inputs.find(module, candidates[positions[0]])
        load_s += time.perf_counter() - started
        # All seeds of a fold and all of its candidates stand side by side.
        models = [
            (fold, position, seed)
            for fold in range(len(data.folds))
            for position in positions
            for seed in range(config.seed, config.seed + config.seeds)
        ]
        size = len(models) if getattr(module, "STACKS", True) else 1
        for start in range(0, len(models), size):
            part = models[start : start + size]
            task = _task(config, data, part, candidates)
            members += _fit_stack(config, module, candidates, part, task, seen, device)
        del seen  # before that of the next layer takes its place in memory
    return members, load_s


def _fit_stack(
    config: RunConfig,
    module: HeadModule,
    candidates: Sequence[Candidate],
    models: Sequence[Model],
    task: Task,
    seen: Input,
    device: str,
) -> list[Member]:
    configs = [candidates[position] for _, position, _ in models]
    stack = Stack(
        generators=[
            torch.Generator(device).manual_seed(seed * 1_000_003 + fold) for fold, _, seed in models
        ],
        dropout=[getattr(one.head, "dropout", 0.0) for one in configs],
    )
    folds = [fold for fold, _, _ in models]
    mean, deviation = (torch.from_numpy(x[folds]) for x in (seen.mean, seen.deviation))
    standardise = Standardise(mean, deviation, len(configs[0].layers)).to(device)
    outputs = task.objective.targets.shape[1]
    head = module.Head(configs[0].head, standardise.dim, outputs, standardise, stack)
    parameters = sum(p.numel() // len(models) for p in head.parameters())
    training = [one.training for one in configs]
    trained = train_stack(head, seen.frames, task, training, config.seed, device, seen.hiding)
    temperatures, scales = _temperatures(trained, task), _output_scales(task)
    return [
        Member(
            fold=fold,
            seed=seed,
            candidate=position,
            score=trained.val_score[k],
            state=_unscaled({n: t[k : k + 1] for n, t in trained.state.items()}, seen.frames),
            history=[epoch for epoch in trained.history if epoch.model == k],
            predictions=trained.predictions[k],
            temperature=temperatures[k],
            output_scale=scales[k],
            parameters=parameters,
            dim=seen.frames.dim,
        )
        for k, (fold, position, seed) in enumerate(models)
    ]


def _temperatures(trained: Trained, task: Task) -> list[float]:
    if not isinstance(task.objective, Classify):
        return [1.0] * len(task.names)
    return [float(t) for t in task.objective.temperatures(trained.predictions, task.val)]


def _output_scales(task: Task) -> list[tuple[list[float], list[float]] | None]:
    if not isinstance(task.objective, Regress):
        return [None] * len(task.names)
    both = task.objective.deviation.tolist(), task.objective.mean.tolist()
    return list(zip(*both, strict=True))


def _unscaled(state: dict[str, torch.Tensor], frames: FrameSet) -> dict[str, torch.Tensor]:
    """A model for frames as the cache has them, where training had scaled all of them alike."""
    if frames.scale is None or len(frames.scale.shift) > 1:
        return state
    shift, divisor = (torch.from_numpy(x) for x in (frames.scale.shift, frames.scale.divisor))
    mean, deviation = state["standardise.mean"], state["standardise.deviation"]
    moved = {
        "standardise.mean": mean * divisor + shift,
        "standardise.deviation": deviation * divisor,
    }
    return state | moved


def _task(
    config: RunConfig, data: Prepared, models: Sequence[Model], candidates: Sequence[Candidate]
) -> Task:
    of_fold = [fold for fold, _, _ in models]
    return Task(
        objective=_objective(config, data).at(of_fold),
        train=data.training()[of_fold],
        val=data.role("val")[of_fold],
        test=data.role("test")[of_fold],
        names=[
            ", ".join([f"fold {fold}, seed {seed}", *map("=".join, candidates[c].told.items())])
            for fold, c, seed in models
        ],
    )


def _objective(config: RunConfig, data: Prepared) -> Objective:
    """What one model of each fold learns. A view has its utterance's target."""
    values, train = data.targets.values, data.training()
    targets = np.concatenate([values, values[data.view_of]])
    if config.target == "dimensions":
        own = [values[rows] for rows in data.role("train")]
        return Regress(
            targets=targets,
            names=data.targets.names,
            mean=np.array([np.nanmean(x, axis=0) for x in own]),
            deviation=np.array([np.nanstd(x, axis=0) for x in own]),
        )
    return Classify(
        targets=targets,
        weights=class_weights(config.class_weights, targets, train),
        loss=find_loss(config.loss),
        smoothing=config.labels.smoothing,
    )
