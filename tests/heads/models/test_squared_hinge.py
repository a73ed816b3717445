"""The solver: by LIBLINEAR, by the law of its solution, by what weights mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.svm import LinearSVC

from heads.models._squared_hinge import TOLERANCE, _length, multiplier, solve

TIGHT = 1e-10


def draw(count=60, dim=8, machines=3, seed=0):
    """Examples, and what each counts for and against each machine; some count nothing."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, dim)) * 2.0 ** rng.uniform(-3, 3, dim)
    sides = rng.random((machines, count)) < 0.4
    weights = rng.uniform(0, 1, (machines, count)) * (rng.random((machines, count)) < 0.9)
    return vectors, weights * sides, weights * ~sides


def solved(vectors, positive, negative, tolerance=TIGHT):
    """Weights [M, D] and intercepts [M]."""
    shares, done = solve(multiplier(vectors), positive, negative, tolerance)
    assert done.all()
    return shares @ vectors, shares.sum(axis=1)


def lengths(vectors, positive, negative, coef, intercept):
    """Of the gradients of the objective as it is written, against those where weights are zero."""
    wide = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)
    weights = np.concatenate([coef, intercept[:, None]], axis=1)

    def gradient(at):
        margins = at @ wide.T
        pull = positive * np.maximum(0, 1 - margins) - negative * np.maximum(0, 1 + margins)
        return at - 2 * pull @ wide

    first = np.linalg.norm(gradient(np.zeros_like(weights)), axis=1)
    return np.linalg.norm(gradient(weights), axis=1) / np.where(first > 0, first, 1)


@pytest.mark.parametrize("c", [1e-4, 0.01, 1.0])
@pytest.mark.parametrize("dim", [3, 55, 400])
def test_it_is_what_liblinear_finds(dim, c):
    vectors, positive, negative = draw(dim=dim)
    coef, intercept = solved(vectors, c * positive, c * negative)
    for own, offset, p, q in zip(coef, intercept, positive, negative, strict=True):
        svm = LinearSVC(C=c, dual=False, tol=1e-9, max_iter=10_000)
        svm.fit(vectors, p > 0, sample_weight=p + q)
        np.testing.assert_allclose(own, svm.coef_[0], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(offset, svm.intercept_[0], rtol=1e-5, atol=1e-7)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 10_000),
    st.integers(1, 80),
    st.integers(1, 80),
    st.sampled_from((1e-5, 1e-2, 1.0)),
)
def test_the_gradient_is_zero_at_the_solution(seed, count, dim, c):
    """The objective is strictly convex: no other point is as good."""
    vectors, positive, negative = draw(count, dim, seed=seed)
    positive, negative = c * positive, c * negative
    coef, intercept = solved(vectors, positive, negative)
    assert (lengths(vectors, positive, negative, coef, intercept) <= 1e-8).all()


def test_directions_of_any_strength_are_solved():
    """Ten of them rule all others, as loudness does among functionals."""
    vectors, positive, negative = draw(count=200, dim=150)
    vectors[:, :10] *= 30
    coef, intercept = solved(vectors, positive, negative, TOLERANCE)
    assert np.abs(coef[:, 10:]).max() > 0.01
    assert (lengths(vectors, positive, negative, coef, intercept) <= 1e-5).all()


def test_a_weight_of_three_is_an_example_three_times():
    vectors, positive, negative = draw()
    times = 1 + np.arange(len(vectors)) % 3
    weighted = solved(vectors, times * positive, times * negative)
    rows = np.repeat(np.arange(len(vectors)), times)
    repeated = solved(vectors[rows], positive[:, rows], negative[:, rows])
    for one, other in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


def test_an_example_for_and_against_is_two_examples():
    vectors, positive, negative = draw()
    both = solved(vectors, positive + 0.1, negative + 0.2)
    nothing = np.zeros_like(positive)
    apart = solved(
        np.concatenate([vectors, vectors]),
        np.concatenate([positive + 0.1, nothing], axis=1),
        np.concatenate([nothing, negative + 0.2], axis=1),
    )
    for one, other in zip(both, apart, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


def test_machines_do_not_touch_each_other():
    """Hard and easy ones, some of which stop long before the others."""
    vectors, positive, negative = draw(machines=12)
    strength = 10.0 ** np.linspace(-5, 2, 12)[:, None]
    coef, intercept = solved(vectors, strength * positive, strength * negative)
    for k in range(12):
        alone = slice(k, k + 1)
        own = solved(vectors, (strength * positive)[alone], (strength * negative)[alone])
        np.testing.assert_allclose(coef[alone], own[0], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(intercept[alone], own[1], rtol=1e-7, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from((1e-3, 1.0, 1e3)))
def test_a_step_ends_where_the_objective_is_least_along_it(seed, size):
    vectors, positive, negative = draw(count=30, seed=seed)
    inner = vectors @ vectors.T + 1
    rng = np.random.default_rng(seed)
    shares = 0.1 * rng.standard_normal(positive.shape)
    margins = shares @ inner

    def objective(at, k):
        f = at @ inner
        loss = positive[k] @ np.maximum(0, 1 - f) ** 2 + negative[k] @ np.maximum(0, 1 + f) ** 2
        return at @ f / 2 + loss

    downhill = 2 * positive * np.maximum(0, 1 - margins)
    downhill += -2 * negative * np.maximum(0, 1 + margins) - shares
    way = size * downhill
    found = _length(positive, negative, shares, margins, way, way @ inner)
    for k, length in enumerate(found):
        best = minimize_scalar(lambda t, k=k: objective(shares[k] + t * way[k], k))
        start, end = objective(shares[k], k), objective(shares[k] + length * way[k], k)
        assert start - end >= 0.99 * (start - best.fun)


def test_products_that_are_kept_and_products_that_are_not_are_the_same():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((3, 20))
    for vectors in (rng.standard_normal((20, 19)), rng.standard_normal((20, 20))):
        expected = rows @ (vectors @ vectors.T + 1)
        np.testing.assert_allclose(multiplier(vectors)(rows), expected, rtol=1e-7)


def test_a_machine_without_examples_is_zero_and_one_without_time_says_so():
    vectors, positive, negative = draw()
    positive[1] = negative[1] = 0
    shares, done = solve(multiplier(vectors), positive, negative, most_steps=0)
    assert done.tolist() == [False, True, False]
    assert not shares.any()
    shares, done = solve(multiplier(vectors), positive, negative)
    assert done.all()
    assert not shares[1].any()
    assert shares[0].any()


def test_the_same_again_is_the_same_bit_for_bit():
    vectors, positive, negative = draw(count=300, dim=100)
    first, again = (solve(multiplier(vectors), positive, negative)[0] for _ in range(2))
    assert first.tobytes() == again.tobytes()
