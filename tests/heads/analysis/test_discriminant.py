"""The closed form is scikit-learn's ridge regression and its linear discriminant."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.preprocessing import StandardScaler

from heads.analysis.discriminant import (
    PENALTIES,
    classify,
    decompose,
    discriminant,
    leave_one_out,
)

SHAPES = [(120, 9), (40, 70)]  # more utterances than values, and fewer


def draw(count, dim, classes, seed=0, distance=1.0):
    """Vectors around class means, far from 0 and of unequal scale; classes of about equal size."""
    rng = np.random.default_rng(seed)
    codes = np.arange(count + 60) % classes
    values = distance * rng.standard_normal((classes, dim))[codes]
    values = 30 + (values + rng.standard_normal(values.shape)) * rng.uniform(0.1, 9, dim)
    return values[:count], codes[:count], values[count:]


@pytest.mark.parametrize("shape", SHAPES)
def test_directions_hold_the_training_vectors(shape):
    train, _, test = draw(*shape, 3)
    found = decompose(train.astype(np.float32), test)
    scaler = StandardScaler().fit(train)
    seen = scaler.transform(train)
    scaled = found.rows * np.sqrt(found.powers)
    np.testing.assert_allclose(scaled @ scaled.T, seen @ seen.T, atol=1e-3)
    np.testing.assert_allclose(found.rows.T @ found.rows, np.eye(len(found.powers)), atol=1e-9)
    np.testing.assert_allclose(
        found.tested @ scaled.T, scaler.transform(test) @ seen.T, atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_errors_are_those_of_ridgecv(shape):
    train, codes, test = draw(*shape, 4)
    directions = decompose(train, test)
    penalties = PENALTIES * directions.powers.mean()
    targets = np.eye(4)[codes]
    ridge = RidgeCV(alphas=penalties, store_cv_results=True)
    ridge.fit(StandardScaler().fit_transform(train), targets)
    expected = ridge.cv_results_.mean(axis=0).T  # [P, C]
    np.testing.assert_allclose(leave_one_out(directions, targets, penalties), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_errors_are_those_of_fits_without_the_utterance(shape):
    train, codes, test = draw(*shape, 2)
    targets = np.eye(2)[codes]
    seen = StandardScaler().fit_transform(train)
    penalty = 3.0
    errors = []
    for left in range(len(seen)):
        x, y = np.delete(seen, left, axis=0), np.delete(targets, left, axis=0)
        mean = x.mean(axis=0)
        x = x - mean
        w = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (y - y.mean(axis=0)))
        errors.append(y.mean(axis=0) + (seen[left] - mean) @ w - targets[left])
    found = leave_one_out(decompose(train, test), targets, np.array([penalty]))
    np.testing.assert_allclose(found[0], np.square(errors).mean(axis=0), rtol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("distance", [0.15, 1.0])
def test_two_classes_of_one_size_are_told_apart_as_ridgeclassifiercv_does(shape, distance):
    train, codes, test = draw(*shape, 2, distance=distance)
    directions = decompose(train, test)
    scaler = StandardScaler().fit(train)
    ridge = RidgeClassifierCV(alphas=PENALTIES * directions.powers.mean())
    ridge.fit(scaler.transform(train), codes)
    (found,) = classify(directions, [codes])
    np.testing.assert_array_equal(found, ridge.predict(scaler.transform(test)))


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_are_those_of_the_discriminant_with_a_penalised_covariance(shape):
    """Classes of equal size: scikit-learn weighs their covariances by the priors."""
    train, codes, test = draw(*shape, 4)
    penalty = 7.0

    class Penalised(EmpiricalCovariance):
        def fit(self, x, y=None):
            super().fit(x)
            self.covariance_ += penalty / len(train) * np.eye(x.shape[1])
            return self

    scaler = StandardScaler().fit(train)
    lda = LinearDiscriminantAnalysis("lsqr", priors=[0.25] * 4, covariance_estimator=Penalised())
    lda.fit(scaler.transform(train), codes)
    expected = lda.decision_function(scaler.transform(test))
    found = discriminant(decompose(train, test), np.eye(4)[codes], penalty)
    centred = [x - x.mean(axis=1, keepdims=True) for x in (found, expected)]
    np.testing.assert_allclose(*centred, atol=1e-6)


def test_small_classes_count_like_large_ones():
    """W is that of all utterances, and the classes' shares do not move the decision."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [300, 40, 15])
    train = 2 * np.eye(3, 6)[codes] + rng.standard_normal((len(codes), 6))
    truth = np.repeat([0, 1, 2], 400)
    test = 2 * np.eye(3, 6)[truth] + rng.standard_normal((len(truth), 6))
    directions = decompose(train, test)
    seen, unseen = (StandardScaler().fit(train).transform(x) for x in (train, test))
    means = np.array([seen[codes == c].mean(axis=0) for c in range(3)])
    off = seen - means[codes]
    within = off.T @ off / len(codes) + 0.5 / len(codes) * np.eye(6)
    inverse = np.linalg.inv(within)
    lengths = np.einsum("ci,ij,cj->c", means, inverse, means)
    powers = np.linalg.eigvalsh(seen.T @ seen)
    lengths -= (powers / (powers + 0.5)).sum() / [300, 40, 15]  # what chance adds
    expected = unseen @ inverse @ means.T - lengths / 2
    found = discriminant(directions, np.eye(3)[codes], 0.5)
    np.testing.assert_allclose(found, expected, atol=1e-8)
    (guess,) = classify(directions, [codes])
    ours = np.mean([(guess == truth)[truth == c].mean() for c in range(3)])
    ridge = RidgeClassifierCV(alphas=PENALTIES * directions.powers.mean()).fit(seen, codes)
    theirs = np.mean([(ridge.predict(unseen) == truth)[truth == c].mean() for c in range(3)])
    assert ours > 0.75
    assert ours > theirs + 0.15


