"""The closed form is scikit-learn's ridge regression and its linear discriminant."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV
from sklearn.preprocessing import StandardScaler

from heads.analysis.discriminant import (
    PENALTIES,
    choose_penalties,
    classify,
    decompose,
    discriminant,
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
    scaled = found.seen @ found.axes
    np.testing.assert_allclose(scaled @ scaled.T, seen @ seen.T, atol=1e-3)
    np.testing.assert_allclose(scaled.T @ scaled, np.diag(found.powers), atol=1e-6)
    np.testing.assert_allclose(found.axes.T @ found.axes, np.eye(len(found.powers)), atol=1e-9)
    np.testing.assert_allclose(
        found.tested @ scaled.T, scaler.transform(test) @ seen.T, atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("distance", [0.15, 1.0])
@pytest.mark.parametrize("share", PENALTIES[[0, 4, 6, 10]])
def test_two_classes_of_one_size_are_told_apart_as_ridgeclassifier_does(shape, distance, share):
    train, codes, test = draw(*shape, 2, distance=distance)
    directions = decompose(train, test)
    penalty = share * directions.powers.mean()
    scaler = StandardScaler().fit(train)
    ridge = RidgeClassifier(alpha=penalty, solver="svd").fit(scaler.transform(train), codes)
    (found,) = classify(directions, [codes], [penalty])
    np.testing.assert_array_equal(found, ridge.predict(scaler.transform(test)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("distance", [0.15, 0.3])
def test_the_penalty_is_the_one_that_recognises_most_of_what_is_left_out(shape, distance):
    """As scikit-learn's ridge does where halves of the training part are left out in turn."""
    train, codes, test = draw(*shape, 2, seed=3, distance=distance)
    penalties = PENALTIES * decompose(train, test).powers.mean()
    halves = np.arange(len(codes)) // 2 % 2  # either class in either
    parts, hits = [], np.zeros((len(penalties), 2))
    for half in range(2):
        seen, left = np.flatnonzero(halves != half), np.flatnonzero(halves == half)
        parts.append((decompose(train[seen], train[left]), codes[None, seen], codes[None, left]))
        scaler = StandardScaler().fit(train[seen])
        for place, penalty in enumerate(penalties):
            ridge = RidgeClassifier(alpha=penalty, solver="svd")
            ridge.fit(scaler.transform(train[seen]), codes[seen])
            right = ridge.predict(scaler.transform(train[left])) == codes[left]
            hits[place] += np.bincount(codes[left], weights=right, minlength=2)
    score = (hits / np.bincount(codes)).mean(axis=1)
    ties = np.flatnonzero(np.isclose(score, score.max()))
    assert len(ties) < len(penalties)
    expected = penalties[ties[len(ties) // 2]]
    assert choose_penalties(parts, penalties, [2]) == pytest.approx(expected)


def test_each_labelling_has_its_own_penalty():
    train, codes, test = draw(40, 70, 2, distance=0.5)
    penalties = PENALTIES * decompose(train, test).powers.mean()
    random = np.random.default_rng(0).integers(0, 3, len(codes))
    found = decompose(train[::2], train[1::2])
    alone = []
    for own in (codes, random):
        parts = [(found, own[None, ::2], own[None, 1::2])]
        alone.append(choose_penalties(parts, penalties, [int(own.max()) + 1])[0])
    both = np.stack([codes, random])
    together = choose_penalties([(found, both[:, ::2], both[:, 1::2])], penalties, [2, 3])
    np.testing.assert_array_equal(together, alone)


def test_small_classes_choose_the_penalty_like_large_ones():
    """What is counted is recalls, not utterances."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [200, 12, 12])
    train = 1.5 * np.eye(3, 40)[codes] + rng.standard_normal((len(codes), 40))
    penalties = PENALTIES * decompose(train, train).powers.mean()
    seen, left = slice(0, None, 2), slice(1, None, 2)
    found = decompose(train[seen], train[left])
    recalls = np.empty((len(penalties), 3))
    for place, penalty in enumerate(penalties):
        (guess,) = classify(found, [codes[seen]], [penalty])
        recalls[place] = [(guess == c)[codes[left] == c].mean() for c in range(3)]
    chosen = choose_penalties([(found, codes[None, seen], codes[None, left])], penalties, [3])[0]
    own = recalls.mean(axis=1)[list(penalties).index(chosen)]
    assert own == recalls.mean(axis=1).max()
    assert own > recalls.mean(axis=1).min()


def test_where_nothing_is_left_out_the_middle_penalty_is_taken():
    penalties = PENALTIES * 3.0
    assert choose_penalties([], penalties, [2, 4]).tolist() == [3.0, 3.0]


def test_a_left_out_class_that_nobody_trains_moves_no_choice():
    train, codes, test = draw(120, 9, 3, distance=0.3)
    penalties = PENALTIES * decompose(train, test).powers.mean()
    seen = np.flatnonzero((codes != 2) & (np.arange(len(codes)) < 60))
    left = np.arange(60, len(codes))
    known = left[codes[left] != 2]
    found = [
        choose_penalties(
            [(decompose(train[seen], train[rows]), codes[None, seen], codes[None, rows])],
            penalties,
            [3],
        )[0]
        for rows in (left, known)
    ]
    assert found[0] == found[1]


def test_beyond_the_largest_penalty_nothing_changes():
    """It is the nearest class mean already, so that no wider choice would find anything else."""
    train, codes, test = draw(120, 9, 4, distance=0.3)
    directions = decompose(train, test)
    scaler = StandardScaler().fit(train)
    seen, unseen = scaler.transform(train), scaler.transform(test)
    means = np.array([seen[codes == c].mean(axis=0) for c in range(4)])
    nearest = np.square(unseen[:, None] - means).sum(axis=-1).argmin(axis=1)
    penalties = directions.powers.mean() * PENALTIES[-1] * np.array([1, 100.0])
    for penalty in penalties:
        (found,) = classify(directions, [codes], [penalty])
        np.testing.assert_array_equal(found, nearest)


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
    found = discriminant(decompose(train, test), np.eye(4)[codes], np.array([penalty]))[0]
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
    found = discriminant(directions, np.eye(3)[codes], np.array([0.5]))[0]
    np.testing.assert_allclose(found, expected, atol=1e-8)
    (guess,) = classify(directions, [codes], [0.5])
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
        scores = discriminant(directions, np.eye(2)[codes], directions.powers.mean(keepdims=True))[
            0
        ]
        shares.append((scores.argmax(axis=1) == 1).mean())
    assert 0.35 < np.mean(shares) < 0.65


def test_labellings_do_not_touch_each_other():
    train, codes, test = draw(120, 9, 4)
    directions = decompose(train, test)
    others = [np.random.default_rng(n).integers(0, n + 2, len(codes)) for n in range(3)]
    together = classify(directions, [others[0], codes, *others[1:]], [1.0, 20.0, 3.0, 4.0])
    np.testing.assert_array_equal(together[1], classify(directions, [codes], [20.0])[0])


def test_a_column_that_does_not_vary_says_nothing():
    train, codes, test = draw(120, 9, 3)
    flat = np.full((len(train), 1), 1234.5678)
    wider, rest = np.hstack([train, flat]), np.hstack([test, np.full((len(test), 1), 99.0)])
    (alone,) = classify(decompose(train, test), [codes], [1.0])
    (beside,) = classify(decompose(wider.astype(np.float32), rest), [codes], [1.0])
    np.testing.assert_array_equal(alone, beside)


def test_vectors_that_are_all_the_same_give_the_first_class():
    found = classify(decompose(np.ones((6, 3)), np.ones((2, 3))), [np.arange(6) % 2], [1.0])
    np.testing.assert_array_equal(found[0], [0, 0])


def test_classes_with_one_mean_are_not_told_apart_by_rounding():
    rng = np.random.default_rng(0)
    half = rng.standard_normal((50, 8))
    train = np.concatenate([half, half[::-1]])
    codes = np.repeat([0, 1], 50)
    (found,) = classify(decompose(train, rng.standard_normal((40, 8))), [codes], [1.0])
    np.testing.assert_array_equal(found, np.zeros(40))


def test_a_class_that_the_training_part_lacks_is_never_predicted():
    train, codes, test = draw(120, 9, 3)
    moved = np.where(codes == 2, 3, codes)  # class 2 has no utterance
    (found,) = classify(decompose(train, test), [moved], [1.0])
    (expected,) = classify(decompose(train, test), [codes], [1.0])
    np.testing.assert_array_equal(found, np.where(expected == 2, 3, expected))
