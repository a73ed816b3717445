"""The loop over batches and epochs, which an interruption leaves as it would have been without.

Every step draws from generators that are seeded by the step itself: which clips it takes, what is
hidden of them, what is dropped. So where a training stands is said by two numbers, the epoch and
the step in it, beside the weights and the optimiser's moments.

Letters: N utterances, B of a batch, O outputs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler
from tqdm import tqdm

from embedcache.encoders import Samples
from embedcache.errors import SerError, out_of_memory
from heads.finetune.clips import Clips, shuffled_batches, sorted_batches
from heads.finetune.network import (
    TOO_LARGE,
    Limits,
    Network,
    in_parts,
    make_optimiser,
    middles,
    rate,
)
from heads.finetune.settings import Schedule
from heads.masking import draw_spans
from heads.splits import Fold
from heads.train.objective import Objective
from heads.train.stack import Epoch

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Progress:
    """Where a training stands.

    Attributes:
        epoch: That is going on, from 1.
        step: Steps that are done in it.
        loss: Sums of this epoch so far: of losses times utterances, and of utterances.
        history: Epochs that are done.
        best: Weights of the best epoch so far; empty before the first.
        best_epoch: Its number.
        best_score: What it was chosen by, the larger the better.
        parts: That a batch is divided into, where the device's memory does not hold it.
        seconds: Wall-clock time that was spent.
    """

    epoch: int = 1
    step: int = 0
    loss: tuple[float, float] = (0.0, 0.0)
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    best_score: tuple[float, float] = (-np.inf, -np.inf)
    parts: int = 1
    seconds: float = 0.0

    @property
    def best_of_history(self) -> Epoch:
        """The best epoch so far."""
        return self.history[self.best_epoch - 1]


class Training:
    """One fold's network in training.

    Attributes:
        network: What is trained.
        optimiser: Of it.
        scaler: Of the loss, where gradients are computed in float16.
        progress: Where it stands.
        objective: What it learns.
    """

    def __init__(
        self,
        network: Network,
        clips: Clips,
        objective: Objective,
        fold: Fold,
        schedule: Schedule,
        seed: int,
        device: str,
    ) -> None:
        """Begin.

        Args:
            network: Encoder and head.
            clips: Of the N utterances.
            objective: What one model learns of them.
            fold: Who trains and who validates.
            schedule: How it goes.
            seed: Of all that is drawn.
            device: Of `torch`.
        """
        self.network, self.progress = network, Progress()
        self.optimiser = make_optimiser(network, schedule)
        halves = network.encoder.spec.dtype == "float16"
        self.scaler = GradScaler(torch.device(device).type, enabled=halves)
        self.objective = objective
        self._clips, self._fold = clips, fold
        self._schedule, self._seed, self._device = schedule, seed, device
        self._batch_loss = objective.batch_loss(device)
        self._rate = rate(schedule)
        self._limits = Limits.of(network.encoder.spec, schedule)
        self._lengths = self._limits.computed(clips.lengths)

    def run(self, save: Callable[[], None], told: Callable[[Epoch], None]) -> None:
        """Train to the end.

        Args:
            save: Called now and then, and after each epoch.
            told: Called with each epoch that is done.

        Raises:
            SerError: The loss diverged before an epoch could be kept, or memory does not hold one
                clip.
        """
        started, before = time.monotonic(), self.progress.seconds

        def save_now() -> None:
            self.progress.seconds = before + time.monotonic() - started
            save()

        while not self._ended():
            if not self._train_epoch(save_now):
                break
            told(self._finish_epoch())
            save_now()
        if not self.progress.best:
            raise SerError(
                "the loss diverged before an epoch could be kept; lower the learning rates, as in "
                f"--set lr={self._schedule.lr / 10:g} --set head_lr={self._schedule.head_lr / 10:g}"
            )

    def _ended(self) -> bool:
        done = self.progress
        waited = done.epoch - 1 - done.best_epoch
        return done.epoch > self._schedule.epochs or waited >= self._schedule.patience

    def _train_epoch(self, save: Callable[[], None]) -> bool:
        """The rest of an epoch; false where the loss is no number any more."""
        done, schedule = self.progress, self._schedule
        train = self._fold.train
        rng = np.random.default_rng([self._seed, done.epoch])
        batches = [
            [int(train[i]) for i in batch]
            for batch in shuffled_batches(self._lengths[train], self._limits.batch, rng)
        ]
        steps = -(-len(batches) // schedule.accumulate)
        left = batches[done.step * schedule.accumulate :]
        starts = rng.random(len(self._clips.lengths))
        longest = self._limits.clip
        cut = {
            i: (start := int(starts[i] * (length - longest)), start + longest)
            for i, length in enumerate(self._clips.lengths.tolist())
            if length > longest
        }
        read = self._clips.batches(left, cut)
        bar = tqdm(range(steps), f"epoch {done.epoch}", initial=done.step, unit="step", delay=2,
                   disable=None, leave=False)  # fmt: skip
        saved = time.monotonic()
        with bar:
            while done.step < steps:
                share = (done.epoch - 1 + (done.step + 0.5) / steps) / schedule.epochs
                several = list(islice(read, schedule.accumulate))
                if not self.step(several, self._rate(share)):
                    _log.warning("the loss diverged in epoch %d, step %d", done.epoch, done.step)
                    return False
                done.step += 1
                bar.update()
                if time.monotonic() - saved > 60 * schedule.save_minutes:
                    save()
                    saved = time.monotonic()
        return True

    def step(self, batches: Sequence[tuple[Sequence[int], list[Samples]]], share: float) -> bool:
        """One step, at a share of the learning rates; false where the loss is no number."""
        self.network.train(True)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * share
        while True:
            self.optimiser.zero_grad(set_to_none=True)
            try:
                loss, count = self._gradients(batches)
                break
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not out_of_memory(error):
                    raise
                if self.progress.parts >= max(len(indices) for indices, _ in batches):
                    raise SerError(TOO_LARGE) from error
                self.progress.parts *= 2
                _log.info(
                    "memory does not hold a batch: each is trained in %d parts", self.progress.parts
                )
        if not np.isfinite(loss):
            return False
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._schedule.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        total, counted = self.progress.loss
        self.progress.loss = total + loss * count, counted + count
        return True

    def _gradients(
        self, batches: Sequence[tuple[Sequence[int], list[Samples]]]
    ) -> tuple[float, float]:
        """Gradients of the mean loss of some batches; that loss, and how many clips define it."""
        total = sum(len(indices) for indices, _ in batches)
        mean = counted = 0.0
        for number, (indices, samples) in enumerate(batches):
            size = -(-len(indices) // self.progress.parts)
            for start in range(0, len(indices), size):
                own, clips = indices[start : start + size], samples[start : start + size]
                seeds = [self._seed, self.progress.epoch, self.progress.step, number, start]
                rng = np.random.default_rng(np.random.SeedSequence(seeds))
                loss, count = self._loss(own, clips, total, rng)
                mean, counted = mean + loss * count, counted + count
        return mean / max(counted, 1.0), counted

    def _loss(
        self,
        indices: Sequence[int],
        samples: list[Samples],
        total: int,
        rng: np.random.Generator,
    ) -> tuple[float, float]:
        """Mean loss of some clips of a total, and how many of them define it.

        The gradient of their share in the total's loss is added to what is there.
        """
        encoder, schedule = self.network.encoder, self._schedule
        seed = int(rng.integers(2**62))
        torch.manual_seed(seed)  # of the dropout in the encoder
        self.network.generator.manual_seed(seed)
        counts = np.array([encoder.spec.frame_count(len(clip)) for clip in samples])
        dims = np.full(len(samples), encoder.masked_dim)
        blocks = encoder.trained_blocks
        dropped = blocks[rng.random(len(blocks)) < schedule.layerdrop].tolist()
        with encoder.frames(
            samples,
            _hidden(counts, schedule.mask_time, schedule.mask_time_span, rng),
            _hidden(dims, schedule.mask_features, schedule.mask_features_span, rng),
            dropped,
        ) as (frames, mask):
            outputs = self.network.head(frames, mask)
            own = torch.ones(1, len(indices), device=outputs.device)
            losses, weights = self._batch_loss(outputs, np.array(indices), own)
            share = (losses * weights).sum() / total
            torch.autograd.backward(self.scaler.scale(share))
        return float(losses.detach()), float(weights)

    def _finish_epoch(self) -> Epoch:
        """Validate, keep what is better, go on to the next epoch."""
        done = self.progress
        val = np.zeros((1, len(self._clips.lengths)), bool)
        val[0, self._fold.val] = True
        loss, score = self.objective.validate(self._outputs(self._fold.val), val)
        total, counted = done.loss
        if not counted:
            raise SerError(
                "no batch defines the loss, for concordance is of two clips at least; give a "
                "larger --set batch_seconds"
            )
        epoch = Epoch(done.epoch, 0, total / counted, float(loss[0]), float(score[0]))
        done.history.append(epoch)
        first = -epoch.val_loss if self._schedule.select == "loss" else epoch.val_score
        found = (first, -epoch.val_loss)
        if np.isfinite(found).all() and found > done.best_score:
            done.best, done.best_epoch, done.best_score = self.network.state(), done.epoch, found
        done.epoch, done.step, done.loss = done.epoch + 1, 0, (0.0, 0.0)
        return epoch

    @torch.no_grad()
    def _outputs(self, positions: npt.NDArray[np.int64]) -> Tensor:
        """[1, N, O] of some clips; NaN for all others."""
        self.network.train(False)
        found: Tensor | None = None
        cut = middles(self._clips.lengths.tolist(), self._limits.clip)
        batches = [
            [int(positions[i]) for i in batch]
            for batch in sorted_batches(self._lengths[positions], self._limits.batch)
        ]

        def predict(samples: list[Samples]) -> Tensor:
            with self.network.encoder.frames(samples) as (frames, mask):
                outputs: Tensor = self.network.head(frames, mask).cpu()
            return outputs

        for indices, samples in self._clips.batches(batches, cut):
            outputs = torch.cat(list(in_parts(predict, samples)), dim=1)
            if found is None:
                shape = 1, len(self._clips.lengths), outputs.shape[2]
                found = torch.full(shape, torch.nan)
            found[:, list(indices)] = outputs
        assert found is not None  # a validation part is never empty
        return found


def _hidden(
    lengths: npt.NDArray[np.int64], share: float, span: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_] | None:
    return draw_spans(lengths, share, span, rng) if share else None
