"""Functionals of the frames, then a linear SVM: no epochs, no seeds, the baseline.

Of emotional dimensions it is the linear regression with a squared loss.

Its C is chosen inside each fold's training part, by speaker; then it is fitted on training and
validation part. It is deterministic, so it runs once.

Letters: N utterances, D values of a vector, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from embedcache.errors import UsageError
from heads.functionals import Functionals
from heads.models import Fit
from heads.models._ridge import fit_ridge
from heads.models._svm import fit_svm

if TYPE_CHECKING:
    from embedcache.encoders import ColumnRoles
    from heads.models import Examples, Reduction


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        c: The SVM's C; 0 chooses it inside the training part.
    """

    c: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.c < np.inf:
            raise UsageError(f"--set c={self.c}: give a number above 0, or 0 to have it chosen")


def reducer(config: Config, roles: ColumnRoles) -> Reduction:
    """Functionals of an utterance's frames, [T, D] to [1, D']."""
    return Functionals(roles)


def fit_values(config: Config, examples: Examples) -> Fit:
    """Fit the regression of one fold, for emotional dimensions; see `heads.models._ridge`.

    Raises:
        SerError: A vector holds what is no number.
    """
    model = fit_ridge(
        examples.vectors,
        examples.targets,
        examples.speakers,
        examples.train,
        examples.val,
        config.c,
    )
    names = ("mean", "scale", "coef", "intercept")
    return Fit(
        state={name: torch.from_numpy(getattr(model, name)) for name in names},
        predictions=model.predict(examples.vectors),
        score=float(model.inner_ccc.mean()),
    )


def fit(config: Config, examples: Examples) -> Fit:
    """Fit the SVM of one fold.

    Raises:
        SerError: A class has no example, or a vector holds what is no number.
    """
    fitted = fit_svm(
        examples.vectors,
        examples.targets,
        examples.speakers,
        examples.train,
        examples.val,
        examples.labels,
        config.c,
        examples.weights,
        examples.groups,
    )
    return Fit(
        state={name: torch.from_numpy(array) for name, array in fitted.model.to_arrays().items()},
        predictions=fitted.model.probabilities(examples.vectors),
        score=max(fitted.inner_ua),
    )
