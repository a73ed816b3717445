"""Functionals: by numpy and scipy, by planted truths, by the laws that they keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from embedcache.encoders import ColumnRoles, load_encoder
from heads.functionals import (
    NAMES,
    QUANTILES,
    RANGE_DB,
    frame_levels,
    functional_names,
    functionals,
    heard,
)
from tests.material import noise

PLAIN = ColumnRoles()
VOICED = ColumnRoles(voiced=1)
SPREADS = ("deviation", "step", "step_deviation")
QUANTILE_NAMES = [name for name in NAMES if name.startswith("quantile")]

clips = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.integers(1, 5)),
    elements=st.floats(-1000, 1000, width=32),
)
varied = settings(deadline=None, max_examples=60)


def draw(frames, columns=3, seed=0):
    return np.random.default_rng(seed).standard_normal((frames, columns)).astype(np.float32)


def named(frames, roles=PLAIN):
    """Functionals by name: each [D], those of voiced frames as `voiced.mean`."""
    vector = functionals(frames, roles)
    rows = vector.reshape(-1, frames.shape[1])
    names = [n.partition(".")[2] for n in functional_names(["x"], roles)]
    return dict(zip(names, rows, strict=True))


# By reference


@varied
@given(clips)
def test_moments_and_quantiles_are_numpys(frames):
    found = named(frames)
    wide = frames.astype(np.float64)
    close = {"rtol": 1e-5, "atol": 1e-3}
    np.testing.assert_allclose(found["mean"], wide.mean(axis=0), **close)
    np.testing.assert_allclose(found["deviation"], wide.std(axis=0), **close)
    quantiles = [found[name] for name in QUANTILE_NAMES]
    np.testing.assert_allclose(quantiles, np.quantile(wide, QUANTILES, axis=0), **close)
    if len(frames) > 1:
        steps = np.diff(wide, axis=0)
        np.testing.assert_allclose(found["step"], np.abs(steps).mean(axis=0), **close)
        np.testing.assert_allclose(found["step_deviation"], steps.std(axis=0), **close)


@pytest.mark.parametrize("count", [3, 4, 50])
def test_slope_and_bend_are_those_of_numpys_parabola(count):
    frames = draw(count)
    time = np.linspace(-1, 1, count)
    found = named(frames)
    line, parabola = (np.polyfit(time, frames.astype(np.float64), degree) for degree in (1, 2))
    np.testing.assert_allclose(found["slope"], line[0], rtol=1e-5)
    np.testing.assert_allclose(found["bend"], parabola[0], rtol=1e-5)


def test_slope_of_voiced_frames_is_at_their_own_times():
    """A ramp with holes: a fit that closed them up would find another slope, and steps."""
    frames = np.stack([np.linspace(0, 10, 11), np.zeros(11)], axis=1).astype(np.float32)
    frames[[0, 1, 5, 9, 10], 1] = 1
    found = named(frames, VOICED)
    for name in ("slope", "voiced.slope"):
        assert found[name][0] == pytest.approx(5)
    assert found["voiced.step"][0] == pytest.approx(1)
    assert found["voiced.mean"][0] == pytest.approx(5)
    assert found["voiced.bend"][0] == pytest.approx(0, abs=1e-6)


# Which frames


def test_frames_are_taken_from_the_first_to_the_last_within_the_range():
    levels = np.array([-90, -60, -45, -20, -80, -59.9, -60.1, -90], np.float32)
    roles = ColumnRoles(level=(0,))
    assert heard(levels[:, None], roles) == slice(1, 6)  # with the pause inside
    assert heard(levels[:, None], PLAIN) == slice(0, 8)
    assert RANGE_DB == 40


def test_what_lies_outside_does_not_show_and_what_lies_inside_does():
    roles = ColumnRoles(level=(0,), voiced=1)
    inside = draw(20, 3)
    inside[:, 0], inside[:, 1] = -20, 1
    around = draw(7, 3, seed=1)
    around[:, 0] = -90
    padded = np.concatenate([around, inside, around])
    np.testing.assert_array_equal(functionals(padded, roles), functionals(inside, roles))
    louder = padded.copy()
    louder[2, 0] = -50
    assert not np.array_equal(functionals(louder, roles), functionals(inside, roles))


def test_levels_of_bands_add_up_in_power():
    """Ten bands of one power are 10 dB above one; units other than dB are brought to it."""
    frames = np.full((1, 10), np.log(1e-3), np.float32)
    roles = ColumnRoles(level=tuple(range(10)), level_db=10 / np.log(10))
    assert frame_levels(frames, roles)[0] == pytest.approx(-20, abs=1e-5)
    far_below = np.array([[-3e4, -3e4]], np.float32)  # a power that no float holds
    level = frame_levels(far_below, ColumnRoles(level=(0, 1)))[0]
    assert level == pytest.approx(-3e4 + 10 * np.log10(2))


@pytest.mark.parametrize("encoder_id", ["lld", "logmel", "mfcc"])
def test_what_encoders_say_of_the_level_is_true(encoder_id):
    """Half as loud a clip lies 6.02 dB lower, wherever floors do not show; silence is cut off."""
    encoder = load_encoder(encoder_id, "last", "cpu", "auto")
    roles = encoder.spec.roles
    loud = noise(1.0, 0) + 0.05 * np.sin(np.arange(16_000)).astype(np.float32)
    levels = [frame_levels(encoder.encode([clip])[0][0], roles) for clip in (loud, loud / 2)]
    np.testing.assert_allclose(levels[0] - levels[1], 20 * np.log10(2), atol=0.05)
    quiet = np.zeros(8_000, np.float32)
    frames = encoder.encode([np.concatenate([quiet, loud, quiet])])[0][0]
    taken = heard(frames, roles)
    hop_s = encoder.spec.hop / 16_000
    assert taken.start * hop_s == pytest.approx(0.5, abs=0.06)
    assert taken.stop * hop_s == pytest.approx(1.5, abs=0.06)


def test_hidden_states_tell_no_level_and_give_one_half():
    spec = load_encoder("random:wav2vec2-tiny", "last", "cpu", "auto").spec
    assert spec.roles == ColumnRoles()
    frames = draw(9, spec.dim)
    assert len(functionals(frames, spec.roles)) == len(NAMES) * spec.dim


def test_voiced_frames_alone_make_the_second_half():
    frames = draw(30, 3)
    frames[:, 1] = np.arange(30) % 3 == 0
    found = named(frames, VOICED)
    alone = frames[::3].astype(np.float64)
    np.testing.assert_allclose(found["voiced.mean"], alone.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["voiced.deviation"], alone.std(axis=0), rtol=1e-5)
    assert not found["voiced.step"].any()  # no two of them are neighbours


def test_without_a_voice_the_second_half_is_the_first():
    frames = draw(12, 3)
    frames[:, 1] = 0
    first, second = np.split(functionals(frames, VOICED), 2)
    np.testing.assert_array_equal(first, second)


def test_pitch_is_that_of_the_voice():
    """Planted: unvoiced frames hold a number that stands for nothing."""
    frames = np.full((20, 2), 34.0, np.float32)
    frames[:, 1] = 0
    frames[5:9] = [[12.0, 1.0]]
    found = named(frames, VOICED)
    assert found["voiced.mean"][0] == found["voiced.quantile_50"][0] == 12
    assert found["voiced.deviation"][0] == 0
    assert found["mean"][0] == pytest.approx(34 - 22 / 5)


# Laws


@varied
@given(clips, st.floats(-100, 100, width=32), st.sampled_from((0.25, 2.0, 8.0)))
def test_shift_and_scale_of_a_column_shift_and_scale_what_they_should(frames, shift, scale):
    before, after = named(frames), named(scale * frames + np.float32(shift))
    atol = 1e-3 * (1 + scale)
    for name in NAMES:
        offset = shift if name == "mean" or name in QUANTILE_NAMES else 0
        np.testing.assert_allclose(
            after[name], scale * before[name] + offset, rtol=1e-4, atol=atol, err_msg=name
        )


def test_frames_said_twice_change_no_mean_spread_or_median():
    frames = draw(21)
    once, twice = named(frames), named(np.repeat(frames, 2, axis=0))
    for name in ("mean", "deviation", "quantile_50"):
        np.testing.assert_allclose(twice[name], once[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(twice["step"] * 41, once["step"] * 20, rtol=1e-5)


def test_time_turned_round_turns_slopes_and_nothing_else():
    frames = draw(21)
    forth, back = named(frames), named(frames[::-1])
    for name in NAMES:
        sign = -1 if name == "slope" else 1
        np.testing.assert_allclose(back[name], sign * forth[name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("value", [0.0, 0.1, 8000.0, -6e4])
def test_a_constant_has_its_value_and_no_change_at_all(count, value):
    """Exactly none: a rounding error would be scaled up when vectors are standardised."""
    found = named(np.full((count, 2), value, np.float32), VOICED)
    for name, row in found.items():
        told = name.rpartition(".")[2]
        expected = np.float32(value) if told == "mean" or told in QUANTILE_NAMES else 0
        np.testing.assert_array_equal(row, expected, err_msg=name)


def test_two_frames_have_a_slope_and_no_bend():
    found = named(np.array([[1.0], [3.0]], np.float32))
    assert (found["slope"], found["bend"], found["step"]) == (1, 0, 2)
    assert found["step_deviation"] == 0


@varied
@given(clips)
def test_vectors_are_finite_float32_and_the_same_again(frames):
    frames = np.concatenate([frames, frames[:, :1]], axis=1)
    roles = ColumnRoles(level=(0,), voiced=1)
    first = functionals(frames, roles)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.tobytes() == functionals(frames.copy(order="F"), roles).tobytes()


def test_float16_frames_are_as_good_as_their_float32_copies():
    frames = draw(30).astype(np.float16)
    np.testing.assert_array_equal(
        functionals(frames, PLAIN), functionals(frames.astype(np.float32), PLAIN)
    )


def test_names_follow_the_vector():
    frames = draw(10, 2)
    frames[:, 1] = 1
    names = functional_names(["pitch", "voiced"], VOICED)
    vector = functionals(frames, VOICED)
    assert len(names) == len(set(names)) == len(vector)
    by_name = dict(zip(names, vector, strict=True))
    assert by_name["pitch.mean"] == pytest.approx(frames[:, 0].mean(), rel=1e-5)
    assert by_name["voiced.voiced.mean"] == 1
    assert by_name["pitch.voiced.quantile_95"] == pytest.approx(
        np.quantile(frames[:, 0], 0.95), rel=1e-5
    )
