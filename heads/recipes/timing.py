"""How long training would take at most: a few steps on noise of the corpus's size, timed.

Early stopping ends most trainings sooner, so what is told is a limit, as far as the machine is as
busy then as it is now.

Letters: N utterances, K models of a stack.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from embedcache.audio.conditioning import Conditioning
from embedcache.encoders import ColumnRoles
from embedcache.request import resolve_device
from embedcache.utterance import Utterance
from heads.data import frame_set, moments, reduced
from heads.finetune.clips import Clips
from heads.finetune.epochs import Training as Tuning
from heads.finetune.network import build
from heads.finetune.request import find_device, load_encoder, resolve
from heads.losses import cross_entropy
from heads.models import load_head
from heads.splits import Fold
from heads.stacked import Stack, Standardise
from heads.train.candidates import make_candidates, settings_of
from heads.train.memory import placed
from heads.train.objective import Classify
from heads.train.stack import Task, train_stack

if TYPE_CHECKING:
    from heads.finetune.settings import FinetuneConfig
    from heads.train.config import RunConfig

_BATCHES = 2  # of an epoch that is timed
_CLIP_S = 4.0  # of noise that fine-tuning is timed on
_CLIPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much there is to train on.

    Attributes:
        utterances: N that train or validate in a fold, with their views.
        frames: Of one, on average.
        dim: Values of a frame, all layers that a head sees side by side.
        outputs: Classes or dimensions.
    """

    utterances: int
    frames: int
    dim: int
    outputs: int


def time_head(config: RunConfig, head: str, size: Size, models: int) -> float | None:
    """Seconds that a head's models take at most; None of one that has no epochs.

    Args:
        config: What is trained.
        head: One of its heads.
        size: What it is trained on.
        models: How many.
    """
    module = load_head(head)
    if hasattr(module, "fit"):
        return None
    device = resolve_device(config.device)
    candidate = make_candidates(settings_of(head, config.settings), module, [("last",)], "ua")[0]
    training = candidate.training
    stacked = models if getattr(module, "STACKS", True) else 1
    rng = np.random.default_rng(0)
    count = min(size.utterances, _BATCHES * training.batch_size) + 2  # one validates, one tests
    shape = count, size.frames, size.dim
    frames = frame_set(list(rng.standard_normal(shape, dtype=np.float32)))
    reducer = getattr(module, "reducer", None)
    reduction = reducer(candidate.head, ColumnRoles()) if reducer else None
    if reduction:
        frames = reduced(frames, reduction)
    frames = placed(frames, training.precision, device, bool(getattr(module, "DEEP", False)))
    task = _task(count, size.outputs, stacked)

    def seconds(epochs: int) -> float:
        mean, deviation = map(torch.from_numpy, moments(frames, task.train))
        stack = Stack(
            [torch.Generator(device).manual_seed(k) for k in range(stacked)],
            [getattr(candidate.head, "dropout", 0.0)] * stacked,
        )
        standardise = Standardise(mean, deviation).to(device)
        built = module.Head(candidate.head, frames.dim, size.outputs, standardise, stack)
        timed = replace(training, epochs=epochs, patience=epochs, mask_time=0.0, mask_features=0.0)
        started = time.perf_counter()
        train_stack(built, frames, task, [timed] * stacked, 0, device)
        return time.perf_counter() - started

    seconds(1)  # the first one also sets things up
    epoch = max(0.0, seconds(3) - seconds(1)) / 2
    return epoch * size.utterances / (count - 2) * training.epochs * models / stacked


def time_tuning(config: FinetuneConfig, audio_s: float, checkpoints: int) -> float:
    """Seconds that fine-tuning takes at most.

    Args:
        config: What is tuned.
        audio_s: Seconds of audio that train or validate in a fold.
        checkpoints: How many encoders are tuned.
    """
    name = config.task.heads[0]
    module = load_head(name)
    config, schedule, head = resolve(config, name, module)
    device = find_device(config)
    encoder = load_encoder(config, schedule, device)
    rng = np.random.default_rng(0)
    length = round(min(_CLIP_S, schedule.max_seconds) * encoder.spec.rate_hz)
    noise = rng.standard_normal((_CLIPS, length), dtype=np.float32)
    lengths = np.full(_CLIPS, length)
    named = [Utterance(id=f"noise {k}", path=Path()) for k in range(_CLIPS)]
    clips = Clips(named, lengths, encoder.ear, Conditioning(), dict(enumerate(noise)))
    objective = Classify(targets=np.eye(_CLIPS), weights=np.ones((1, _CLIPS)), loss=cross_entropy)
    with torch.random.fork_rng([] if device == "cpu" else [torch.device(device)]):
        network = build(encoder, module, head, _CLIPS, clips.at([0]), schedule, 0, device)
        everyone = np.arange(_CLIPS)
        fold = Fold(everyone, everyone[:1], everyone[:0])
        training = Tuning(network, clips, objective, fold, schedule, 0, device)
        batch = [(list(range(_CLIPS)), list(noise))]
        training.step(batch, 1.0)  # the first one also sets things up
        started = time.perf_counter()
        training.step(batch, 1.0)
        taken = time.perf_counter() - started
    rate = taken / (_CLIPS * length / encoder.spec.rate_hz)
    return rate * audio_s * schedule.epochs * checkpoints


def tell(seconds: float | None) -> str:
    """A limit in words.

    >>> tell(None), tell(8.4), tell(600.0), tell(9000.0)
    ('time unknown', 'at most 9 s', 'at most 10 min', 'at most 2.5 h')
    """
    if seconds is None:
        return "time unknown"
    if seconds < 120:
        return f"at most {int(np.ceil(seconds))} s"
    if seconds < 7200:
        return f"at most {int(np.ceil(seconds / 60))} min"
    return f"at most {seconds / 3600:.1f} h"


def _task(count: int, outputs: int, models: int) -> Task:
    """Noise to learn: all utterances train but the last two."""
    roles = np.zeros((3, models, count), bool)
    roles[0, :, :-2], roles[1, :, -2], roles[2, :, -1] = True, True, True
    truth = np.arange(count) % outputs
    return Task(
        objective=Classify(
            targets=np.eye(outputs)[truth], weights=np.ones((models, outputs)), loss=cross_entropy
        ),
        train=roles[0],
        val=roles[1],
        test=roles[2],
        names=[f"model {k}" for k in range(models)],
    )
