"""Quantised frames: within half a step, extremes exact, order kept, and settled after once."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from embedcache.store.quantise import LIMIT_BYTES, QuantisedFrames, dequantise, quantise

LARGEST = float(np.finfo(np.float32).max)
TINIEST = float(np.finfo(np.float32).smallest_subnormal)


def frames_of(width: int = 32, **values: Any) -> st.SearchStrategy[np.ndarray]:
    """[L, T, D] of any finite values, subnormal ones and both zeros among them."""
    return hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=12),
        elements=st.floats(width=width, allow_nan=False, allow_infinity=False, **values),
    )


# Spread over all magnitudes, over a few, and over no more than some neighbouring values.
ANY = frames_of()
MODEST = frames_of(min_value=-1024, max_value=1024)
NEIGHBOURS = st.builds(
    lambda start, ulps: (start + ulps.astype(np.float64) * np.spacing(np.float32(start))).astype(
        np.float32
    ),
    st.floats(1, 1e6, width=32),
    hnp.arrays(np.int16, hnp.array_shapes(min_dims=3, max_dims=3, max_side=12),
               elements=st.integers(0, 600)),
)  # fmt: skip
FRAMES = st.one_of(ANY, MODEST, NEIGHBOURS)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[None, :, None]


@settings(deadline=None)
@given(FRAMES)
@example(column(-LARGEST, LARGEST, 0.0, 1.0))
@example(column(TINIEST, 2 * TINIEST, 3 * TINIEST))
@example(column(-1e8, 1e-5, -3e7))
def test_values_come_back_within_half_a_step_and_their_rounding(frames: np.ndarray) -> None:
    """In exact arithmetic: |x' - x| <= (high - low) / 510 + half of float32's spacing at x'."""
    back = dequantise(*quantise(frames))
    assert back.dtype == np.float32 and back.shape == frames.shape
    channels = (array.swapaxes(1, 2).reshape(-1, array.shape[1]) for array in (frames, back))
    for own, found in zip(*channels, strict=True):
        half_step = (Fraction(float(own.max())) - Fraction(float(own.min()))) / 510
        for x, y in zip(own.tolist(), found.tolist(), strict=True):
            rounding = max(Fraction(abs(y)) / 2**24, Fraction(TINIEST) / 2)
            # What float64 itself rounds is a billionth of that.
            allowed = (half_step + rounding) * (1 + Fraction(1, 10**9))
            assert abs(Fraction(y) - Fraction(x)) <= allowed


@settings(deadline=None)
@given(FRAMES)
@example(column(-1e8, 1e-5))
@example(column(-LARGEST, LARGEST))
@example(column(-LARGEST, TINIEST))
def test_the_extremes_are_exact(frames: np.ndarray) -> None:
    levels, limits = quantise(frames)
    back = dequantise(levels, limits)
    low, high = frames.min(axis=1, keepdims=True), frames.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(limits, np.concatenate([low, high], axis=1))
    for extreme in (low, high):
        at = frames == extreme
        np.testing.assert_array_equal(back[at], frames[at])
    assert (back >= low).all() and (back <= high).all()


@settings(deadline=None)
@given(FRAMES)
@example(column(-LARGEST, LARGEST, 0.0, 1.0))
@example(column(1.0, 1 + 2**-23, 1 + 3 * 2**-23))
def test_once_quantised_they_stay(frames: np.ndarray) -> None:
    once = quantise(frames)
    again = quantise(dequantise(*once))
    for a, b in zip(once, again, strict=True):
        assert a.tobytes() == b.tobytes()


@settings(deadline=None)
@given(FRAMES)
def test_larger_values_never_get_lower_levels_or_lower_values(frames: np.ndarray) -> None:
    levels, limits = quantise(frames)
    order = np.argsort(frames, axis=1, kind="stable")
    for found in (levels.astype(int), dequantise(levels, limits).astype(np.float64)):
        assert (np.diff(np.take_along_axis(found, order, 1), axis=1) >= 0).all()


@settings(deadline=None)
@given(ANY)
def test_all_levels_lie_on_a_grid_that_any_reader_can_work_out(frames: np.ndarray) -> None:
    """The documented formula in another order of operations."""
    levels, limits = quantise(frames)
    low, high = limits.astype(np.float64)[:, :1], limits.astype(np.float64)[:, 1:]
    share = (levels.astype(np.float64) + 128) / 255
    np.testing.assert_allclose(
        dequantise(levels, limits), low * (1 - share) + high * share,
        rtol=1e-6, atol=1e-6 * np.abs(limits).max(initial=TINIEST),
    )  # fmt: skip


def test_all_256_levels_are_used() -> None:
    ramp = column(*np.linspace(-3, 7, 1000))
    assert np.unique(quantise(ramp)[0]).tolist() == list(range(-128, 128))


def test_the_error_of_even_values_is_that_of_a_uniform_quantiser() -> None:
    """A step over the square root of 12, root mean square."""
    values = np.random.default_rng(0).uniform(-1, 1, (1, 200_000, 1)).astype(np.float32)
    error = dequantise(*quantise(values)) - values
    assert float(np.sqrt(np.square(error).mean())) == pytest.approx(2 / 255 / math.sqrt(12), 0.01)


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(1, 9))
def test_a_channel_that_does_not_vary_is_exact(value: float, count: int) -> None:
    """So is a row of a single frame."""
    frames = np.full((2, count, 3), value, np.float32)
    levels, limits = quantise(frames)
    assert (levels == -128).all()
    np.testing.assert_array_equal(dequantise(levels, limits), frames)


def test_there_is_one_zero_whatever_the_order() -> None:
    zeros = [quantise(column(*order)) for order in ((0.0, -0.0), (-0.0, 0.0), (-0.0,), (0.0,))]
    assert {limits.tobytes() for _, limits in zeros} == {bytes(LIMIT_BYTES)}
    assert not np.signbit(dequantise(*zeros[2])).any()


@settings(deadline=None)
@given(FRAMES)
def test_channels_and_layers_do_not_see_each_other(frames: np.ndarray) -> None:
    levels, limits = quantise(frames)
    for layer in range(frames.shape[0]):
        for d in range(frames.shape[2]):
            own = quantise(np.ascontiguousarray(frames[layer, :, d : d + 1]))
            np.testing.assert_array_equal(own[0], levels[layer, :, d : d + 1])
            np.testing.assert_array_equal(own[1], limits[layer, :, d : d + 1])


def test_quantised_frames_take_the_place_of_an_array() -> None:
    frames = np.random.default_rng(0).standard_normal((2, 7, 3)).astype(np.float32)
    quantised = QuantisedFrames.of(frames)
    values = dequantise(*quantise(frames))
    assert quantised.shape == frames.shape and len(quantised) == 2
    np.testing.assert_array_equal(np.asarray(quantised), values)
    assert np.asarray(quantised, np.float64).dtype == np.float64
    padded = np.zeros((2, 9, 3), np.float32)
    padded[:, :7] = quantised
    np.testing.assert_array_equal(padded[:, :7], values)
    for layer, own in zip(quantised, values, strict=True):
        np.testing.assert_array_equal(layer, own)
    with pytest.raises(ValueError, match="quantised frames have no values without a copy"):
        np.array(quantised, copy=False)
