"""Regression of dimensions: scikit-learn's ridge, C by speakers that were not heard."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from heads.dimensional_metrics import dimensional_scores, dimensional_tally
from heads.models._ridge import GRID, fit_ridge, solve
from heads.splits import inner_parts


def planted(count=90, dim=12, noise=0.5, seed=0):
    """Vectors of six speakers, and values that are linear in them, on scales of their own."""
    rng = np.random.default_rng(seed)
    speakers = [f"s{n % 6}" for n in range(count)]
    vectors = rng.normal(5, 3, (count, dim)) * np.exp(rng.normal(0, 2, dim))
    standard = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    values = standard @ rng.standard_normal((dim, 2)) + noise * rng.standard_normal((count, 2))
    return vectors, values * [1.0, 40.0] + [4.0, -100.0], speakers


@pytest.mark.parametrize("dim", [5, 60, 300])
def test_it_is_scikit_learns_ridge_but_for_its_spread(dim):
    vectors, values, speakers = planted(dim=dim)
    train, val = np.arange(60), np.arange(60, 80)
    found = fit_ridge(vectors, values, speakers, train, val, c=0.02)
    scaler = StandardScaler().fit(vectors[:80])
    reference = Reference(alpha=1 / (2 * 0.02)).fit(scaler.transform(vectors[:80]), values[:80])
    ours, theirs = found.predict(vectors), reference.predict(scaler.transform(vectors))
    for one, other in zip(ours.T, theirs.T, strict=True):
        assert np.corrcoef(one, other)[0, 1] == pytest.approx(1, abs=1e-10)
    by_hand = solve(scaler.transform(vectors[:80]), values[:80, 0] - values[:80, 0].mean(), [0.02])
    np.testing.assert_allclose(by_hand[0], reference.coef_[0], rtol=1e-7, atol=1e-9)


def test_values_are_spread_as_annotations_are_and_so_agree_most():
    """Of all that is linear in what is predicted, that has the largest concordance."""
    vectors, values, speakers = planted(count=3000, dim=30, noise=4.0)
    found = fit_ridge(vectors, values, speakers, np.arange(2000), np.zeros(0, np.int64))
    predicted, truth = found.predict(vectors[2000:]), values[2000:]

    def ccc(x, y):
        tally = dimensional_tally(x[:, None], y[:, None]).sum(axis=0)
        return float(dimensional_scores(tally, ["it"])["ccc"])

    for x, y in zip(predicted.T, truth.T, strict=True):
        assert x.std() == pytest.approx(y.std(), rel=0.1)
        best = ccc(x, y)
        assert best == pytest.approx(np.corrcoef(x, y)[0, 1], abs=0.01)
        assert best > ccc(0.6 * (x - x.mean()) + x.mean(), y) + 0.01


@pytest.mark.parametrize("dim", [4, 40])
def test_the_slope_of_what_is_minimised_is_zero(dim):
    """1/2 |w|^2 + C sum of squares: w + 2 C X^T (X w - y) = 0, whichever system was solved."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((20, dim)), rng.standard_normal(20)
    for c, w in zip((0.01, 1.0), solve(x, y, (0.01, 1.0)), strict=True):
        np.testing.assert_allclose(w + 2 * c * x.T @ (x @ w - y), 0, atol=1e-10)


def test_what_is_not_annotated_is_not_learned_from():
    vectors, values, speakers = planted()
    train = np.arange(80)
    lacking = values.copy()
    lacking[::3, 1] = np.nan
    found = fit_ridge(vectors, lacking, speakers, train, np.zeros(0, np.int64))
    rows = train[~np.isnan(lacking[train, 1])]
    alone = fit_ridge(vectors, values[:, 1:], speakers, rows, np.zeros(0, np.int64))
    np.testing.assert_allclose(found.predict(vectors)[:, 1], alone.predict(vectors)[:, 0])
    assert found.c[1] == alone.c[0]


