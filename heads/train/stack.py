"""Train K stacked models at once, each on its own utterances, each stopped at its own best epoch.

All models see the same batches; a model's loss counts only the utterances that train it. Parameters
have a leading axis K and the optimiser works element by element, so models do not touch each other.

Letters: K models, N utterances, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from embedcache.errors import SerError, UsageError
from heads.data import FrameSet, reading_batches, training_batches
from heads.labels import majority, smooth
from heads.masking import draw_spans, masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heads.losses import Loss

SELECT = ("ua", "loss")
LARGEST_MASK = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How heads are trained.

    Attributes:
        lr: Learning rate of AdamW.
        weight_decay: Of AdamW.
        batch_size: Utterances per batch.
        epochs: At most.
        patience: Epochs without improvement on validation after which a model stops.
        clip: Largest norm of a model's gradient.
        mask_time: Share of a clip's frames that training hides, anew in each epoch, in spans.
        mask_time_span: Frames of such a span.
        mask_features: Share of the dimensions that training hides, in bands over the whole clip.
        mask_features_span: Neighbouring dimensions of such a band.
        select: What improves on validation: `ua` (ties go to the lower loss) or `loss`; `auto` is
            `ua` for hard labels and `loss` for soft ones.
    """

    lr: float = 3e-3
    weight_decay: float = 0.01
    batch_size: int = 64
    epochs: int = 100
    patience: int = 20
    clip: float = 5.0
    mask_time: float = 0.0
    mask_time_span: int = 10
    mask_features: float = 0.0
    mask_features_span: int = 8
    select: str = "auto"

    def __post_init__(self) -> None:
        if self.select not in ("auto", *SELECT):
            raise UsageError(f"--set select={self.select}: give auto, {' or '.join(SELECT)}")
        for name in ("mask_time", "mask_features"):
            if not 0 <= getattr(self, name) <= LARGEST_MASK:
                raise UsageError(
                    f"--set {name}={getattr(self, name)}: give a share from 0 to {LARGEST_MASK}"
                )
        spans = ("mask_time_span", "mask_features_span")
        for name in ("lr", "batch_size", "epochs", "patience", "clip", *spans):
            if not 0 < getattr(self, name) < np.inf:
                raise UsageError(f"--set {name}={getattr(self, name)}: give a number above 0")
        if not self.weight_decay >= 0:
            raise UsageError(f"--set weight_decay={self.weight_decay}: give 0 or more")


