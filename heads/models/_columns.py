"""Columns of vectors with mean 0 and deviation 1, for models that are fitted without epochs.

Letters: N utterances, D values of a vector.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_FLAT = 8  # units of rounding of a column's largest value: a deviation that is nothing but that


def standardised(vectors: npt.NDArray[np.floating]) -> tuple[Array, Array, Array]:
    """Vectors with mean 0 and deviation 1; their mean and deviation before.

    A column that does not vary is centred, and its deviation is called 1.

    Shape:
        [N, D] -> [N, D], [D] and [D].
    """
    largest = np.maximum(vectors.max(axis=0), -vectors.min(axis=0))
    centred = vectors.astype(np.float64)
    mean = centred.mean(axis=0)
    centred -= mean
    scale = np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(centred))
    scale[scale <= _FLAT * np.finfo(vectors.dtype).eps * largest] = 1.0
    centred /= scale
    return centred, mean, scale
