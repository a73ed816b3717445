"""One trained model of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from heads.train.stack import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model: a candidate in a fold, with a seed.

    Attributes:
        fold: Its number.
        seed: Of its weights and dropout.
        candidate: Position among the candidates.
        score: What its best epoch was chosen by on validation, or a baseline's setting inside its
            training part, the larger the better; -inf where it diverged before its first epoch.
        state: Its weights, as a stack of one.
        history: Its epochs.
        predictions: [N, O], probabilities or values, for what validates and tests it at least; else
            perhaps NaN.
        temperature: That its logits would be divided by to be calibrated on its validation part; 1
            where that part has trained it, and for values.
        output_scale: What its outputs are multiplied by, and what is then added, to be values on
            the annotators' scale, one of each output; None for classes.
        parameters: Number of its weights.
        dim: Values of a frame that it sees.
    """

    fold: int
    seed: int
    candidate: int
    score: npt.NDArray[np.float64]
    state: dict[str, torch.Tensor]
    history: Sequence[Epoch]
    predictions: npt.NDArray[np.float64]
    temperature: float = 1.0
    output_scale: tuple[list[float], list[float]] | None = None
    parameters: int
    dim: int
