from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.audio.conditioning import Conditioning
from embedcache.corpora import read_corpus
from embedcache.encoders import load_tunable
from embedcache.errors import SerError
from heads.finetune import clips as module
from heads.finetune.clips import listen, shuffled_batches, sorted_batches

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=200).map(np.array)


@given(lengths=LENGTHS, budget=st.integers(1, 2000), seed=st.integers(0, 9))
def test_batches_hold_every_clip_once_and_no_more_than_their_budget(lengths, budget, seed):
    for batches in (
        shuffled_batches(lengths, budget, np.random.default_rng(seed)),
        sorted_batches(lengths, budget),
    ):
        assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
        for batch in batches:
            padded = len(batch) * lengths[batch].max()
            assert padded <= budget or len(batch) == 1


def test_batches_hardly_pad_and_come_in_another_order_each_epoch():
    lengths = np.random.default_rng(0).integers(100, 1000, 2000)
    first, second = (shuffled_batches(lengths, 8000, np.random.default_rng(s)) for s in (1, 2))
    padded = sum(len(batch) * lengths[batch].max() for batch in first)
    assert padded < 1.1 * lengths.sum()
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))
    longest = [lengths[batch].max() for batch in first]
    assert longest != sorted(longest)


def test_clips_are_the_same_from_memory_and_from_disk(tones: Path, monkeypatch):
    encoder = load_tunable("random:wav2vec2-tiny", "cpu", "auto")
    utterances = read_corpus("folder", tones)[:7]
    kept, positions, faults = listen(utterances, encoder.ear, Conditioning())
    monkeypatch.setattr(module, "free_bytes", lambda device: 50_000.0)
    read, _, _ = listen(utterances, encoder.ear, Conditioning())
    assert kept.kept and not read.kept and positions == list(range(7)) and not faults
    batches = [[3, 1], [0], [6, 5, 4, 2]]
    cut = {5: (10, 500)}
    for ours, theirs in zip(kept.batches(batches, cut), read.batches(batches, cut), strict=True):
        assert ours[0] == theirs[0]
        for one, other, i in zip(ours[1], theirs[1], ours[0], strict=True):
            assert np.array_equal(one, other)
            assert len(one) == (490 if i in cut else kept.lengths[i])
    some = kept.at([4, 2])
    assert np.array_equal(some.read(1), kept.read(2)) and some.lengths[0] == kept.lengths[4]


def test_a_clip_that_vanishes_after_it_was_heard_is_named(tmp_path, clips, monkeypatch):
    monkeypatch.setattr(module, "free_bytes", lambda device: 0.0)
    encoder = load_tunable("random:wav2vec2-tiny", "cpu", "auto")
    heard, _, _ = listen(read_corpus("folder", clips), encoder.ear, Conditioning())
    os.truncate(heard.utterances[2].path, 100)
    with pytest.raises(SerError, match=rf"{heard.utterances[2].path} .* can no longer be decoded"):
        list(heard.batches([[0], [2]], {}))
