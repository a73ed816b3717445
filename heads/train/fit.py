"""Fit every candidate in every fold, with every seed, side by side in stacks.

Letters: N utterances, V views, K models.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch

from embedcache.errors import SerError, out_of_memory
from heads.data import FrameSet
from heads.models import HeadModule
from heads.stacked import Stack, Standardise
from heads.train.candidates import Candidate, stacks
from heads.train.config import RunConfig
from heads.train.inputs import Input, Inputs
from heads.train.member import Member
from heads.train.objective import Classify, Regress, make_objective
from heads.train.prepare import Prepared
from heads.train.stack import Task, Trained, train_stack

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Model:
    """A model to be trained.

    Attributes:
        fold: Its number.
        position: Of its candidate among all.
        seed: Of its weights and dropout.
        candidate: How it is trained.
    """

    fold: int
    position: int
    seed: int
    candidate: Candidate

    @property
    def name(self) -> str:
        """What a message calls it."""
        told = map("=".join, self.candidate.told.items())
        return ", ".join([f"fold {self.fold}, seed {self.seed}", *told])


@dataclass(frozen=True, slots=True)
class _Common:
    """What all models of a stack have in common.

    Attributes:
        module: The head.
        seen: What they see.
        seed: Of the order of batches.
        device: Of `torch`.
    """

    module: HeadModule
    seen: Input
    seed: int
    device: str


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
        SerError: The cache is damaged, or memory does not hold one model.
    """
    members: list[Member] = []
    load_s = 0.0
    groups = _by_input(module, candidates, inputs)
    for source, positions in product(data.sources, groups):
        started = time.perf_counter()
        seen = inputs.find(module, candidates[positions[0]], source)
        load_s += time.perf_counter() - started
        # All seeds of a fold and all of its candidates stand side by side.
        models = [
            _Model(fold, position, seed, candidates[position])
            for fold in source.folds
            for position in positions
            for seed in range(config.seed, config.seed + config.seeds)
        ]
        size = len(models) if getattr(module, "STACKS", True) else 1
        common = _Common(module, seen, config.seed, device)
        for start in range(0, len(models), size):
            part = models[start : start + size]
            told = "training" if len(part) == len(models) else f"model {start + 1}/{len(models)}"
            members += _fit_parts(common, part, _task(config, data, part), told)
        del seen, common  # before that of the next layer takes its place in memory
    return members, load_s


def _by_input(
    module: HeadModule, candidates: Sequence[Candidate], inputs: Inputs
) -> list[list[int]]:
    """Stacks, those that see the same one after another, so that it is made once."""
    groups: dict[tuple[object, ...], list[list[int]]] = {}
    for positions in stacks(candidates):
        key = inputs.key(module, candidates[positions[0]])
        groups.setdefault(key, []).append(positions)
    return [positions for group in groups.values() for positions in group]


def _fit_parts(common: _Common, models: Sequence[_Model], task: Task, told: str) -> list[Member]:
    """Fit a stack; where memory does not hold it, each half of it on the same batches."""
    try:
        return _fit_stack(common, models, task, told)
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if not out_of_memory(error):
            raise
        if len(models) == 1:
            raise SerError(
                "memory does not hold one model and a batch; give a smaller --set batch_size, or "
                "--device cpu"
            ) from error
    half = len(models) // 2
    _log.info("memory does not hold %d models at once: they are trained in two parts", len(models))
    parts = (range(half), range(half, len(models)))
    return [
        member
        for rows in parts
        for member in _fit_parts(common, [models[k] for k in rows], task.at(rows), told)
    ]


def _fit_stack(common: _Common, models: Sequence[_Model], task: Task, told: str) -> list[Member]:
    seen, device = common.seen, common.device
    configs = [model.candidate for model in models]
    stack = Stack(
        generators=[
            torch.Generator(device).manual_seed(model.seed * 1_000_003 + model.fold)
            for model in models
        ],
        dropout=[getattr(one.head, "dropout", 0.0) for one in configs],
    )
    folds = [model.fold for model in models]
    mean, deviation = (torch.from_numpy(x[folds]) for x in (seen.mean, seen.deviation))
    standardise = Standardise(mean, deviation, len(configs[0].layers)).to(device)
    outputs = task.objective.targets.shape[1]
    head = common.module.Head(configs[0].head, standardise.dim, outputs, standardise, stack)
    parameters = sum(p.numel() // len(models) for p in head.parameters())
    training = [one.training for one in configs]
    hiding = seen.hiding if training[0].mask_time else None
    trained = train_stack(head, seen.frames, task, training, common.seed, device, hiding, told)
    temperatures, scales = _temperatures(trained, task), _output_scales(task)
    return [
        Member(
            fold=model.fold,
            seed=model.seed,
            candidate=model.position,
            score=trained.val_score[k],
            state=_unscaled({n: t[k : k + 1] for n, t in trained.state.items()}, seen.frames),
            history=[epoch for epoch in trained.history if epoch.model == k],
            predictions=trained.predictions[k],
            temperature=temperatures[k],
            output_scale=scales[k],
            parameters=parameters,
            dim=seen.frames.dim,
        )
        for k, model in enumerate(models)
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


def _task(config: RunConfig, data: Prepared, models: Sequence[_Model]) -> Task:
    of_fold = [model.fold for model in models]
    train = data.training()
    objective = make_objective(config, data.targets, train, data.view_of, data.weights())
    return Task(
        objective=objective.at(of_fold),
        train=train[of_fold],
        val=data.role("val")[of_fold],
        test=data.role("test")[of_fold],
        names=[model.name for model in models],
        groups=data.groups.at(of_fold) if data.groups else None,
    )
