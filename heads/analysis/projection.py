"""Vectors on a plane: t-SNE and UMAP.

t-SNE: L. van der Maaten, G. Hinton (2008), Visualizing Data using t-SNE, JMLR 9. UMAP: L. McInnes,
J. Healy, J. Melville (2018), arXiv 1802.03426. Both keep neighbours together; distances between
groups, their sizes and their number say little.

Letters: N utterances, D values of a vector.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from embedcache.errors import UsageError, unknown_name

Array = npt.NDArray[np.float64]

METHODS = ("t-sne", "umap")
COMPONENTS = 50
PERPLEXITY = 30.0
NEIGHBOURS = 15
FEWEST = 5
_FLAT = 1e-6  # of a column's largest value: a deviation that is nothing but rounding


def project_vectors(
    vectors: npt.NDArray[np.floating], method: str = "t-sne", seed: int = 0
) -> tuple[Array, dict[str, Any]]:
    """Standardise, keep the 50 strongest principal components, and lay out on a plane.

    Args:
        vectors: [N, D].
        method: `t-sne` or `umap`, an extra.
        seed: Of all that is drawn.

    Returns:
        Coordinates [N, 2] from 0 to 1, both axes in one scale, and the settings.

    Raises:
        UsageError: There is no such method, it is not installed, or there are too few vectors.
    """
    require_method(method)
    if len(vectors) < FEWEST:
        raise UsageError(
            f"{len(vectors)} utterances are too few for a projection, which takes {FEWEST}"
        )
    reduced = _principal(vectors)
    if reduced.any():
        plane, own = (_t_sne if method == "t-sne" else _umap)(reduced, seed)
    else:  # all of them are the same
        plane, own = np.zeros((len(reduced), 2)), {}
    settings = {"seed": seed, "standardised": True, "components": reduced.shape[1], **own}
    return _scaled(plane), settings


def require_method(method: str) -> str:
    """The name of a method that can be used.

    Raises:
        UsageError: There is none of that name, or it is an extra that is not installed.
    """
    if method not in METHODS:
        raise unknown_name("--project", method, METHODS)
    if method == "umap" and find_spec("umap") is None:
        raise UsageError(
            "--project umap needs the package umap-learn; install it with "
            "`pip install 'ser-embedcache[umap]'`"
        )
    return method


def _principal(vectors: npt.NDArray[np.floating]) -> Array:
    """The strongest principal components of standardised vectors: [N, D] to [N, up to 50]."""
    seen = vectors.astype(np.float64)
    largest = np.abs(seen).max(axis=0)
    seen -= seen.mean(axis=0)
    deviation = seen.std(axis=0)
    deviation[deviation <= _FLAT * largest] = np.inf
    seen /= deviation
    left, lengths, _ = np.linalg.svd(seen, full_matrices=False)
    found: Array = (left * lengths)[:, :COMPONENTS]
    return found


def _t_sne(vectors: Array, seed: int) -> tuple[Array, dict[str, Any]]:
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors)
    return plane.astype(np.float64), {"perplexity": perplexity, "init": "pca"}


def _umap(vectors: Array, seed: int) -> tuple[Array, dict[str, Any]]:
    neighbours = min(NEIGHBOURS, len(vectors) - 1)
    with warnings.catch_warnings():
        # numba and UMAP warn of versions, of one thread for a seed, of few points: not the user's.
        warnings.simplefilter("ignore")
        from umap import UMAP

        # A spectral start fails for a handful of points.
        init = "spectral" if len(vectors) > 2 * NEIGHBOURS else "random"
        layout = UMAP(n_neighbors=neighbours, init=init, random_state=seed, n_jobs=1)
        plane = layout.fit_transform(vectors)
    settings = {"neighbours": neighbours, "min_dist": float(layout.min_dist), "init": init}
    return np.asarray(plane, np.float64), settings


def _scaled(plane: Array) -> Array:
    """Both axes by one factor into 0 to 1, the shorter one in the middle."""
    low, high = plane.min(axis=0), plane.max(axis=0)
    width = float((high - low).max())
    if not width > 0:
        return np.full_like(plane, 0.5)
    scaled: Array = np.clip((plane - (low + high) / 2) / width + 0.5, 0.0, 1.0)
    return scaled
