"""What utterances count for: means of one, even groups inside each emotion, emotions as before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_sample_weight

from embedcache.errors import UsageError
from heads.labels import ClassTargets
from heads.splits import Fold
from heads.train.weighting import (
    Weighting,
    balanced,
    least_agreement,
    make_weighting,
    told_weights,
)

EXAMPLES = settings(max_examples=60, deadline=None)


@st.composite
def corpora(draw):
    """Counts, groups (some not known), classes, and who trains in each of some folds."""
    count = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    counts = rng.choice([0.0, 0.25, 0.6, 1.0], count, p=[0.1, 0.2, 0.3, 0.4])
    groups = rng.integers(-1, draw(st.integers(1, 4)), count)
    classes = rng.integers(0, draw(st.integers(1, 4)), count)
    train = rng.random((draw(st.integers(1, 3)), count)) < 0.7
    counts[0], train[:, 0] = 1.0, True
    return counts, groups, classes, train


@EXAMPLES
@given(corpora())
def test_groups_weigh_the_same_inside_each_emotion_and_emotions_what_they_did(corpus):
    counts, groups, classes, _ = corpus
    found = balanced(counts, groups, classes)
    np.testing.assert_array_equal(found > 0, counts > 0)
    np.testing.assert_array_equal(found[groups < 0], counts[groups < 0])
    for c in set(classes):
        own = (classes == c) & (groups >= 0)
        cells = [found[own & (groups == g)].sum() for g in set(groups[own & (counts > 0)])]
        np.testing.assert_allclose(cells, np.full(len(cells), np.mean(cells or [0.0])))
        np.testing.assert_allclose(found[own].sum(), counts[own].sum())
        for g in set(groups[own]):  # inside a cell nobody gains on another
            cell = own & (groups == g) & (counts > 0)
            np.testing.assert_allclose(np.ptp(found[cell] / counts[cell]) if cell.any() else 0, 0,
                                       atol=1e-9)  # fmt: skip


@EXAMPLES
@given(corpora())
def test_weights_have_mean_one_over_each_training_part(corpus):
    counts, groups, classes, train = corpus
    rows = np.arange(len(counts))
    for by in (groups, None):
        weighting = Weighting(counts=counts, groups=by, classes=classes)
        weights = weighting.weights(train, rows)
        np.testing.assert_array_equal(weights > 0, train & weighting.trains)
        np.testing.assert_allclose([row[row > 0].mean() for row in weights], 1)


@EXAMPLES
@given(corpora())
def test_views_change_nobodys_weight_where_each_utterance_has_one(corpus):
    counts, groups, classes, train = corpus
    weighting = Weighting(counts=counts, groups=groups, classes=classes)
    rows = np.arange(len(counts))
    once = weighting.weights(train, rows)
    twice = weighting.weights(np.tile(train, 2), np.tile(rows, 2))
    np.testing.assert_allclose(twice, np.tile(once, 2))


def test_with_one_emotion_it_is_scikit_learns_balanced_weight_of_groups():
    groups = np.random.default_rng(0).integers(0, 3, 50)
    found = balanced(np.ones(50), groups, np.zeros(50, np.int64))
    np.testing.assert_allclose(found, compute_sample_weight("balanced", groups))


def test_a_fold_is_balanced_by_its_own_training_part():
    weighting = Weighting(
        counts=np.ones(6), groups=np.array([0, 0, 0, 0, 1, 1]), classes=np.zeros(6, np.int64)
    )
    train = np.array([[1, 1, 1, 0, 1, 0], [1, 0, 0, 0, 1, 0]], bool)
    found = weighting.weights(train, np.arange(6))
    np.testing.assert_allclose(found, [[2 / 3, 2 / 3, 2 / 3, 0, 2, 0], [1, 0, 0, 0, 1, 0]])


def test_what_is_told_of_weights():
    weights = np.array([[0.5, 1.5, 0, 0], [1, 0, 1, 0]])
    asked = np.array([[1, 1, 0, 1], [1, 0, 1, 0]], bool)
    found = told_weights(weights, asked)
    share = (2**2 / (0.25 + 2.25) / 2 + 1) / 2
    assert found == {"least": 0.5, "largest": 1.5, "effective_share": pytest.approx(share),
                     "dropped": 1}  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "share"), [("keep", None), ("weight", None), ("drop=0.6", 0.6), ("drop=1", 1.0)]
)
def test_what_ambiguous_clips_may_be_asked_to_do(asked, share):
    assert least_agreement(asked) == share


@pytest.mark.parametrize("asked", ["", "drop", "drop=0", "drop=1.1", "drop=nan", "weight=0.5"])
def test_anything_else_is_refused(asked):
    with pytest.raises(UsageError, match=f"--ambiguous {asked}: give keep, weight, or drop=SHARE"):
        least_agreement(asked)


# What a corpus lacks is told


@pytest.fixture
def make(run_config, planted):
    """A weighting of the planted corpus by a column whose values are given, or by agreement."""

    def made(balance, values=None, **changes):
        utterances = planted[0]
        if values:
            utterances = [
                replace(u, extra={"part": v}) for u, v in zip(utterances, values, strict=True)
            ]
        labels = ["angry", "happy", "sad"]
        hard = np.eye(3)[[labels.index(u.label) for u in utterances]]
        targets = ClassTargets(names=tuple(labels), values=hard, kept=np.arange(96), left_out={},
                               agreement=np.ones(96))  # fmt: skip
        folds = [Fold(np.arange(24, 96), np.arange(12, 24), np.arange(12)),
                 Fold(np.arange(12, 84), np.arange(12), np.arange(84, 96))]  # fmt: skip
        return make_weighting(run_config(balance=balance, **changes), utterances, targets, folds)

    return made


def test_nothing_asked_is_nothing_made(make):
    assert make("") is None


def test_who_has_no_value_weighs_as_before_and_is_told(make, caplog):
    values = ["", "one", "two", "two"] * 24
    weighting = make("part", values)
    assert "--balance part: 24 of 96 utterances have no value there: they weigh as" in caplog.text
    found = weighting.weights(np.ones((1, 96), bool), np.arange(96))[0]
    np.testing.assert_allclose(found[::4], 1)
    np.testing.assert_allclose(found[1::4].sum(), found[2::4].sum() + found[3::4].sum())


def test_a_fold_that_trains_on_one_group_is_told(make, caplog):
    values = ["one"] * 24 + ["two"] * 72
    make("part", values)
    assert "--balance part: fold 0 trains on two alone, and nothing is evened out" in caplog.text
    assert "fold 1" not in caplog.text


def test_emotions_that_a_group_lacks_are_told(make, planted, caplog):
    values = ["one" if n % 2 and u.label != "sad" else "two" for n, u in enumerate(planted[0])]
    make("part", values)
    assert "without a training utterance, in so many folds: sad of one (2)" in caplog.text
