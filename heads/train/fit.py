"""Fit every candidate in every fold, with every seed.

Letters: N utterances, V views, K models, C classes, D dimension.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from embedcache.errors import SerError, UsageError
from heads.data import FrameSet, load_frames, moments, reduced, speaker_scale
from heads.losses import class_weights, find_loss
from heads.models import Examples, HeadModule, Reduction
from heads.stacked import Stack, Standardise
from heads.temperature import fit_temperature
from heads.train.candidates import Candidate, stacks
from heads.train.memory import placed
from heads.train.prepare import Prepared, RunConfig
from heads.train.stack import Epoch, Hiding, Task, train_stack

_LEAST = 1e-12  # of a probability whose logarithm is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model: a candidate in a fold, with a seed.

    Attributes:
        fold: Its number.
        seed: Of its weights and dropout.
        candidate: Position among the candidates.
        score: What its best epoch was chosen by on validation, the larger the better; -inf where it
            diverged before its first.
        state: Its weights, as a stack of one.
        history: Its epochs.
        probabilities: [N, C] for what validates and tests it, NaN for all others.
        temperature: That its logits would be divided by to be calibrated on its validation part; 1
            where that part has trained it.
        parameters: Number of its weights.
        dim: Values of a frame that it sees.
    """

    fold: int
    seed: int
    candidate: int
    score: npt.NDArray[np.float64]
    state: dict[str, torch.Tensor]
    history: list[Epoch]
    probabilities: npt.NDArray[np.float64]
    temperature: float
    parameters: int
    dim: int


def fit(
    config: RunConfig,
    data: Prepared,
    module: HeadModule,
    candidates: Sequence[Candidate],
    device: str,
) -> tuple[list[Member], float]:
    """Fit all candidates.

    Returns:
        Their models, and the seconds that went into reading frames.

    Raises:
        SerError: A fold has no training utterance of a class, or the cache is damaged.
    """
    if hasattr(module, "fit"):
        return _fit_directly(config, data, module, candidates)
    members: list[Member] = []
    load_s = 0.0
    for positions in stacks(candidates):
        group = [candidates[position] for position in positions]
        started = time.perf_counter()
        frames, hiding = _frames(config, data, module, group[0], device)
        load_s += time.perf_counter() - started
        # All seeds of a fold and all of its candidates stand side by side.
        models = [
            (fold, position, seed)
            for fold in range(len(data.folds))
            for position in positions
            for seed in range(config.seed, config.seed + config.seeds)
        ]
        task = _task(config, data, models, candidates)
        mean, deviation = (torch.from_numpy(x) for x in moments(frames, task.train))
        size = len(models) if getattr(module, "STACKS", True) else 1
        for part in (slice(k, k + size) for k in range(0, len(models), size)):
            layers = len(group[0].layers)
            standardise = Standardise(mean[part], deviation[part], layers).to(device)
            rows = range(len(models))[part]
            members += _fit_stack(
                config,
                module,
                candidates,
                models[part],
                task.at(rows),
                frames,
                hiding,
                standardise,
                device,
            )
        del frames, hiding  # before those of the next layer take their place
    return members, load_s


def _frames(
    config: RunConfig, data: Prepared, module: HeadModule, candidate: Candidate, device: str
) -> tuple[FrameSet, Hiding | None]:
    """What a head sees of each utterance and view; and what hides frames, if it must do so."""
    everyone = [*data.utterances, *data.views]
    whole = load_frames(data.reader, everyone, candidate.layers)
    reduce = _reduction(data, module, candidate)
    frames = reduced(whole, reduce) if reduce else whole
    frames = _by_speaker(config, data, frames)
    precision = "float32" if reduce else candidate.training.precision
    frames = placed(frames, precision, device, deep=getattr(module, "DEEP", False))
    return frames, Hiding(whole, reduce) if reduce and candidate.training.mask_time else None


def _reduction(data: Prepared, module: HeadModule, candidate: Candidate) -> Reduction | None:
    reducer = getattr(module, "reducer", None)
    return reducer(candidate.head, data.reader.meta.roles) if reducer else None


def _by_speaker(config: RunConfig, data: Prepared, frames: FrameSet) -> FrameSet:
    """Frames, or what is made of them, standardised by each speaker's own where that is asked for.

    Raises:
        UsageError: A speaker is not known.
    """
    if config.standardise != "speaker":
        return frames
    everyone = [*data.utterances, *data.views]
    unknown = sum(one.speaker is None for one in everyone)
    if unknown:
        raise UsageError(
            f"--standardise speaker: {unknown} of {len(everyone)} utterances name no speaker; "
            "leave the option out"
        )
    speakers = [one.speaker for one in everyone]
    return replace(frames, scale=speaker_scale(frames, speakers, len(data.utterances)))


