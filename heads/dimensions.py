"""Dimensional targets: what annotators gave for valence, arousal and dominance.

Letters: N utterances, E emotional dimensions.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedcache.errors import UsageError

if TYPE_CHECKING:
    from embedcache.utterance import Utterance

Array = npt.NDArray[np.float64]

_log = logging.getLogger(__name__)

DIMENSIONS = ("valence", "arousal", "dominance")


@dataclass(frozen=True, slots=True)
class DimensionTargets:
    """What is to be learned: values on the annotators' own scale.

    Attributes:
        names: Of the dimensions, in the order of the columns.
        values: [N, E], NaN where a dimension is not annotated.
        kept: [N], positions of these utterances in the sequence that was given.
        left_out: Why utterances have no target, and how many.
    """

    names: tuple[str, ...]
    values: Array
    kept: npt.NDArray[np.int64]
    left_out: dict[str, int]

    def strata(self) -> list[str]:
        """[N], on which side of each median an utterance lies, such as `+-?`.

        Folds that hold these in equal shares have similar means, which concordance is of.
        """
        above = self.values > np.nanmedian(self.values, axis=0)
        signs = np.where(np.isnan(self.values), "?", np.where(above, "+", "-"))
        return ["".join(row) for row in signs.tolist()]


def make_dimension_targets(utterances: Sequence[Utterance]) -> DimensionTargets:
    """The annotated values of utterances; those without any are left out.

    So is a dimension that has the same value everywhere, and a warning says so.

    Raises:
        UsageError: None has any that vary.
    """
    found = {
        name: {u.dimensions[name] for u in utterances if name in u.dimensions}
        for name in DIMENSIONS
    }
    names = tuple(name for name, different in found.items() if len(different) > 1)
    for name, different in found.items():
        if len(different) == 1:
            _log.warning("%s is left out: it is %g wherever it is annotated", name, *different)
    if not names:
        raise UsageError(
            f"--target dimensions: none of {len(utterances)} utterances has values of "
            f"{', '.join(DIMENSIONS)} that vary; leave the option out, or annotate them"
        )
    table = [[u.dimensions.get(name, np.nan) for name in names] for u in utterances]
    values = np.array(table, np.float64)
    kept = np.flatnonzero(~np.isnan(values).all(axis=1))
    lacking = len(utterances) - len(kept)
    return DimensionTargets(
        names=names,
        values=values[kept],
        kept=kept,
        left_out={"no dimensions": lacking} if lacking else {},
    )
