"""Early stopping: each model's best weights so far, and which models go on.

Letters: K models.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from heads.train.settings import TrainConfig

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

_NAMED = 3  # models that a warning names

_log = logging.getLogger(__name__)


class Best:
    """Each model's best weights so far.

    Attributes:
        state: The weights, on the CPU.
        score: [K, 2], what they were chosen by, the larger the better.
    """

    def __init__(
        self, head: nn.Module, names: Sequence[str], configs: Sequence[TrainConfig]
    ) -> None:
        self._names, self._configs = names, configs
        self._waited = [0] * len(configs)
        self.score = np.full((len(configs), 2), -np.inf)
        self.state = {name: t.detach().cpu().clone() for name, t in head.state_dict().items()}

    def update(
        self,
        head: nn.Module,
        alive: Sequence[int],
        numbers: Bools,
        val_loss: Doubles,
        val_score: Doubles,
        epoch: int,
    ) -> list[int]:
        """Take what is better, and give the rows of the stack that go on.

        Args:
            head: The stack as it is now.
            alive: [rows], which model each row is.
            numbers: [rows], whether its losses are numbers.
            val_loss: [rows].
            val_score: [rows].
            epoch: From 1.
        """
        first = -val_loss if self._configs[0].select == "loss" else val_score
        better, stay, diverged = [], [], []
        for row, k in enumerate(alive):
            if not numbers[row]:
                diverged.append(k)
                continue
            score = (first[row], -val_loss[row])
            if score > tuple(self.score[k]):
                self.score[k] = score
                self._waited[k] = 0
                better.append(row)
            else:
                self._waited[k] += 1
            if self._waited[k] < self._configs[k].patience:
                stay.append(row)
        for kept in (True, False):
            self._warn([k for k in diverged if self._is_kept(k) is kept], kept, epoch)
        models = [alive[row] for row in better]
        for name, tensor in head.state_dict().items():
            self.state[name][models] = tensor[better].cpu()
        return stay

    def _is_kept(self, k: int) -> bool:
        return bool(np.isfinite(self.score[k]).all())

    def _warn(self, diverged: Sequence[int], kept: bool, epoch: int) -> None:
        if not diverged:
            return
        told = "; ".join(self._names[k] for k in diverged[:_NAMED])
        if len(diverged) > _NAMED:
            told += f"; and {len(diverged) - _NAMED} more"
        what = "the best epoch before that is kept" if kept else "there is no epoch to be kept"
        _log.warning("%s: the loss diverged in epoch %d; %s", told, epoch, what)
