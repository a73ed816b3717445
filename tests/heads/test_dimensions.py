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
        clips({"dominance": 2.0, "valence": 1.0}, {}, {"valence": -3.5}, {}, {"dominance": 3.0})
    )
    assert targets.names == ("valence", "dominance")
    np.testing.assert_array_equal(targets.values, [[1.0, 2.0], [-3.5, np.nan], [np.nan, 3.0]])
    assert targets.kept.tolist() == [0, 2, 4]
    assert targets.left_out == {"no dimensions": 2}


def test_dimensions_stand_in_one_order_whoever_comes_first():
    some = [{"dominance": 1.0}, {"arousal": 2.0}, {"valence": 3.0}]
    others = [{name: x + 1 for name, x in one.items()} for one in some]
    targets = make_dimension_targets(clips(*some, *others))
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
    with pytest.raises(UsageError, match="none of 3 utterances has values of valence, arousal"):
        make_dimension_targets(clips({}, {}, {}))


def test_a_dimension_that_never_varies_is_left_out_and_named(caplog):
    targets = make_dimension_targets(
        clips({"arousal": 3.0, "valence": 1.0}, {"arousal": 3.0, "valence": 2.0}, {"arousal": 3.0})
    )
    assert targets.names == ("valence",)
    assert targets.kept.tolist() == [0, 1]
    assert "arousal is left out: it is 3 wherever it is annotated" in caplog.text
