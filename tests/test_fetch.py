from __future__ import annotations

import numpy as np
import pytest
import torch

from embedcache.errors import ClipError
from embedcache.fetch import fetch

HALF, SINGLE = np.dtype(np.float16), np.dtype(np.float32)


def batch(seed: int) -> list[np.ndarray]:
    """Frames of three clips of unlike lengths, with values from 1e-7 to 6e4."""
    rng = np.random.default_rng(seed)
    scale = 10 ** rng.uniform(-7, 3, (2, 1, 5))
    return [(rng.standard_normal((2, t, 5)) * scale).astype(np.float32) for t in (7, 1, 30)]


@pytest.mark.parametrize("dtype", [HALF, SINGLE], ids=str)
def test_tensors_and_arrays_come_out_with_the_same_bytes(dtype: np.dtype) -> None:  # type: ignore[type-arg]
    frames = batch(0)
    arrays = fetch(frames, dtype)()
    tensors = fetch([torch.from_numpy(one) for one in frames], dtype)()
    for one, array, tensor in zip(frames, arrays, tensors, strict=True):
        assert not isinstance(array, ClipError) and not isinstance(tensor, ClipError)
        assert array.dtype == tensor.dtype == dtype
        np.testing.assert_array_equal(array, one.astype(dtype))
        np.testing.assert_array_equal(tensor, array)


def test_half_precision_of_the_model_is_kept_exactly() -> None:
    """Every bfloat16 of moderate size is a float32, and a float16 as rounded as it must be."""
    wide = torch.from_numpy(batch(1)[2]).bfloat16()
    (single,) = fetch([wide], SINGLE)()
    (half,) = fetch([wide], HALF)()
    np.testing.assert_array_equal(single, wide.float().numpy())
    np.testing.assert_array_equal(half, wide.float().numpy().astype(np.float16))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("tensors", [False, True], ids=["arrays", "tensors"])
def test_one_clip_that_is_not_finite_spoils_no_other(tensors: bool, bad: float) -> None:
    frames = batch(2)
    frames[1][0, 0, 3] = bad
    good, refused, last = fetch(
        [torch.from_numpy(f) for f in frames] if tensors else frames, HALF
    )()
    assert isinstance(refused, ClipError) and "NaN or infinite" in str(refused)
    np.testing.assert_array_equal(good, frames[0].astype(np.float16))
    np.testing.assert_array_equal(last, frames[2].astype(np.float16))


@pytest.mark.parametrize("tensors", [False, True], ids=["arrays", "tensors"])
def test_values_that_do_not_fit_the_store_are_refused(tensors: bool) -> None:
    largest = np.full((1, 2, 3), 65_504, np.float32)
    beyond = np.full((1, 2, 3), 70_000, np.float32)
    both = [torch.from_numpy(largest), torch.from_numpy(beyond)] if tensors else [largest, beyond]
    fits, refused = fetch(both, HALF)()
    assert not isinstance(fits, ClipError) and np.isfinite(fits).all()
    assert isinstance(refused, ClipError)
    assert "7e+04 does not fit float16; use --store-dtype float32" in str(refused)
    assert fetch(both, SINGLE)()[1].max() == 70_000