@pytest.mark.parametrize(("noise", "strong"), [(0.01, True), (30.0, False)])
def test_c_is_chosen_by_what_generalises(noise, strong):
    """Nearly exact values want hardly any penalty, nearly random ones much of it."""
    vectors, values, speakers = planted(count=60, dim=40, noise=noise)
    found = fit_ridge(vectors, values, speakers, np.arange(60), np.zeros(0, np.int64))
    chosen = found.c * vectors.shape[1]
    assert set(np.round(chosen, 6)) <= set(GRID)
    assert (chosen == max(GRID)).all() if strong else (chosen < max(GRID)).any()
    assert (found.inner_ccc > 0.8).all() if strong else (found.inner_ccc < 0.5).all()


def test_test_utterances_do_not_matter():
    vectors, values, speakers = planted()
    train, val = np.arange(50), np.arange(50, 70)
    found = fit_ridge(vectors, values, speakers, train, val)
    vectors[70:], values[70:] = 1e6, np.nan
    again = fit_ridge(vectors, values, speakers, train, val)
    np.testing.assert_array_equal(found.coef, again.coef)


def test_a_column_that_does_not_vary():
    vectors, values, speakers = planted()
    vectors[:, 3] = 7.25
    found = fit_ridge(vectors, values, speakers, np.arange(80), np.zeros(0, np.int64))
    assert np.isfinite(found.predict(vectors)).all()


def test_inner_folds_hear_neither_the_speaker_nor_the_scale_of_what_they_predict():
    """Each inner fold's values are those of scikit-learn on the other speakers alone."""
    vectors, values, speakers = planted()
    train = np.arange(90)
    c = 0.02
    found = fit_ridge(vectors, values[:, :1], speakers, train, np.zeros(0, np.int64), c)
    strata = ["+" if above else "-" for above in values[:, 0] > np.median(values[:, 0])]
    inner = np.zeros(90)
    for held in inner_parts(strata, speakers, 5, 0):
        rest = np.setdiff1d(train, held)
        assert not {speakers[i] for i in held} & {speakers[i] for i in rest}
        scaler = StandardScaler().fit(vectors[rest])
        reference = Reference(alpha=1 / (2 * c)).fit(
            scaler.transform(vectors[rest]), values[rest, 0]
        )
        inner[held] = reference.predict(scaler.transform(vectors[held]))
    # The spread is what those values need to have the annotations' mean and deviation.
    scaler = StandardScaler().fit(vectors)
    reference = Reference(alpha=1 / (2 * c)).fit(scaler.transform(vectors), values[:, 0])
    factor = values[:, 0].std() / inner.std()
    expected = values[:, 0].mean() + factor * (
        reference.predict(scaler.transform(vectors)) - inner.mean()
    )
    np.testing.assert_allclose(found.predict(vectors)[:, 0], expected, rtol=1e-7)
    spread = values[:, 0].mean() + factor * (inner - inner.mean())
    tally = dimensional_tally(spread[:, None], values[:, :1]).sum(axis=0)
    assert found.inner_ccc[0] == pytest.approx(float(dimensional_scores(tally, ["it"])["ccc"]))


def test_validation_values_shift_no_spread():
    """The spread is of the training part, however far validation lies."""
    vectors, values, speakers = planted()
    train, val = np.arange(60), np.arange(60, 80)
    plain = fit_ridge(vectors, values, speakers, train, val, c=1e-9)
    values[val] += 1000 * values.std(axis=0)
    moved = fit_ridge(vectors, values, speakers, train, val, c=1e-9)
    np.testing.assert_array_equal(plain.inner_ccc, moved.inner_ccc)
    assert (moved.intercept > plain.intercept).all()  # what trains it moves it all the same


def test_vectors_that_never_vary_predict_the_mean():
    _, values, speakers = planted()
    found = fit_ridge(np.full((90, 4), 3.5), values, speakers, np.arange(80), np.zeros(0, np.int64))
    predicted = found.predict(np.full((90, 4), 3.5))
    assert np.isfinite(predicted).all()
    np.testing.assert_allclose(predicted[0], values[:80].mean(axis=0), rtol=0.2)


def test_bits_do_not_depend_on_the_number_of_cores():
    vectors, values, speakers = planted(count=600, dim=900)
    bits = []
    for cores in (1, 2):
        with threadpool_limits(cores):
            bits.append(fit_ridge(vectors, values, speakers, np.arange(500), np.arange(500, 600)))
    np.testing.assert_array_equal(bits[0].coef, bits[1].coef)
