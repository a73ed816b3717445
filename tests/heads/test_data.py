"""Batches hold everyone once; moments are those of the frames."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.errors import SerError, UsageError
from embedcache.store.quantise import dequantise, quantise
from embedcache.store.reader import CacheReader
from heads.data import (
    frame_set,
    load_frames,
    moments,
    reading_batches,
    reduced,
    speaker_scale,
    training_batches,
)

varied = settings(deadline=None, max_examples=60)
lengths_lists = st.lists(st.integers(1, 50), min_size=1, max_size=300).map(np.array)


def random_frames(lengths, dim=3, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return frame_set([rng.standard_normal((n, dim)).astype(dtype) for n in lengths])


# Batches


@varied
@given(lengths_lists, st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_an_epoch_holds_every_utterance_once(lengths, size, seed):
    for batches in (
        list(training_batches(lengths, size, np.random.default_rng(seed))),
        list(reading_batches(lengths, size)),
    ):
        assert all(0 < len(batch) <= size for batch in batches)
        found = np.sort(np.concatenate(batches))
        np.testing.assert_array_equal(found, np.arange(len(lengths)))


@varied
@given(lengths_lists, st.integers(1, 20))
def test_reading_goes_by_length(lengths, size):
    order = np.concatenate(list(reading_batches(lengths, size)))
    assert (np.diff(lengths[order]) >= 0).all()


@varied
@given(lengths_lists.filter(lambda lengths: len(lengths) <= 160), st.integers(0, 2**32 - 1))
def test_batches_hold_utterances_of_similar_length(lengths, seed):
    """Within a pool of 16 batches no batch reaches into the lengths of another."""
    batches = training_batches(lengths, 10, np.random.default_rng(seed))
    spans = sorted((lengths[batch].min(), lengths[batch].max()) for batch in batches)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_epochs_differ_and_a_seed_repeats_them():
    lengths = np.random.default_rng(0).integers(1, 50, 200)

    def epochs():
        rng = np.random.default_rng(1)
        return [[b.tolist() for b in training_batches(lengths, 8, rng)] for _ in range(2)]

    once = epochs()
    assert once == epochs()
    assert once[0] != once[1]
    assert {frozenset(b) for b in once[0]} != {frozenset(b) for b in once[1]}


@varied
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_a_batch_is_padded_and_its_mask_says_where(lengths):
    frames = random_frames(lengths, dtype=np.float16)
    chosen = list(range(len(lengths)))[::-1]
    padded, mask = frames.batch(chosen, "cpu")
    assert (padded.dtype, mask.dtype) == (torch.float32, torch.bool)
    assert padded.shape == (len(lengths), max(lengths), 3)
    for row, valid, i in zip(padded, mask, chosen, strict=True):
        assert valid.tolist() == [True] * lengths[i] + [False] * (max(lengths) - lengths[i])
        np.testing.assert_array_equal(row[valid], frames.arrays[i].astype(np.float32))
        assert (row[~valid] == 0).all()


# Moments


@varied
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=12),
    st.integers(1, 4),
    st.sampled_from((0.0, 1000.0)),
    st.integers(0, 2**32 - 1),
)
def test_moments_are_those_of_the_training_frames(lengths, models, mean, seed):
    """Also where the mean is a thousand deviations away."""
    frames = frame_set([mean + a for a in random_frames(lengths, seed=seed).arrays])
    train = np.random.default_rng(seed).random((models, len(lengths))) < 0.6
    train[:, 0] = True
    means, deviations = moments(frames, train)
    for k in range(models):
        own = np.concatenate([a for a, t in zip(frames.arrays, train[k], strict=True) if t])
        expected = own.astype(np.float64).std(axis=0)
        np.testing.assert_allclose(means[k], own.astype(np.float64).mean(axis=0), 1e-6, 1e-6)
        np.testing.assert_allclose(deviations[k], np.where(expected > 0, expected, 1), 1e-5)


def test_a_large_mean_does_not_swallow_a_small_variance():
    rng = np.random.default_rng(0)
    arrays = [1e4 + 0.05 * rng.standard_normal((50, 2)).astype(np.float32) for _ in range(9)]
    _, deviation = moments(frame_set(arrays), np.ones((1, 9), bool))
    expected = np.concatenate(arrays).astype(np.float64).std(axis=0)
    np.testing.assert_allclose(deviation[0], expected, rtol=1e-5)


def test_a_dimension_that_does_not_vary_is_centred_and_no_more():
    arrays = [np.array([[0.1, 7.0], [0.3, 7.0]], np.float32), np.array([[0.2, 7.0]], np.float32)]
    mean, deviation = moments(frame_set(arrays), np.ones((1, 2), bool))
    assert (mean[0, 1], deviation[0, 1]) == (7.0, 1.0)
    assert deviation[0, 0] < 0.1


def test_moments_do_not_see_what_does_not_train():
    lengths = [4, 5, 6, 3]
    frames = random_frames(lengths)
    train = np.array([[True, True, False, False]])
    other = frame_set([*frames.arrays[:2], 9 + frames.arrays[2], -frames.arrays[3]])
    for a, b in zip(moments(frames, train), moments(other, train), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


# Frames of a cache


def test_frames_are_those_of_the_layer(planted, planted_cache):
    utterances, frames = planted
    reader = CacheReader(planted_cache)
    for name, layer in (("0", 0), ("1", 1), ("last", 1)):
        loaded = load_frames(reader, reader.utterances, [name])
        assert loaded.dim == 5
        for utterance, array in zip(utterances, loaded.arrays, strict=True):
            np.testing.assert_array_equal(array, frames[utterance.id][layer])


def test_frames_are_reduced_once_where_the_head_allows_it(planted, planted_cache):
    utterances, frames = planted
    seen = []

    def reduce(array):
        seen.append(array.dtype)
        return array.max(axis=0, keepdims=True)

    reader = CacheReader(planted_cache)
    loaded = reduced(load_frames(reader, reader.utterances, ["last"]), reduce)
    assert seen == [np.float32] * len(utterances)
    assert set(loaded.lengths) == {1}
    np.testing.assert_array_equal(loaded.arrays[3][0], frames[utterances[3].id][1].max(axis=0))


def test_a_layer_must_be_stored(planted_cache):
    with pytest.raises(UsageError, match=r"layer '7' is not in .*, which holds 0, 1"):
        load_frames(CacheReader(planted_cache), [], ["7"])


def test_a_damaged_row_is_named(tmp_path, plant, write_cache):
    cache = write_cache(tmp_path / "cache", *plant(speakers=2))
    shard = next((cache / "shards").glob("*.h5"))
    with shard.open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"\x01" * 4)
    reader = CacheReader(cache)
    with pytest.raises(SerError, match=r"is damaged at utterance 's1-11' \(checksum\)"):
        load_frames(reader, reader.utterances, ["last"]).resident("cpu")


# Scales


@varied
@given(st.integers(1, 4), st.sampled_from((0.0, 300.0)), st.integers(0, 2**32 - 1))
def test_frames_of_each_speaker_have_mean_zero_and_deviation_one(speakers, offset, seed):
    """By their originals alone: views take their speaker's scale, and change it by nothing."""
    rng = np.random.default_rng(seed)
    names = [f"s{k}" for k in [*range(speakers), *rng.integers(0, speakers, 8)]]
    arrays = [
        (offset * (1 + int(name[1])) + rng.standard_normal((6, 3))).astype(np.float32)
        for name in names
    ]
    originals = len(names) - 3
    frames = frame_set(arrays)
    scale = speaker_scale(frames, names, originals)
    scaled = replace(frames, scale=scale)
    for name in set(names):
        own = [scaled.read(i) for i in range(originals) if names[i] == name]
        own = np.concatenate(own).astype(np.float64)
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-3)
        np.testing.assert_allclose(own.std(axis=0), 1, atol=1e-3)
    loud = frame_set([*arrays[:originals], *(100 * a for a in arrays[originals:])])
    again = speaker_scale(loud, names, originals)
    np.testing.assert_array_equal(again.shift, scale.shift)
    np.testing.assert_array_equal(again.divisor, scale.divisor)


