"""Train K stacked models at once, each on its own utterances, each stopped at its own best epoch.

All models see the same batches; a model's loss counts only the utterances that train it. Parameters
have a leading axis K and the optimiser works element by element, so models do not touch each other.
A model that has stopped leaves the stack.

Letters: K models, N utterances, V views, O outputs (classes or emotional dimensions).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from heads.data import FrameSet, frame_set, reading_batches, training_batches
from heads.masking import draw_spans, masked
from heads.stacked import Standardise, keep_models, run_some
from heads.train.adamw import StackedAdamW
from heads.train.best import Best
from heads.train.worst_group import Groups, worst_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from heads.train.objective import Objective
    from heads.train.settings import TrainConfig

Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One model after one epoch.

    Attributes:
        epoch: From 1.
        model: Position in the stack.
        train_loss: Mean over its training utterances, or over batches of them, while training.
        val_loss: Mean over its validation utterances, after the epoch.
        val_score: On its validation utterances, after the epoch: what `Objective.score` names.
        worst_loss: The highest of a group of these, where models are chosen by their worst group.
        worst_score: The lowest.
    """

    epoch: int
    model: int
    train_loss: float
    val_loss: float
    val_score: float
    worst_loss: float | None = None
    worst_score: float | None = None

    def told(self) -> dict[str, float]:
        """What there is of it, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the K models learn, from which utterances.

    After the N utterances stand V augmented views of them, which only train.

    Attributes:
        objective: Their targets, and what they are trained on and chosen by.
        train: [K, N + V], which utterances and views train which model.
        val: [K, N], on which utterances it is validated.
        test: [K, N], for which others its predictions are wanted in the end.
        names: [K], what a message calls each model.
        groups: By the worst of which models are chosen; None for all of their utterances alike.
        batched: [N + V], which utterances and views make the batches that all models see; None for
            those that train any of them.
    """

    objective: Objective
    train: Bools
    val: Bools
    test: Bools
    names: Sequence[str]
    groups: Groups | None = None
    batched: Bools | None = None

    def at(self, rows: Sequence[int]) -> Task:
        """The task of some of the models, which see the batches of all."""
        index = list(rows)
        return replace(
            self,
            objective=self.objective.at(index),
            train=self.train[index],
            val=self.val[index],
            test=self.test[index],
            names=[self.names[k] for k in index],
            groups=self.groups.at(index) if self.groups else None,
            batched=self.in_batches(),
        )

    def in_batches(self) -> Bools:
        """[N + V], which utterances and views make the batches."""
        if self.batched is not None:
            return self.batched
        trains: Bools = np.asarray(self.train.any(axis=0))
        return trains


@dataclass(frozen=True, slots=True)
class Hiding:
    """What training hides frames of, where the head sees them reduced.

    Attributes:
        frames: As they were before.
        reduce: [T, D] to [T', D'].
    """

    frames: FrameSet
    reduce: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """K trained models.

    Attributes:
        state: The head's state at each model's best epoch, every tensor with leading axis K.
        history: Every epoch of every model until it stopped.
        predictions: [K, N, O], of each model for what validates and tests it; NaN for all others,
            and for a model that never gave a number.
        val_score: [K, 2], what its best epoch was chosen by, the larger the better.
    """

    state: dict[str, Tensor]
    history: list[Epoch]
    predictions: Doubles
    val_score: Doubles


def train_stack(
    head: nn.Module,
    frames: FrameSet,
    task: Task,
    configs: Sequence[TrainConfig],
    seed: int,
    device: str,
    hiding: Hiding | None = None,
    told: str = "training",
) -> Trained:
    """Train a stack of models.

    Args:
        head: K models; see `heads.models`. It is used up.
        frames: Of the N utterances and V views.
        task: What they learn, and from which utterances.
        configs: [K], optimisation; they may differ in `lr`, `weight_decay`, `clip` and `patience`.
            `select` may not be `auto`.
        seed: Of the order of batches.
        device: Of `torch`.
        hiding: Frames to hide some of, where the head sees them reduced.
        told: What the progress bar says.
    """
    head.to(device)
    common = configs[0]
    optimiser = StackedAdamW(head, configs)
    # What is hidden is drawn apart, so that it does not change the order of batches.
    rng, mask_rng = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    best = Best(head, task.names, configs)
    history: list[Epoch] = []
    pooled = np.flatnonzero(task.in_batches())
    originals = frames.first(task.val.shape[1])
    alive = list(range(len(configs)))
    bar = tqdm(range(1, common.epochs + 1), told, unit="epoch", delay=2, disable=None,
               leave=False)  # fmt: skip
    for epoch in bar:
        head.train()
        ours = task.at(alive)
        batches = [
            pooled[batch]
            for batch in training_batches(frames.lengths[pooled], common.batch_size, rng)
        ]
        outputs_of = partial(
            _training_outputs, head, frames, config=common, rng=mask_rng, device=device,
            hiding=hiding,
        )  # fmt: skip
        train_loss = _train_epoch(batches, outputs_of, ours, optimiser, frames, device)
        outputs = predict(head, head.state_dict(), originals, ours.val, common.batch_size, device)
        found = ours.objective.validate(outputs, ours.val)
        worst = worst_of(ours.groups, ours.objective, outputs, ours.val) if ours.groups else ()
        val_loss, val_score = worst or found
        numbers = np.isfinite(train_loss + val_loss)
        history += [
            Epoch(epoch, k, *(float(values[row]) for values in (train_loss, *found, *worst)))
            for row, k in enumerate(alive)
            if numbers[row]
        ]
        stay = best.update(head, alive, numbers, val_loss, val_score, epoch)
        if not stay:
            break
        if len(stay) < len(alive):
            keep_models(head, stay)
            optimiser.keep(stay)
            alive = [alive[row] for row in stay]
    state = {name: tensor.to(device) for name, tensor in best.state.items()}
    wanted = task.val | task.test
    outputs = predict(head, state, originals, wanted, common.batch_size, device)
    outputs[~np.isfinite(best.score).all(axis=1)] = np.nan
    return Trained(
        state=best.state,
        history=history,
        predictions=task.objective.predictions(outputs),
        val_score=best.score,
    )


