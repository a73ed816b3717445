"""Metrics of dimensional predictions (valence, arousal, dominance) from tallies that add up.

Letters: N utterances, E emotional dimensions; `...` any leading axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from heads.intervals import jackknife

Array = npt.NDArray[np.float64]

DIMENSIONAL_METRICS = ("ccc", "rmse", "pearson")
_LIMITS = {"ccc": (-1.0, 1.0), "rmse": (0.0, np.inf), "pearson": (-1.0, 1.0)}
# A variance below this share of the mean square (a deviation below a millionth of the values) is
# what rounding leaves of a constant.
_ROUNDING = 1e-12


def dimensional_tally(predicted: Array, targets: Array) -> Array:
    """Count what each utterance adds to the moments of every dimension.

    Sums of squares lose digits where values are far from 0 and close to each other; on annotators'
    scales (-1 to 1, 1 to 7) that is one or two of sixteen.

    Args:
        predicted: Values.
        targets: Annotated values; NaN where there are none, and then nothing is added.

    Shape:
        predicted, targets: [N, E]. Output: [N, 7 E]: for each dimension 1, x, y, x^2, y^2, x y and
        (x - y)^2, with x the prediction and y the annotation.
    """
    known = ~np.isnan(targets)
    x, y = np.where(known, predicted, 0.0), np.where(known, targets, 0.0)
    moments = [known.astype(np.float64), x, y, x * x, y * y, x * y, (x - y) ** 2]
    return np.stack(moments, axis=-1).reshape(len(targets), -1)


def dimensional_scores(tallies: Array, names: Sequence[str]) -> dict[str, Array]:
    """CCC, RMSE and Pearson's correlation of each dimension, and their means over dimensions.

    CCC = 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2), with (co)variances over n, not n - 1 (L. I.-K.
    Lin 1989, Biometrics 45, 255-268). It is 0 where either side is constant, and NaN where both are
    the same constant. Pearson's correlation is NaN where a side is constant. Both are NaN for fewer
    than two utterances, RMSE for none. A mean is NaN where a dimension is: over what happens to be
    defined it would be another number for another run.

    Args:
        tallies: Sums of rows from `dimensional_tally`.
        names: Of the dimensions.

    Shape:
        tallies: [..., 7 E]. Output: [...] each, under `ccc_<name>`, `rmse_<name>`,
        `pearson_<name>`, `ccc`, `rmse` and `pearson`.
    """
    moments = tallies.reshape(*tallies.shape[:-1], len(names), 7)
    count, *sums = np.moveaxis(moments, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_x, mean_y, square_x, square_y, product, error = (part / count for part in sums)
        var_x, var_y = square_x - mean_x**2, square_y - mean_y**2
        covariance = product - mean_x * mean_y
        still_x, still_y = var_x <= _ROUNDING * square_x, var_y <= _ROUNDING * square_y
        distance = (mean_x - mean_y) ** 2
        same = still_x & still_y & (distance <= _ROUNDING * (square_x + square_y))
        # 2 s_xy is the denominator less the mean squared error: exact where predictions are.
        ccc = np.where(still_x | still_y, 0.0, 1 - error / (var_x + var_y + distance))
        pearson = np.clip(covariance / np.sqrt(var_x * var_y), -1.0, 1.0)
    by_metric = {
        "ccc": np.where((count < 2) | same, np.nan, np.clip(ccc, -1.0, 1.0)),
        "rmse": np.sqrt(error),
        "pearson": np.where((count < 2) | still_x | still_y, np.nan, pearson),
    }
    found = {
        f"{metric}_{name}": values[..., e]
        for metric, values in by_metric.items()
        for e, name in enumerate(names)
    }
    return found | {metric: values.mean(axis=-1) for metric, values in by_metric.items()}


def dimensional_intervals(
    by_speaker: Array, names: Sequence[str]
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals over speakers of every score; see `heads.intervals.jackknife`.

    Args:
        by_speaker: Tallies of each speaker; leading axes are seeds.
        names: Of the dimensions.

    Shape:
        by_speaker: [..., G, 7 E].
    """
    limits = dict(_LIMITS)
    limits |= {f"{metric}_{name}": limit for metric, limit in _LIMITS.items() for name in names}
    values = by_speaker[..., ::7].sum(axis=-1)  # how many are annotated, of all dimensions
    return jackknife(by_speaker, lambda tallies: dimensional_scores(tallies, names), limits, values)
