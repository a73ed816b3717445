"""Dimensional targets: which utterances have them, in which order, and what folds balance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedcache.errors import UsageError
from embedcache.utterance import Utterance
from heads.dimensions import make_dimension_targets


def clips(*annotated):
    return [
        Utterance(id=str(n), path=Path(f"{n}.wav"), dimensions=dimensions)
        for n, dimensions in enumerate(annotated)
    ]


def test_utterances_without_any_value_are_left_out_and_single_gaps_are_nan():
    targets = make_dimension_targets(
        clips({"dominance": 2.0, "valence": 1.0}, {}, {"valence": -3.5}, {})
    )
    assert targets.names == ("valence", "dominance")
    np.testing.assert_array_equal(targets.values, [[1.0, 2.0], [-3.5, np.nan]])
    assert targets.kept.tolist() == [0, 2]
    assert targets.left_out == {"no dimensions": 2}


def test_dimensions_stand_in_one_order_whoever_comes_first():
    targets = make_dimension_targets(clips({"dominance": 1.0}, {"arousal": 2.0}, {"valence": 3.0}))
    assert targets.names == ("valence", "arousal", "dominance")
    assert targets.left_out == {}


def test_strata_are_the_sides_of_the_medians():
    """Half of what is annotated lies above each median, whatever the scale."""
    rng = np.random.default_rng(0)
    values = np.exp(rng.standard_normal((40, 2)))
    targets = make_dimension_targets(
        clips(*({"valence": v} | ({"arousal": a} if n % 4 else {})
                for n, (v, a) in enumerate(values)))
    )  # fmt: skip
    signs = np.array([list(stratum) for stratum in targets.strata()])
    assert (signs[:, 0] == "+").sum() == 20
    assert (signs[:, 1] == "?").sum() == 10
    assert (signs[:, 1] == "+").sum() == 15
    above = values[:, 0] > np.median(values[:, 0])
    assert ((signs[:, 0] == "+") == above).all()


def test_a_corpus_without_dimensions_is_refused():
    with pytest.raises(UsageError, match="none of 3 utterances has a value of valence, arousal"):
        make_dimension_targets(clips({}, {}, {}))
