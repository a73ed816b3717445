"""The concordance loss of stacked models, for dimensional targets.

Unlike the losses on distributions it has no value per utterance: concordance is of a batch.

Letters: K stacked models, B utterances, E emotional dimensions (valence, arousal, dominance).
"""

from __future__ import annotations

import torch
from torch import Tensor


def ccc_loss(predictions: Tensor, targets: Tensor, own: Tensor) -> Tensor:
    """1 - CCC of a batch, averaged over the dimensions that it defines.

    CCC = 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2), with means m and (co)variances s over n, not
    n - 1 (L. I.-K. Lin 1989, Biometrics 45, 255-268). 0 is agreement in every value, 1 none, 2 the
    opposite of every value. Where the targets are constant, CCC is 0 without a gradient, whatever
    is predicted; so it is here where the predictions are that same constant, and it would be 0 / 0.

    Values of 16 bits are computed with in 32.

    Args:
        predictions: Of each model.
        targets: NaN where a dimension is not annotated.
        own: Which utterances count for which model, as numbers or booleans; others may hold
            anything.

    Shape:
        predictions: [K, B, E], targets: [B, E], own: [K, B]. Output: [K]; 0 for a model for which
        no dimension has two utterances that count.
    """
    dtype = torch.promote_types(predictions.dtype, torch.float32)
    known = own.bool()[..., None] & ~targets.isnan()  # [K, B, E]
    x = predictions.to(dtype).where(known, 0.0)
    y = targets.to(dtype).where(known, 0.0)
    count = known.sum(dim=1, keepdim=True)  # [K, 1, E]
    some = count.clamp_min(1)
    mean_x, mean_y = x.sum(1, keepdim=True) / some, y.sum(1, keepdim=True) / some
    # Rounding lets constant targets vary about their mean, and CCC of such noise is anything.
    varied = y.where(known, -torch.inf).amax(1) > y.where(known, torch.inf).amin(1)
    varied = varied[:, None]
    # Around the means, not as means of squares: values on a scale of 1 to 7 would cancel.
    x, y = (x - mean_x).where(known, 0.0), (y - mean_y).where(known, 0.0)
    spread = (x.square() + y.square()).sum(1, keepdim=True) / some + (mean_x - mean_y).square()
    # A product with `varied`, so that a prediction that is not a number stays to be seen.
    covariance = (x * y).sum(1, keepdim=True) / some * varied
    ccc = 2 * covariance / spread.where(spread != 0, 1.0)
    defined = count > 1
    dimensions = defined.sum(dim=2).clamp_min(1)
    return ((1 - ccc).where(defined, 0.0).sum(dim=2) / dimensions)[:, 0]