def _fit_directly(
    config: RunConfig, data: Prepared, module: HeadModule, candidates: Sequence[Candidate]
) -> tuple[list[Member], float]:
    """Models of a head without epochs: one for each fold and candidate."""
    members: list[Member] = []
    load_s = 0.0
    labels = data.targets.labels
    for position, candidate in enumerate(candidates):
        if len(candidate.layers) > 1:
            raise UsageError("--layer weighted is learned by gradients; give a layer, or best")
        started = time.perf_counter()
        whole = load_frames(data.reader, data.utterances, candidate.layers)
        reduce = _reduction(data, module, candidate)
        frames = reduced(whole, reduce) if reduce else whole
        frames = _by_speaker(config, replace(data, views=[]), frames)
        vectors = np.concatenate([frames.read(i) for i in range(len(frames.lengths))])
        load_s += time.perf_counter() - started
        for number, fold in enumerate(data.folds):
            _require_classes(data.targets.distributions[fold.train], labels, number)
            examples = Examples(
                vectors=vectors,
                targets=data.targets.distributions,
                speakers=[one.speaker for one in data.utterances],
                train=fold.train,
                val=fold.val,
                labels=labels,
            )
            found = module.fit(candidate.head, examples)
            members.append(
                Member(
                    fold=number,
                    seed=config.seed,
                    candidate=position,
                    score=np.array([found.score, 0.0]),
                    state={name: tensor[None] for name, tensor in found.state.items()},
                    history=[],
                    probabilities=found.probabilities,
                    temperature=1.0,
                    parameters=sum(tensor.numel() for tensor in found.state.values()),
                    dim=vectors.shape[1],
                )
            )
    return members, load_s


def _fit_stack(
    config: RunConfig,
    module: HeadModule,
    candidates: Sequence[Candidate],
    models: Sequence[tuple[int, int, int]],
    task: Task,
    frames: FrameSet,
    hiding: Hiding | None,
    standardise: Standardise,
    device: str,
) -> list[Member]:
    configs = [candidates[position] for _, position, _ in models]
    stack = Stack(
        generators=[
            torch.Generator(device).manual_seed(seed * 1_000_003 + fold) for fold, _, seed in models
        ],
        dropout=[getattr(one.head, "dropout", 0.0) for one in configs],
    )
    classes = task.targets.shape[1]
    head = module.Head(configs[0].head, standardise.dim, classes, standardise, stack)
    parameters = sum(p.numel() // len(models) for p in head.parameters())
    training = [one.training for one in configs]
    trained = train_stack(head, frames, task, training, config.seed, device, hiding)
    return [
        Member(
            fold=fold,
            seed=seed,
            candidate=position,
            score=trained.val_score[k],
            state=_unscaled({n: t[k : k + 1] for n, t in trained.state.items()}, frames),
            history=[epoch for epoch in trained.history if epoch.model == k],
            probabilities=trained.probabilities[k],
            temperature=_temperature(trained.probabilities[k], task, k),
            parameters=parameters,
            dim=frames.dim,
        )
        for k, (fold, position, seed) in enumerate(models)
    ]


def _temperature(probabilities: npt.NDArray[np.float64], task: Task, k: int) -> float:
    own = probabilities[task.val[k]]
    if np.isnan(own).any():  # it diverged
        return 1.0
    return fit_temperature(
        np.log(np.maximum(own, _LEAST)), task.targets[: len(task.val[k])][task.val[k]]
    )


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
    config: RunConfig,
    data: Prepared,
    models: Sequence[tuple[int, int, int]],
    candidates: Sequence[Candidate],
) -> Task:
    of_fold = [fold for fold, _, _ in models]
    train, val, test = (data.role(name) for name in ("train", "val", "test"))
    targets = data.targets.distributions
    for fold, rows in enumerate(train):
        _require_classes(targets[rows], data.targets.labels, fold)
    # A view has its utterance's target, and trains wherever its utterance does.
    train = np.concatenate([train, train[:, data.view_of]], axis=1)
    targets = np.concatenate([targets, targets[data.view_of]])
    return Task(
        targets=targets,
        smoothing=config.labels.smoothing,
        train=train[of_fold],
        val=val[of_fold],
        test=test[of_fold],
        weights=class_weights(config.class_weights, targets, train)[of_fold],
        loss=find_loss(config.loss),
        names=[
            ", ".join([f"fold {fold}, seed {seed}", *map("=".join, candidates[c].told.items())])
            for fold, c, seed in models
        ],
    )


def _require_classes(targets: npt.NDArray[np.float64], labels: Sequence[str], fold: int) -> None:
    """See that each class has a training utterance.

    Raises:
        SerError: One has none.
    """
    lacking = [x for x, n in zip(labels, targets.sum(axis=0), strict=True) if n == 0]
    if lacking:
        raise SerError(
            f"fold {fold} has no training utterance of {', '.join(lacking)}; give fewer "
            "--folds, --drop the class, or another --seed"
        )
