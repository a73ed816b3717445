"""Closeness of distributions is that of scipy and scikit-learn, and defined where votes are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance
from sklearn import metrics as reference
from sklearn.metrics.pairwise import paired_cosine_distances

from heads.soft_metrics import (
    SOFT_LIMITS,
    SOFT_METRICS,
    brier_score,
    cosine_similarity,
    jensen_shannon,
    kendall_tau,
    kl_divergence,
    soft_scores,
    soft_tally,
    tau_spread,
)

varied = settings(deadline=None, max_examples=60)
tables = st.tuples(st.integers(1, 40), st.integers(2, 6), st.integers(0, 2**32 - 1))
SYMMETRIC = (jensen_shannon, cosine_similarity, brier_score)


def random_distributions(count, classes, seed):
    """Predictions, some of them constant or certain; distributions of five votes."""
    rng = np.random.default_rng(seed)
    predicted = rng.dirichlet(np.full(classes, 0.6), count)
    predicted[rng.random(count) < 0.15] = 1 / classes
    predicted[rng.random(count) < 0.15] = np.eye(classes)[0]
    votes = rng.multinomial(5, np.full(classes, 1 / classes), count)
    return predicted, votes / 5


# Kendall's tau and KL


@varied
@given(tables)
def test_kendall_tau_is_that_of_scipy_per_utterance(table):
    predicted, targets = random_distributions(*table)
    predicted = predicted.round(1)  # so that predictions are tied, too
    expected = [
        stats.kendalltau(x, y, variant="b").statistic
        for x, y in zip(predicted, targets, strict=True)
    ]
    np.testing.assert_allclose(kendall_tau(predicted, targets), expected, atol=1e-12)


@varied
@given(tables)
def test_spread_of_tau_is_that_of_pandas_over_defined_utterances(table):
    from pandas import Series

    taus = kendall_tau(*random_distributions(*table))
    found, expected = tau_spread(taus), Series(taus).describe()
    assert (found.defined, found.undefined) == (expected["count"], np.isnan(taus).sum())
    names = {"mean": "mean", "lower_quartile": "25%", "median": "50%", "upper_quartile": "75%"}
    for name, column in names.items():
        value = getattr(found, name)
        if np.isnan(taus).all():
            assert value is None
        else:
            assert value == pytest.approx(expected[column], abs=1e-12), name


def test_the_utterances_of_all_seeds_count_alike():
    taus = np.array([[0.0, np.nan], [1.0, 0.5]])
    assert tau_spread(taus) == tau_spread(np.array([0.0, 0.5, 1.0, np.nan]))


def test_kl_of_a_certain_error_is_large_and_finite():
    certain = np.array([[1.0, 0.0]])
    assert kl_divergence(certain, certain) == 0
    assert 20 < kl_divergence(certain[:, ::-1], certain)[0] < 100


# Jensen-Shannon, cosine, Brier


@varied
@given(tables)
def test_jensen_shannon_is_the_square_of_scipys_distance_in_bits(table):
    predicted, targets = random_distributions(*table)
    expected = distance.jensenshannon(predicted, targets, base=2, axis=1) ** 2
    np.testing.assert_allclose(jensen_shannon(predicted, targets), expected, atol=1e-12)


@varied
@given(tables)
def test_jensen_shannon_is_entropy_of_the_mean_less_mean_entropy(table):
    predicted, targets = random_distributions(*table)
    together = stats.entropy((predicted + targets) / 2, base=2, axis=1)
    apart = (stats.entropy(predicted, base=2, axis=1) + stats.entropy(targets, base=2, axis=1)) / 2
    np.testing.assert_allclose(jensen_shannon(predicted, targets), together - apart, atol=1e-12)


def test_jensen_shannon_of_the_least_of_numbers_is_finite():
    least = np.array([[5e-324, 1.0]])
    assert jensen_shannon(least, np.array([[0.0, 1.0]])) == pytest.approx(0, abs=1e-15)


@varied
@given(tables)
def test_cosine_similarity_is_that_of_scikit_learn(table):
    predicted, targets = random_distributions(*table)
    expected = 1 - paired_cosine_distances(predicted, targets)
    np.testing.assert_allclose(cosine_similarity(predicted, targets), expected, atol=1e-12)


@varied
@given(tables)
def test_brier_score_of_hard_labels_is_that_of_scikit_learn(table):
    count, classes, seed = table
    predicted, _ = random_distributions(*table)
    truth = np.random.default_rng(seed).integers(0, classes, count)
    expected = reference.brier_score_loss(
        truth, predicted, labels=np.arange(classes), scale_by_half=False
    )
    assert brier_score(predicted, np.eye(classes)[truth]).mean() == pytest.approx(expected)


@varied
@given(tables)
def test_brier_score_of_votes_is_that_of_single_votes_less_their_own_spread(table):
    predicted, targets = random_distributions(*table)
    classes = targets.shape[1]
    single = np.stack([brier_score(predicted, np.eye(classes)[[c] * len(targets)])
                       for c in range(classes)], axis=1)  # fmt: skip
    own = 1 - (targets**2).sum(axis=1)
    expected = (targets * single).sum(axis=1) - own
    np.testing.assert_allclose(brier_score(predicted, targets), expected, atol=1e-12)


@varied
@given(tables)
def test_they_keep_their_ranges_and_their_ends(table):
    predicted, targets = random_distributions(*table)
    for name, measure in zip(SOFT_METRICS, SYMMETRIC, strict=True):
        low, high = SOFT_LIMITS.get(name, (0.0, 1.0))
        values = measure(predicted, targets)
        assert ((low <= values) & (values <= high)).all(), name
        np.testing.assert_allclose(values, measure(targets, predicted), atol=1e-15)
        best = 1.0 if name == "cosine" else 0.0
        np.testing.assert_allclose(measure(targets, targets), best, atol=1e-15)
        apart = measure(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
        assert apart == (0.0 if name == "cosine" else high), name


@varied
@given(tables)
def test_the_order_of_classes_does_not_matter(table):
    predicted, targets = random_distributions(*table)
    order = np.random.default_rng(0).permutation(targets.shape[1])
    for measure in (*SYMMETRIC, kendall_tau):
        found = measure(predicted[:, order], targets[:, order])
        np.testing.assert_allclose(found, measure(predicted, targets), atol=1e-12)


# Without votes


def test_without_votes_an_utterance_has_no_value():
    predicted, targets = np.array([[0.7, 0.3]]), np.zeros((1, 2))
    for measure in (*SYMMETRIC, kendall_tau):
        assert np.isnan(measure(predicted, targets)).all(), measure.__name__
    assert kl_divergence(targets, predicted) == 0
    assert not soft_tally(predicted, targets).any()
    assert all(np.isnan(value) for value in soft_scores(np.zeros(4)).values())


@varied
@given(tables)
def test_means_are_over_utterances_with_votes_and_tallies_add_up(table):
    predicted, targets = random_distributions(*table)
    voted = np.random.default_rng(table[2]).random(len(targets)) < 0.7
    targets = targets * voted[:, None]
    tallies = soft_tally(predicted, targets)
    found = soft_scores(tallies.sum(axis=0))
    for name, measure in zip(SOFT_METRICS, SYMMETRIC, strict=True):
        values = measure(predicted[voted], targets[voted])
        expected = values.mean() if voted.any() else np.nan
        assert found[name] == pytest.approx(expected, nan_ok=True, abs=1e-12), name
    each = soft_scores(tallies)
    assert each["js"].shape == (len(targets),)


def test_a_prediction_that_is_no_number_is_not_hidden():
    found = soft_scores(soft_tally(np.array([[np.nan, 0.5]]), np.array([[1.0, 0.0]]))[0])
    assert all(np.isnan(value) for value in found.values())