@dataclass(frozen=True, slots=True)
class Epoch:
    """One model after one epoch.

    Attributes:
        epoch: From 1.
        model: Position in the stack.
        train_loss: Mean over its training utterances, while training.
        val_loss: Mean over its validation utterances, after the epoch.
        val_ua: Unweighted accuracy on its validation utterances, after the epoch.
    """

    epoch: int
    model: int
    train_loss: float
    val_loss: float
    val_ua: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the K models learn, from which utterances.

    After the N utterances stand V augmented views of them, which only train.

    Attributes:
        targets: [N + V, C].
        train: [K, N + V], which utterances and views train which model.
        val: [K, N], on which utterances it is validated.
        smoothing: Share of a target that the training loss spreads evenly; no other number does.
        weights: [K, C], class weights.
        loss: Of `heads.losses`.
        names: [K], what a message calls each model.
    """

    targets: npt.NDArray[np.float64]
    train: npt.NDArray[np.bool_]
    val: npt.NDArray[np.bool_]
    smoothing: float = 0.0
    weights: npt.NDArray[np.float64]
    loss: Loss
    names: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """K trained models.

    Attributes:
        state: The head's state at each model's best epoch, every tensor with leading axis K.
        history: Every epoch of every model until it stopped.
        probabilities: [K, N, C], each model's predictions for all utterances.
    """

    state: dict[str, Tensor]
    history: list[Epoch]
    probabilities: npt.NDArray[np.float64]


def train_stack(
    head: nn.Module,
    frames: FrameSet,
    task: Task,
    config: TrainConfig,
    seed: int,
    device: str,
    shown: FrameSet | None = None,
) -> Trained:
    """Train a stack of models.

    Args:
        head: K models; see `heads.models`.
        frames: Of the N utterances and V views.
        task: Targets and roles.
        config: Optimisation; `select` may not be `auto`.
        seed: Of the order of batches.
        device: Of `torch`.
        shown: Frames to train with, where they are not `frames`: spans of frames can only be hidden
            before frames are reduced.

    Raises:
        SerError: A model's loss is not a number any more.
    """
    head.to(device)
    optimiser = torch.optim.AdamW(head.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    # What is hidden is drawn apart, so that it does not change the order of batches.
    rng, mask_rng = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    best = _Best(head, len(task.train), config)
    history: list[Epoch] = []
    pooled = np.flatnonzero(task.train.any(axis=0))
    originals = frames.first(task.val.shape[1])
    bar = tqdm(range(1, config.epochs + 1), "training", unit="epoch", delay=2, disable=None,
               leave=False)  # fmt: skip
    for epoch in bar:
        batches = training_batches(frames.lengths[pooled], config.batch_size, rng)
        indices = (pooled[batch] for batch in batches)
        train_loss = _train_epoch(
            head, shown or frames, task, config, optimiser, indices, mask_rng, device
        )
        logits = predict(head, originals, config.batch_size, device)
        val_loss, val_ua = _validate(logits, task)
        training = np.flatnonzero(best.active).tolist()
        for k in training:  # what becomes of a model after its end is nobody's concern
            if not np.isfinite(train_loss[k] + val_loss[k]):
                raise SerError(
                    f"{task.names[k]}: the loss diverged in epoch {epoch}; lower the learning "
                    f"rate, as in --set lr={config.lr / 10:g}"
                )
        history += [
            Epoch(epoch, k, float(train_loss[k]), float(val_loss[k]), float(val_ua[k]))
            for k in training
        ]
        best.update(head, logits, val_loss, val_ua)
        if not best.active.any():
            break
    return Trained(
        state=best.state,
        history=history,
        probabilities=best.logits.softmax(dim=-1).double().numpy(),
    )


@torch.no_grad()
def predict(head: nn.Module, frames: FrameSet, batch_size: int, device: str) -> Tensor:
    """Logits of all utterances: [K, N, C], on the CPU."""
    head.eval()
    parts, order = [], []
    for indices in reading_batches(frames.lengths, batch_size):
        parts.append(head(*frames.batch(indices.tolist(), device)).cpu())
        order.append(indices)
    logits = torch.cat(parts, dim=1)
    return logits[:, np.argsort(np.concatenate(order))]


def _train_epoch(
    head: nn.Module,
    frames: FrameSet,
    task: Task,
    config: TrainConfig,
    optimiser: torch.optim.Optimizer,
    batches: Iterable[npt.NDArray[np.int64]],
    mask_rng: np.random.Generator,
    device: str,
) -> npt.NDArray[np.float64]:
    """One pass over all utterances that train any model; mean loss of each model."""
    head.train()
    targets = torch.from_numpy(smooth(task.targets, task.smoothing)).float()
    weights = torch.from_numpy(task.weights).float().to(device)
    total = torch.zeros(len(task.train), dtype=torch.float64)
    for indices in batches:
        own = torch.from_numpy(task.train[:, indices]).to(device, torch.float32)  # [K, B]
        logits = _training_logits(head, frames, indices, config, mask_rng, device)
        losses = task.loss(logits, targets[indices].to(device), weights) * own
        optimiser.zero_grad(set_to_none=True)
        loss = (losses.sum(dim=1) / own.sum(dim=1).clamp_min(1)).sum()
        torch.autograd.backward(loss)
        _clip_each(head, config.clip)
        optimiser.step()
        total += losses.detach().sum(dim=1).double().cpu()
    mean: npt.NDArray[np.float64] = total.numpy() / task.train.sum(axis=1)
    return mean


def _training_logits(
    head: nn.Module,
    frames: FrameSet,
    indices: npt.NDArray[np.int64],
    config: TrainConfig,
    rng: np.random.Generator,
    device: str,
) -> Tensor:
    """Logits [K, B, C] of a batch, with frames and dimensions hidden where that is asked for."""
    padded, mask = frames.batch(indices.tolist(), device)
    if not (config.mask_time or config.mask_features):
        logits: Tensor = head(padded, mask)
        return logits
    lengths = frames.lengths[indices]
    dims = np.full(len(indices), frames.dim)
    spans = draw_spans(lengths, config.mask_time, config.mask_time_span, rng)
    bands = draw_spans(dims, config.mask_features, config.mask_features_span, rng)
    with masked(head, padded, mask, spans, bands) as batch:
        logits = head(*batch)
    return logits


def _clip_each(head: nn.Module, limit: float) -> None:
    """Scale each model's gradient to a norm of at most `limit`."""
    gradients = [p.grad for p in head.parameters() if p.grad is not None]
    squares = [g.flatten(1).square().sum(dim=1) for g in gradients]
    norms = torch.stack(squares).sum(dim=0).sqrt()  # [K]
    scale = (limit / norms.clamp_min(1e-12)).clamp_max(1.0)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)))


def _validate(
    logits: Tensor, task: Task
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Each model's mean loss and UA over its validation utterances."""
    targets = task.targets[: task.val.shape[1]]
    losses = task.loss(
        logits, torch.from_numpy(targets).float(), torch.from_numpy(task.weights).float()
    )
    loss = (losses.double().numpy() * task.val).sum(axis=1) / task.val.sum(axis=1)
    truth = majority(targets)
    classes = np.eye(targets.shape[1])[truth] * (truth >= 0)[:, None]  # [N, C]
    hits = (logits.argmax(dim=-1).numpy() == truth) & task.val  # [K, N]
    support = task.val @ classes
    recall = np.divide(hits @ classes, support, where=support > 0, out=np.zeros_like(support))
    ua = recall.sum(axis=1) / np.maximum((support > 0).sum(axis=1), 1)
    return loss, ua


class _Best:
    """Each model's best weights and predictions so far, and which models still train."""

    def __init__(self, head: nn.Module, models: int, config: TrainConfig) -> None:
        self._config = config
        self._score = np.full((models, 2), -np.inf)
        self._waited = np.zeros(models, int)
        self.active = np.ones(models, bool)
        self.state = {name: t.detach().cpu().clone() for name, t in head.state_dict().items()}
        self.logits = torch.empty(0)

    def update(
        self,
        head: nn.Module,
        logits: Tensor,
        val_loss: npt.NDArray[np.float64],
        val_ua: npt.NDArray[np.float64],
    ) -> None:
        first = val_ua if self._config.select == "ua" else -val_loss
        ahead = first > self._score[:, 0]
        tied = (first == self._score[:, 0]) & (-val_loss > self._score[:, 1])
        better = self.active & (ahead | tied)
        self._score[better] = np.stack([first, -val_loss], axis=1)[better]
        if not self.logits.numel():
            self.logits = logits.clone()
        rows = torch.from_numpy(better)
        self.logits[rows] = logits[rows]
        for name, tensor in head.state_dict().items():
            self.state[name][rows] = tensor.detach().cpu()[rows]
        self._waited = np.where(better, 0, self._waited + 1)
        self.active &= self._waited < self._config.patience
