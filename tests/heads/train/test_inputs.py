from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from embedcache.errors import SerError, UsageError
from heads.train.candidates import Candidate
from heads.train.inputs import find_vectors
from heads.train.prepare import prepare
from heads.train.settings import TrainConfig


@pytest.fixture
def found(run_config):
    """The vectors that a head without epochs sees, as its reducer makes them of each clip."""
    data = prepare(run_config())
    candidate = Candidate(told={}, layers=("1",), head=None, training=TrainConfig())

    def find(reduce):
        module = SimpleNamespace(reducer=lambda config, roles: reduce)
        return data, find_vectors(module, candidate, data, "train", data.sources[0])

    return find


def test_each_utterance_has_its_own_vector(found):
    data, vectors = found(lambda frames: frames.mean(axis=0, keepdims=True))
    for one, vector in zip(data.utterances, vectors, strict=True):
        frames = np.asarray(data.reader.frames(one.id, 1), np.float32)
        np.testing.assert_allclose(vector, frames.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_vector_that_is_no_number_is_named(found, value):
    data, vectors = found(lambda frames: frames[:1])
    broken = vectors[17].copy()

    def breaking(frames):
        return np.where((frames[:1] == broken).all(), value, frames[:1]).astype(np.float32)

    with pytest.raises(SerError, match=f"{data.utterances[17].id} holds NaN or infinity; run `ser"):
        found(breaking)


def test_more_than_one_vector_is_refused(found):
    with pytest.raises(UsageError, match=r"leaves . frames of one; let it give \[1, D'\]"):
        found(lambda frames: frames)