def test_layers_stand_side_by_side(planted, planted_cache):
    utterances, frames = planted
    reader = CacheReader(planted_cache)
    loaded = load_frames(reader, reader.utterances, ["0", "1"])
    assert loaded.dim == 10
    for index in (0, 7):
        own = frames[utterances[index].id]
        np.testing.assert_array_equal(loaded.read(index), np.concatenate([own[0], own[1]], axis=1))


def test_an_int8_cache_gives_what_its_levels_stand_for(tmp_path, planted, write_cache):
    utterances, frames = planted
    reader = CacheReader(write_cache(tmp_path / "int8", utterances, frames, store_dtype="int8"))
    loaded = load_frames(reader, reader.utterances, ["last"])
    values = frame_set([dequantise(*quantise(frames[u.id]))[1] for u in reader.utterances])
    assert loaded.dim == values.dim == 5
    np.testing.assert_array_equal(loaded.lengths, values.lengths)
    for a, b in zip(loaded.batch([7, 0, 31], "cpu"), values.batch([7, 0, 31], "cpu"), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("held", [True, False])
def test_long_batches_have_few_shapes_and_the_same_frames(held):
    """Every length from 1 to 150 alone: as it is up to 32 frames, then a multiple of 32."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((n, 3)).astype(np.float32) for n in range(1, 151)]
    frames = frame_set(arrays)
    frames = frames.resident("cpu") if held else frames
    shapes = set()
    for index, array in enumerate(arrays):
        padded, mask = frames.batch([index], "cpu")
        assert mask.sum() == len(array) and mask[0, : len(array)].all()
        assert np.array_equal(padded[0, : len(array)], array)
        assert padded.isfinite().all()
        shapes.add(padded.shape[1])
    assert shapes == {*range(1, 33), 64, 96, 128, 160}


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=40), limit=st.integers(1, 2000))
def test_parts_of_a_batch_hold_each_clip_once_and_few_values(lengths, limit):
    frames = frame_set([np.zeros((n, 3), np.float32) for n in lengths])
    indices = np.random.default_rng(0).permutation(len(lengths))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("heads.data._LARGEST", limit)
        parts = frames.parts(indices, "cpu")
        assert [p.tolist() for p in frames.parts(indices, "cuda")] == [indices.tolist()]
    assert sorted(np.concatenate(parts).tolist()) == sorted(indices.tolist())
    sizes = [len(part) * max(lengths[i] for i in part) * 3 for part in parts]
    assert all(size <= limit or len(part) == 1 for size, part in zip(sizes, parts, strict=True)
               if len(parts) > 1)  # fmt: skip
    if len(parts) == 1:  # as it was
        assert parts[0].tolist() == indices.tolist()
        assert len(lengths) == 1 or len(lengths) * max(lengths) * 3 <= limit
