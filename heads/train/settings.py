"""How heads are trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedcache.errors import UsageError

SELECT = ("ua", "ccc", "loss")
PRECISION = ("auto", "float32", "bfloat16")
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
        select: What improves on validation: `ua` (ties go to the lower loss) or `loss`, of
            emotional dimensions `ccc` or `loss`; `auto` is `ua` for hard labels, `loss` for soft
            ones, and `ccc`.
        precision: What frames are multiplied in, `float32` or `bfloat16`; `auto` is bfloat16 for a
            gigabyte of frames or more, and for any in a deep head such as `transformer`, where the
            device multiplies that faster.
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
    precision: str = "auto"

    def __post_init__(self) -> None:
        if self.select not in ("auto", *SELECT):
            raise UsageError(f"--set select={self.select}: give auto, {', '.join(SELECT)}")
        if self.precision not in PRECISION:
            raise UsageError(f"--set precision={self.precision}: give {', '.join(PRECISION)}")
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
