"""Vectors are the means and deviations of what a reader gives."""

from __future__ import annotations

import numpy as np
import pytest

from embedcache.errors import SerError, UsageError
from embedcache.store.reader import CacheReader
from heads.pool import PooledReader
from heads.vectors import utterance_vectors


@pytest.fixture(scope="module")
def reader(planted_cache):
    return CacheReader(planted_cache)


def test_vectors_are_means_and_deviations_over_time(reader, planted):
    utterances, frames = planted
    found = utterance_vectors(reader, utterances, ["0", "1"], "mean-std")
    assert found.dtype == np.float32
    expected = np.array(
        [np.concatenate([frames[u.id].mean(1), frames[u.id].std(1)], axis=1) for u in utterances]
    )
    np.testing.assert_allclose(found, expected.transpose(1, 0, 2), atol=1e-5)
    means = utterance_vectors(reader, utterances, ["0", "1"])
    np.testing.assert_array_equal(means, found[:, :, : reader.meta.dim])


def test_layers_and_utterances_come_in_the_order_in_which_they_are_asked_for(reader):
    chosen = reader.utterances[::-3]
    one, two = utterance_vectors(reader, chosen, ["1", "0"])
    np.testing.assert_array_equal(one[2], reader.frames(chosen[2].id, 1).mean(axis=0))
    np.testing.assert_array_equal(two[2], reader.frames(chosen[2].id, 0).mean(axis=0))


def test_a_large_mean_does_not_swallow_a_small_deviation(tmp_path, planted, write_cache):
    utterances, frames = planted
    moved = {name: array + np.float32(1000) for name, array in frames.items()}
    folder = write_cache(tmp_path / "far", utterances, moved)
    found = utterance_vectors(CacheReader(folder), utterances, ["0"], "mean-std")
    near = np.array([frames[u.id][0].std(axis=0) for u in utterances])
    np.testing.assert_allclose(found[0, :, 5:], near, atol=5e-4)


def test_quantised_frames_give_nearly_the_same(tmp_path, planted, write_cache, reader):
    folder = write_cache(tmp_path / "int8", *planted, store_dtype="int8")
    exact = utterance_vectors(reader, planted[0], ["0", "1"], "mean-std")
    found = utterance_vectors(CacheReader(folder), planted[0], ["0", "1"], "mean-std")
    np.testing.assert_allclose(found, exact, atol=0.05)
    assert not np.array_equal(found, exact)


def test_several_corpora_are_read_as_one(corpora_dir):
    pooled = PooledReader([CacheReader(path) for path in sorted(corpora_dir.glob("*/*"))])
    found = utterance_vectors(pooled, pooled.utterances, ["0"])
    last = pooled.utterances[-1]
    assert found.shape == (1, len(pooled.utterances), pooled.meta.dim)
    np.testing.assert_array_equal(found[0, -1], pooled.frames(last.id, 0).mean(axis=0))


def test_what_is_no_number_is_named(tmp_path, planted, write_cache):
    utterances, frames = planted
    broken = {**frames, "s2-03": np.full_like(frames["s2-03"], np.nan)}
    folder = write_cache(tmp_path / "broken", utterances, broken)
    text = "the vector of utterance s2-03 at layer 1 holds NaN or infinity; run `ser cache verify`"
    with pytest.raises(SerError, match=text):
        utterance_vectors(CacheReader(folder), utterances, ["1"])


def test_an_unknown_kind_or_layer_is_said(reader):
    with pytest.raises(UsageError, match="unknown --vectors 'mena': did you mean 'mean'"):
        utterance_vectors(reader, reader.utterances, ["0"], "mena")
    with pytest.raises(UsageError, match="layer '7' is not in .* which holds 0, 1"):
        utterance_vectors(reader, reader.utterances, ["7"])
