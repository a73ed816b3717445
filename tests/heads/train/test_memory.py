"""Where frames lie, and in which precision, changes no more than their rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from heads.data import frame_set, moments
from heads.train import memory
from heads.train.memory import _multiplies_halves, placed


def frames(offset=0.0, dtype=np.float16, count=12):
    rng = np.random.default_rng(0)
    return frame_set([
        (offset + rng.standard_normal((n, 4))).astype(dtype) for n in rng.integers(1, 9, count)
    ])  # fmt: skip


def test_small_frames_are_held_in_single_precision():
    given = frames()
    found = placed(given, "auto", "cpu")
    assert found.dtype == torch.float32
    assert found.flat.shape == (given.lengths.sum(), 4)
    np.testing.assert_array_equal(found.flat.numpy(), np.concatenate(given.arrays))


def test_batches_are_the_same_whether_they_are_held_or_read(monkeypatch):
    for precision in ("float32", "bfloat16"):
        held = placed(frames(), precision, "cpu")
        monkeypatch.setattr(memory, "free_bytes", lambda device: 0.0)
        read = placed(frames(), precision, "cpu")
        monkeypatch.undo()
        assert held.flat is not None and read.flat is None
        chosen = [5, 0, 11]
        (a, mask), (b, other) = held.batch(chosen, "cpu"), read.batch(chosen, "cpu")
        assert a.dtype == b.dtype == getattr(torch, precision)
        assert torch.equal(mask, other)
        assert torch.equal(a[mask], b[mask])


def test_large_frames_take_half_the_bits_where_that_is_faster(monkeypatch):
    monkeypatch.setattr(memory, "_LARGE", 10.0)
    for faster, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(memory, "_multiplies_halves", lambda device, faster=faster: faster)
        assert placed(frames(), "auto", "cpu").dtype == dtype


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_an_offset_does_not_swallow_the_frames_in_half_precision(offset):
    """A thousand deviations away, eight bits would hold nothing of them."""
    given = frames(offset, np.float32)
    found = placed(given, "bfloat16", "cpu")
    mean, deviation = moments(given, np.ones((1, 12), bool))
    expected = (np.concatenate(given.arrays) - mean) / deviation
    np.testing.assert_allclose(found.flat.float().numpy(), expected, atol=0.02)


def test_speakers_scale_is_kept_in_half_precision():
    given = frames()
    scaled = replace(given, scale=memory.Scale(np.ones((1, 4), np.float32),
                                               np.full((1, 4), 2, np.float32),
                                               np.zeros(12, np.int64)))  # fmt: skip
    found = placed(scaled, "bfloat16", "cpu")
    expected = (np.concatenate(given.arrays).astype(np.float32) - 1) / 2
    np.testing.assert_allclose(found.flat.float().numpy(), expected, atol=0.01)


def test_free_memory_is_told_in_bytes():
    assert 1e8 < memory.free_bytes("cpu") < 1e14


FRAMES = frame_set([np.random.default_rng(n).standard_normal((9, 4)) + 50 for n in range(5)])
HALF = torch.bfloat16 if _multiplies_halves("cpu") else torch.float32


@pytest.mark.parametrize(
    ("precision", "deep", "dtype"),
    [
        ("auto", False, torch.float32),
        ("auto", True, HALF),
        ("float32", True, torch.float32),
        ("bfloat16", False, torch.bfloat16),
    ],
)
def test_few_frames_are_halved_where_each_is_much_work(precision, deep, dtype):
    found = placed(FRAMES, precision, "cpu", deep)
    assert found.dtype == found.flat.dtype == dtype


def test_half_the_bits_are_spent_on_what_varies():
    """Values of 50 and more would keep a quarter's steps only."""
    flat = placed(FRAMES, "bfloat16", "cpu").flat.float()
    exact = torch.from_numpy(np.concatenate(FRAMES.arrays)).float()
    exact = (exact - exact.mean(dim=0)) / exact.std(dim=0, correction=0)
    torch.testing.assert_close(flat, exact, rtol=2**-8, atol=1e-3)
