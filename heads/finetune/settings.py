"""How an encoder is fine-tuned."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedcache.audio.conditioning import Conditioning
from embedcache.errors import UsageError, unknown_name
from heads.models import HeadModule, configure
from heads.train.settings import LARGEST_MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from heads.train.config import RunConfig

SELECT = ("auto", "ua", "ccc", "loss")
SCHEDULES = ("linear", "constant")
ALL = "all"


def _limits() -> dict[str, tuple[Callable[[float], bool], str]]:
    """What each number of a schedule may be: a test, and in words."""
    sizes = ("batch_seconds", "max_seconds", "accumulate", "mask_time_span", "mask_features_span")
    above = ("lr", "head_lr", "clip", "epochs", "patience", *sizes)
    found: dict[str, tuple[Callable[[float], bool], str]] = {
        name: (lambda x: 0 < x < float("inf"), "a number above 0") for name in above
    }
    for name in ("mask_time", "mask_features"):
        found[name] = (lambda x: 0 <= x <= LARGEST_MASK, f"a share from 0 to {LARGEST_MASK}")
    for name in ("warmup", "layerdrop"):
        found[name] = (lambda x: 0 <= x < 1, "a share from 0 to below 1")
    for name in ("weight_decay", "save_minutes"):
        found[name] = (lambda x: 0 <= x < float("inf"), "0 or more")
    return found | {"layer_decay": (lambda x: 0 < x <= 1, "more than 0, 1 at most")}


_LIMITS = _limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How the training goes.

    Attributes:
        lr: Learning rate of the encoder's last layer, in AdamW.
        layer_decay: What the learning rate is multiplied by from each layer to the one before it.
        head_lr: Learning rate of the head.
        weight_decay: Of AdamW; norms and biases have none.
        schedule: `linear`, from the full learning rate to zero, or `constant`.
        warmup: Share of all steps in which the learning rate rises to that.
        epochs: At most.
        patience: Epochs without improvement on validation after which the training ends.
        batch_seconds: The most audio in a batch, padding included.
        accumulate: Batches whose gradients make one step.
        clip: Largest norm of the gradient.
        max_seconds: Longer clips are cut: in training anywhere, else to their middle.
        mask_time: Share of the frames that training hides before the first layer, in spans.
        mask_time_span: Frames of such a span.
        mask_features: Share of their dimensions that training hides, in bands over the whole clip.
        mask_features_span: Neighbouring dimensions of such a band.
        layerdrop: Chance of each trained layer to be passed over in a batch.
        select: What improves on validation: as in `heads.train.settings`.
        save_minutes: The most that an interruption costs.
    """

    lr: float = 3e-5
    layer_decay: float = 0.9
    head_lr: float = 1e-3
    weight_decay: float = 0.01
    schedule: str = "linear"
    warmup: float = 0.1
    epochs: int = 15
    patience: int = 5
    batch_seconds: float = 60.0
    accumulate: int = 1
    clip: float = 1.0
    max_seconds: float = 15.0
    mask_time: float = 0.05
    mask_time_span: int = 10
    mask_features: float = 0.0
    mask_features_span: int = 64
    layerdrop: float = 0.0
    select: str = "auto"
    save_minutes: float = 10.0

    def __post_init__(self) -> None:
        for name, known in (("select", SELECT), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise unknown_name(f"value of --set {name}", getattr(self, name), known)
        for name, (holds, allowed) in _LIMITS.items():
            value = getattr(self, name)
            if not holds(value):
                raise UsageError(f"--set {name}={value:g}: give {allowed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig:
    """What to fine-tune on what.

    Attributes:
        root: Where the corpus lies.
        encoder: Encoder id, of a model whose weights can be trained.
        task: What is learned under which protocol: one corpus, one head, labels, loss, folds,
            seed, device, and `--set` keys of `Schedule` or the head.
        unfreeze: Number of layers that are trained, from the last one, or `all`.
        unfreeze_cnn: Whether the convolutions and their projection are trained too.
        fold: Which fold to leave untouched for testing.
        all_folds: Whether one checkpoint is made for each fold.
        conditioning: What is done to clips between decoding and encoding.
        dtype: Of matrix products: `auto`, `float32`, `bfloat16` or `float16`.
        gradient_checkpointing: Whether activations are computed twice and not kept.
        checkpoint_dir: Folder of all checkpoints.
        limit: Only so many of the corpus's first utterances; 0 is all.
        tensorboard: Whether curves are written for TensorBoard, an extra.
    """

    root: Path
    encoder: str
    task: RunConfig
    unfreeze: str = ALL
    unfreeze_cnn: bool = False
    fold: int | None = None
    all_folds: bool = False
    conditioning: Conditioning = field(default_factory=Conditioning)
    dtype: str = "auto"
    gradient_checkpointing: bool = False
    checkpoint_dir: Path = Path("checkpoints")
    limit: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if self.unfreeze != ALL and not re.fullmatch("0|[1-9][0-9]*", self.unfreeze):
            raise UsageError(
                f"--unfreeze {self.unfreeze}: give a number of transformer layers, from the last "
                f"one, or {ALL}"
            )
        if self.fold is not None and self.all_folds:
            raise UsageError(f"--fold {self.fold} --all-folds: give one of them")
        if self.fold is not None and self.fold < 0:
            raise UsageError(f"--fold {self.fold}: folds are numbered from 0")
        if self.limit < 0:
            raise UsageError(f"--limit {self.limit}: give 1 or more, or leave it out for all")
        if len(self.task.corpora) != 1 or self.task.test_corpora:
            raise UsageError(f"--corpus {self.task.corpus}: fine-tuning takes one corpus")
        if len(self.task.heads) != 1:
            raise UsageError(f"--head {','.join(self.task.heads)}: fine-tuning takes one head")
        shares = self.task.test_share is not None or self.task.val_share is not None
        if not self.by_fold and (shares or self.task.folds is not None):
            raise UsageError(
                "--folds, --test and --val make folds, and without --fold or --all-folds all "
                "speakers train or validate; give --fold 0 for one split, or --all-folds"
            )
        if self.by_fold and self.unfreeze == "0" and not self.unfreeze_cnn:
            raise UsageError(
                "--unfreeze 0 leaves the encoder as it is, in every fold; leave out --fold and "
                "--all-folds, or train heads on its cache with `ser train-head`"
            )

    @property
    def by_fold(self) -> bool:
        """Whether something is left untouched for testing."""
        return self.all_folds or self.fold is not None


def parse_settings(
    settings: Mapping[str, str], head: str, module: HeadModule
) -> tuple[Schedule, Any]:
    """`--set` keys and values as a schedule and the head's configuration.

    Raises:
        UsageError: A key is unknown, or a value is not one that it can have.
    """
    of_schedule = {f.name for f in fields(Schedule)}
    of_head = {f.name for f in fields(module.Config)}
    for key in settings:
        if key not in of_schedule | of_head:
            raise unknown_name(f"key in --set for fine-tuning with {head}", key,
                               of_schedule | of_head)  # fmt: skip
    schedule = configure(Schedule, {k: v for k, v in settings.items() if k in of_schedule})
    return schedule, configure(module.Config, {k: v for k, v in settings.items() if k in of_head})
