"""Mean of the frames, then one affine map: the least that a head can be."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from embedcache.encoders import ColumnRoles
from heads.functionals import mean_frame
from heads.models import Reduction
from heads.stacked import (
    Stack,
    StackedDropout,
    StackedLinear,
    Standardise,
    even_weights,
    pool,
)


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        dropout: Share of the mean's values that is dropped while training.
    """

    dropout: float = 0.0


def reducer(config: Config, roles: ColumnRoles) -> Reduction:
    """What is made of an utterance's frames once, before training: [T, D] to [1, D]."""
    return mean_frame


class Head(nn.Module):
    """K stacked models: [B, T, D] -> mean [B, D] -> [K, B, C]."""

    def __init__(
        self,
        config: Config,
        dim: int,
        classes: int,
        standardise: Standardise,
        stack: Stack,
    ) -> None:
        super().__init__()
        self.standardise = standardise
        self.dropout = StackedDropout(stack)
        self.classifier = StackedLinear(dim, classes, stack)

    def frame_weights(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Weights of the frames [B, K, T]: all have the same."""
        return even_weights(mask)[:, None].expand(-1, len(self.standardise.mean), -1)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Logits [K, B, C] of frames [B, T, D]; padding, where mask [B, T] is false, is ignored."""
        mean = pool(even_weights(mask)[:, None], frames.float()).transpose(0, 1)  # [1, B, D]
        models = len(self.standardise.mean)
        seen = self.standardise(mean.expand(models, -1, -1))
        logits: Tensor = self.classifier(self.dropout(seen))
        return logits
