"""SVMs of several classes: scikit-learn's, with soft labels, with classes that are not there."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from heads.models._one_vs_rest import fit_margins
from heads.models._squared_hinge import multiplier

CLOSE = {"rtol": 1e-6, "atol": 1e-7}
VALUES = (0.01, 0.1, 2.0)


def plant(count=90, dim=6, classes=3, seed=0):
    """Vectors that hold their class; the last classes have fewer of them."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % (2 * classes - 1)
    truth = np.where(truth < classes, truth, truth - classes)
    vectors = rng.standard_normal((classes, dim))[truth] + 1.5 * rng.standard_normal((count, dim))
    return vectors - vectors.mean(axis=0), truth


def fit(vectors, targets, candidates=VALUES, tolerance=1e-10, **changes):
    return fit_margins(vectors, multiplier(vectors), targets, candidates, tolerance, **changes)


def reference(vectors, truth, c, weights=None):
    svm = LinearSVC(C=c, class_weight="balanced", dual=False, tol=1e-9, max_iter=10_000)
    return svm.fit(vectors, truth, sample_weight=weights)


@pytest.mark.parametrize("classes", [3, 5])
@pytest.mark.parametrize("dim", [2, 30, 200])
def test_each_class_has_the_weights_and_intercept_that_scikit_learn_finds(dim, classes):
    vectors, truth = plant(dim=dim, classes=classes)
    coef, intercept = fit(vectors, np.eye(classes)[truth])
    for own, offset, c in zip(coef, intercept, VALUES, strict=True):
        theirs = reference(vectors, truth, c)
        np.testing.assert_allclose(own, theirs.coef_, **CLOSE)
        np.testing.assert_allclose(offset, theirs.intercept_, **CLOSE)


@pytest.mark.parametrize("dim", [2, 200])
def test_two_classes_share_a_machine(dim):
    vectors, truth = plant(dim=dim, classes=2)
    coef, intercept = fit(vectors, np.eye(2)[truth])
    np.testing.assert_array_equal(coef[:, 0], -coef[:, 1])
    np.testing.assert_array_equal(intercept[:, 0], -intercept[:, 1])
    for own, offset, c in zip(coef[:, 1], intercept[:, 1], VALUES, strict=True):
        theirs = reference(vectors, truth, c)
        np.testing.assert_allclose(own, theirs.coef_[0], **CLOSE)
        np.testing.assert_allclose(offset, theirs.intercept_[0], **CLOSE)


@pytest.mark.parametrize("classes", [2, 3])
def test_votes_are_weights_of_an_utterance_in_each_class(classes):
    """As if each vote were an utterance of its own, which counts less by the number of votes."""
    vectors, truth = plant(classes=classes)
    votes = np.eye(classes)[truth] * 2
    votes += np.eye(classes)[(truth + np.arange(len(truth)) % classes) % classes]
    coef, intercept = fit(vectors, votes / 3, [0.1])
    rows, labels = np.nonzero(votes)
    theirs = reference(
        np.repeat(vectors[rows], votes[rows, labels].astype(int), axis=0),
        np.repeat(labels, votes[rows, labels].astype(int)),
        0.1 / 3,
    )
    own = slice(1, None) if classes == 2 else slice(None)
    np.testing.assert_allclose(coef[0, own], theirs.coef_, **CLOSE)
    np.testing.assert_allclose(intercept[0, own], theirs.intercept_, **CLOSE)


@pytest.mark.parametrize("present", [(1,), (0, 2), (0, 1, 2)])
def test_an_absent_class_has_the_margin_of_an_svm_without_examples(present):
    rng = np.random.default_rng(0)
    vectors, truth = rng.standard_normal((30, 4)), np.array(present)[np.arange(30) % len(present)]
    coef, intercept = fit(vectors, np.eye(3)[truth], [1.0])
    for k in set(range(3)) - set(present):
        assert not coef[0, k].any()
        assert intercept[0, k] == -1
    assert set((vectors @ coef[0].T + intercept[0]).argmax(axis=1)) == set(present)


def test_a_machine_that_has_not_converged_says_so(caplog):
    caplog.set_level(logging.WARNING)
    vectors, truth = plant()
    fit(vectors, np.eye(3)[truth], [1e-9, 1.0], tolerance=1e-6, most_steps=1)
    assert "svm: C = 1 had not converged after 1 steps" in caplog.text
    assert "1e-09" not in caplog.text
    caplog.clear()
    fit(vectors, np.eye(3)[truth], [1.0])
    assert not caplog.text