@torch.no_grad()
def predict(
    head: nn.Module,
    state: Mapping[str, Tensor],
    frames: FrameSet,
    wanted: Bools,
    batch_size: int,
    device: str,
) -> Tensor:
    """Outputs of each model for the utterances that are wanted of it.

    Args:
        head: A stack; its own weights are not used.
        state: The K models' weights and buffers.
        frames: Of N utterances.
        wanted: [K, N].
        batch_size: Utterances per batch.
        device: Of `torch`.

    Shape:
        Output: [K, N, O] on the CPU, NaN for what is not wanted.
    """
    head.eval()
    outputs = torch.full((*wanted.shape, 1), torch.nan)
    for rows in _neighbours_alike(wanted):
        chosen = np.flatnonzero(wanted[rows.start])
        batches = reading_batches(frames.lengths[chosen], batch_size)
        for indices in (part for batch in batches for part in frames.parts(chosen[batch], device)):
            found = run_some(head, state, rows, *frames.batch(indices.tolist(), device)).cpu()
            if outputs.shape[2] != found.shape[2]:
                outputs = outputs.repeat(1, 1, found.shape[2])
            outputs[rows, indices] = found
    return outputs


def _neighbours_alike(wanted: Bools) -> list[slice]:
    """Runs of models that the same utterances are wanted of, such as all seeds of a fold."""
    changes = np.flatnonzero((wanted[1:] != wanted[:-1]).any(axis=1)) + 1
    edges = [0, *changes.tolist(), len(wanted)]
    return [slice(start, end) for start, end in pairwise(edges)]


def _train_epoch(
    batches: Iterable[Indices],
    outputs_of: Callable[[Indices], Tensor],
    task: Task,
    optimiser: StackedAdamW,
    frames: FrameSet,
    device: str,
) -> Doubles:
    """One pass over all utterances that train any model; mean loss of each model."""
    batch_loss = task.objective.batch_loss(device)
    trains = torch.from_numpy(task.train).to(device, torch.float32)
    total, counted = torch.zeros(2, len(task.train), dtype=torch.float64, device=device)
    for batch in batches:
        parts = frames.parts(batch, device) if task.objective.divisible else [batch]
        count = trains[:, batch].sum(dim=1)
        for indices in parts:
            losses, weights = batch_loss(outputs_of(indices), indices, trains[:, indices])
            share = weights / count.clamp_min(1) if len(parts) > 1 else 1.0
            torch.autograd.backward((losses * share).sum())
            total += losses.detach() * weights
            counted += weights
        optimiser.step()
    mean: Doubles = (total / counted).cpu().numpy()
    return mean


def _training_outputs(
    head: nn.Module,
    frames: FrameSet,
    indices: Indices,
    config: TrainConfig,
    rng: np.random.Generator,
    device: str,
    hiding: Hiding | None,
) -> Tensor:
    """Outputs [K, B, O] of a batch, with frames and dimensions hidden where that is asked for."""
    if not (config.mask_time or config.mask_features):
        outputs: Tensor = head(*frames.batch(indices.tolist(), device))
        return outputs
    whole = hiding.frames if hiding else frames
    spans = draw_spans(whole.lengths[indices], config.mask_time, config.mask_time_span, rng)
    if hiding:
        left = [
            frames.scaled(hiding.reduce(hiding.frames.read(i)[~row[: hiding.frames.lengths[i]]]), i)
            for i, row in zip(indices.tolist(), spans, strict=True)
        ]
        padded, mask = frame_set(left).batch(range(len(left)), device)
        spans = np.zeros(mask.shape, bool)
    else:
        padded, mask = frames.batch(indices.tolist(), device)
    dims = np.full(len(indices), _seen_dim(head))
    bands = draw_spans(dims, config.mask_features, config.mask_features_span, rng)
    with masked(head, padded, mask, spans, bands) as batch:
        outputs = head(*batch)
    return outputs


def _seen_dim(head: nn.Module) -> int:
    """Dimensions that a head sees, one layer's."""
    (standardise,) = (module for module in head.modules() if isinstance(module, Standardise))
    return standardise.dim