def test_chance_does_not_hide_a_small_class_among_many_values():
    """Half of what is not there is taken for either class, though one is nine times the other."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], [450, 50])
    shares = []
    for _ in range(5):
        directions = decompose(*(rng.standard_normal((n, 300)) for n in (500, 400)))
        scores = discriminant(directions, np.eye(2)[codes], directions.powers.mean())
        shares.append((scores.argmax(axis=1) == 1).mean())
    assert 0.35 < np.mean(shares) < 0.65


def test_labellings_do_not_touch_each_other():
    train, codes, test = draw(120, 9, 4)
    directions = decompose(train, test)
    others = [np.random.default_rng(n).integers(0, n + 2, len(codes)) for n in range(3)]
    together = classify(directions, [others[0], codes, *others[1:]])
    np.testing.assert_array_equal(together[1], classify(directions, [codes])[0])


def test_a_column_that_does_not_vary_says_nothing():
    train, codes, test = draw(120, 9, 3)
    flat = np.full((len(train), 1), 1234.5678)
    wider, rest = np.hstack([train, flat]), np.hstack([test, np.full((len(test), 1), 99.0)])
    (alone,) = classify(decompose(train, test), [codes])
    (beside,) = classify(decompose(wider.astype(np.float32), rest), [codes])
    np.testing.assert_array_equal(alone, beside)


def test_vectors_that_are_all_the_same_give_the_first_class():
    found = classify(decompose(np.ones((6, 3)), np.ones((2, 3))), [np.arange(6) % 2])
    np.testing.assert_array_equal(found[0], [0, 0])


def test_classes_with_one_mean_are_not_told_apart_by_rounding():
    rng = np.random.default_rng(0)
    half = rng.standard_normal((50, 8))
    train = np.concatenate([half, half[::-1]])
    codes = np.repeat([0, 1], 50)
    (found,) = classify(decompose(train, rng.standard_normal((40, 8))), [codes])
    np.testing.assert_array_equal(found, np.zeros(40))


def test_a_class_that_the_training_part_lacks_is_never_predicted():
    train, codes, test = draw(120, 9, 3)
    moved = np.where(codes == 2, 3, codes)  # class 2 has no utterance
    (found,) = classify(decompose(train, test), [moved])
    (expected,) = classify(decompose(train, test), [codes])
    np.testing.assert_array_equal(found, np.where(expected == 2, 3, expected))
