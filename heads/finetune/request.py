"""What is asked of a fine-tuning, with nothing left open, and all that can be refused at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from embedcache.audio.conditioning import check_conditioning
from embedcache.encoders import ColumnRoles, find_family, load_tunable
from embedcache.errors import UsageError, unknown_name
from embedcache.request import resolve_device
from embedcache.seen import encoders_of
from heads.finetune.settings import ALL, FinetuneConfig, Schedule, parse_settings
from heads.losses import CLASS_WEIGHTS, find_loss
from heads.stacked import Stack
from heads.tensorboard import require_tensorboard

if TYPE_CHECKING:
    from embedcache.encoders import Tunable
    from heads.models import HeadModule


def resolve(
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


def find_device(config: FinetuneConfig) -> str:
    """The device, which has units for the precision that is asked for.

    Raises:
        UsageError: There is no such device, or it has not.
    """
    device = resolve_device(config.task.device)
    if config.dtype == "float16" and device == "cpu":
        raise UsageError("--dtype float16 is for GPUs; give bfloat16 or float32 on a CPU")
    return device


def load_encoder(config: FinetuneConfig, schedule: Schedule, device: str) -> Tunable:
    """The encoder, with what of it is trained; it can hear clips of the schedule's length.

    Raises:
        UsageError: It cannot, or has not so many layers.
        SerError: Its files are damaged.
    """
    encoder = load_tunable(config.encoder, device, config.dtype)
    blocks = encoder.depth if config.unfreeze == ALL else int(config.unfreeze)
    encoder.unfreeze(blocks, config.unfreeze_cnn, masking=schedule.mask_time > 0)
    if config.gradient_checkpointing:
        encoder.checkpoint_gradients()
    check_conditioning(config.conditioning, encoder.spec.rate_hz)
    if not encoder.spec.frame_count(round(schedule.max_seconds * encoder.spec.rate_hz)):
        raise UsageError(f"--set max_seconds={schedule.max_seconds:g}: that is less than a frame")
    return encoder


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
