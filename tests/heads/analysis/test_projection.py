"""Projections keep neighbours together, repeat with their seed, and take any number of clips."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from embedcache.errors import UsageError
from heads.analysis.projection import METHODS, project_vectors


def clouds(count=90, dim=60, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(count) % 3
    vectors = 4 * rng.standard_normal((3, dim))[codes] + rng.standard_normal((count, dim))
    return (50 + vectors * rng.uniform(0.01, 100, dim)).astype(np.float32), codes


@pytest.mark.parametrize("method", METHODS)
def test_clouds_stay_together(method):
    vectors, codes = clouds()
    plane, settings = project_vectors(vectors, method)
    near = KNeighborsClassifier(3).fit(plane[::2], codes[::2]).score(plane[1::2], codes[1::2])
    assert near > 0.95
    assert settings["components"] == 50
    assert settings["seed"] == 0


@pytest.mark.parametrize("method", METHODS)
def test_coordinates_are_from_0_to_1_in_one_scale(method):
    plane, _ = project_vectors(clouds()[0], method)
    assert plane.shape == (90, 2)
    assert plane.min() >= 0 and plane.max() <= 1
    spans = np.ptp(plane, axis=0)
    assert spans.max() == pytest.approx(1)
    middle = (plane.min(axis=0) + plane.max(axis=0)) / 2
    np.testing.assert_allclose(middle, 0.5)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_repeats_it(method):
    vectors = clouds(40)[0]
    once, again = (project_vectors(vectors, method, seed=3)[0] for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_seeds_differ():
    vectors = clouds(40)[0]
    one, other = (project_vectors(vectors, "umap", seed)[0] for seed in (0, 1))
    assert not np.allclose(one, other)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [5, 12])
def test_few_clips_have_few_neighbours(method, count):
    plane, settings = project_vectors(clouds(count)[0], method)
    assert plane.shape == (count, 2)
    assert np.isfinite(plane).all()
    if method == "t-sne":
        assert settings["perplexity"] == pytest.approx((count - 1) / 3)
    else:
        assert settings["neighbours"] == count - 1


def test_units_of_the_columns_do_not_show():
    vectors = clouds(40)[0].astype(np.float64)
    one = project_vectors(vectors)[0]
    other = project_vectors(vectors * 2.0 ** np.arange(-30, 30))[0]
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_vectors_that_are_all_the_same_lie_in_one_place():
    plane, _ = project_vectors(np.ones((8, 4)))
    np.testing.assert_array_equal(plane, 0.5)


def test_nothing_is_warned_of():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        project_vectors(clouds(20)[0], "umap")
    assert told == []


# Messages


def test_too_few_clips_and_unknown_methods_are_said():
    with pytest.raises(
        UsageError, match="4 utterances are too few for a projection, which takes 5"
    ):
        project_vectors(np.ones((4, 3)))
    with pytest.raises(UsageError, match="unknown --project 'tsne': did you mean 't-sne'"):
        project_vectors(np.ones((9, 3)), "tsne")


def test_without_the_extra_umap_is_refused_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    text = (
        "--project umap needs the package umap-learn; install it with "
        r"`pip install 'ser-embedcache\[umap\]'`"
    )
    with pytest.raises(UsageError, match=text):
        project_vectors(clouds(20)[0], "umap")
