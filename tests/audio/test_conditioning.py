from __future__ import annotations

import json
import math
import sys
from dataclasses import fields, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.audio import conditioning as steps
from embedcache.audio import levels
from embedcache.audio.conditioning import (
    Conditioning,
    check_conditioning,
    condition,
    conditioned_seconds,
    describe,
    speech_bounds,
)
from embedcache.audio.levels import level_db
from embedcache.errors import ClipError, SerError, UsageError
from tests.material import RATE_HZ, noise, real_data, tone

OTHERS: dict[str, Any] = {
    "denoise": True,
    "telephone": True,
    "trim": True,
    "normalise": "rms",
    "fix_seconds": 2.0,
}
"""A value of each field that is not its default."""
EVERYTHING = Conditioning(**OTHERS)
SECONDS = st.floats(0.02, 3.0)
SEEDS = st.integers(0, 99)

needs_noisereduce = pytest.mark.skipif(
    find_spec("noisereduce") is None, reason="noisereduce is not installed"
)


def gain_db(before: np.ndarray, after: np.ndarray) -> float:
    """Change of level away from the ends."""
    middle = slice(len(before) // 4, -len(before) // 4)
    return 10 * math.log10(np.mean(after[middle] ** 2) / np.mean(before[middle] ** 2))


def single_steps() -> list[Conditioning]:
    """Each step alone, and each way to normalise."""
    ways = [Conditioning(normalise=to) for to in steps.LEVELS_DB]
    alone = [Conditioning(**{name: value}) for name, value in OTHERS.items()]
    return [*alone, *ways, EVERYTHING]


def possible(conditioning: Conditioning) -> Conditioning:
    """The same without what is not installed here."""
    there = find_spec("noisereduce") is not None
    return conditioning if there else replace(conditioning, denoise=False)


# Every step


def test_nothing_is_done_unless_it_is_asked_for() -> None:
    clip = noise(0.5, 0)
    assert condition(clip, RATE_HZ, Conditioning()) is clip
    assert describe(Conditioning()) == {}


@pytest.mark.parametrize("seconds", [0.025, 0.3, 3.7])
@pytest.mark.parametrize("conditioning", single_steps(), ids=str)
def test_what_comes_out_is_sound_and_what_went_in_is_left_alone(
    conditioning: Conditioning, seconds: float
) -> None:
    clip = noise(seconds, 1)
    before = clip.copy()
    output = condition(clip, RATE_HZ, possible(conditioning))
    assert output.dtype == np.float32
    assert output.ndim == 1
    assert output.flags.c_contiguous
    assert np.isfinite(output).all()
    np.testing.assert_array_equal(clip, before)
    again = condition(clip, RATE_HZ, possible(conditioning))
    np.testing.assert_array_equal(output, again)


@pytest.mark.parametrize("name", [field.name for field in fields(Conditioning)])
def test_every_field_is_described(name: str) -> None:
    assert set(describe(Conditioning(**{name: OTHERS[name]}))) == {name}
    assert describe(replace(EVERYTHING, **{name: getattr(Conditioning(), name)})) != describe(
        EVERYTHING
    )


@pytest.mark.parametrize("conditioning", [Conditioning(), *single_steps()], ids=str)
def test_the_names_are_those_of_the_steps_in_their_order(conditioning: Conditioning) -> None:
    assert [name.partition("=")[0] for name in conditioning.names] == list(describe(conditioning))


def test_names_say_how_where_that_was_a_choice() -> None:
    everything = replace(EVERYTHING, normalise="lufs", fix_seconds=3)
    assert everything.names == ("denoise", "telephone", "trim", "normalise=lufs", "fix_seconds=3")
    assert Conditioning(normalise="rms", fix_seconds=2.5).names == (
        "normalise=rms",
        "fix_seconds=2.5",
    )


@pytest.mark.parametrize("value", steps.LEVELS_DB)
def test_every_way_to_normalise_is_described(value: str) -> None:
    described = [json.dumps(describe(Conditioning(normalise=to))) for to in steps.LEVELS_DB]
    assert len(set(described)) == len(steps.LEVELS_DB)
    assert describe(Conditioning(normalise=value))["normalise"]["to"] == value


CONSTANTS = {
    "GATE": ("denoise", {**steps.GATE, "prop_decrease": 0.5}),
    "GATE_WINDOW_S": ("denoise", 0.032),
    "GATE_CONTEXT_S": ("denoise", 1.0),
    "GATE_CHUNK_S": ("denoise", 10.0),
    "TELEPHONE_BAND_HZ": ("telephone", (200.0, 3400.0)),
    "TELEPHONE_ORDER": ("telephone", 4),
    "TRIM_BELOW_DB": ("trim", 30.0),
    "TRIM_WINDOW_S": ("trim", 0.05),
    "TRIM_HOP_S": ("trim", 0.005),
    "TRIM_MARGIN_HOPS": ("trim", 3),
    "LEVELS_DB": ("normalise", {**steps.LEVELS_DB, "lufs": -24.0}),
    "LOUDNESS_FILTERS": ("normalise", "K-weighting"),
    "LOUDNESS_BLOCK_S": ("normalise", 3.0),
    "LOUDNESS_GATES_DB": ("normalise", (-60.0, -10.0)),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_changed_constant_changes_the_description_and_is_refused_by_what_was_trained(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, value = CONSTANTS[name]
    everything = replace(EVERYTHING, normalise="lufs")
    before = describe(everything)
    monkeypatch.setattr(levels if name.startswith("LOUDNESS") else steps, name, value)
    assert [key for key in before if describe(everything)[key] != before[key]] == [step]
    with pytest.raises(SerError, match=f"conditioned with {step} .*install the version that wrote"):
        Conditioning.from_key(before)


@given(
    st.builds(
        Conditioning,
        denoise=st.booleans(),
        telephone=st.booleans(),
        trim=st.booleans(),
        normalise=st.sampled_from(["", *steps.LEVELS_DB]),
        fix_seconds=st.none() | st.floats(0.1, 3600) | st.integers(1, 3600),
    )
)
def test_a_conditioning_survives_the_key(conditioning: Conditioning) -> None:
    decoding = {"channels": "mean", "resample": "torchaudio sinc, its defaults"}
    record = json.loads(json.dumps({**decoding, **describe(conditioning)}))
    assert Conditioning.from_key(record) == conditioning
    assert describe(Conditioning.from_key(record)) == describe(conditioning)


@pytest.mark.parametrize(
    "record",
    [{"reverb": {}}, {"trim": True}, {"normalise": "rms"}, {"normalise": {"to": "vu"}},
     {"fix_seconds": {"seconds": "5"}}, {"fix_seconds": {"seconds": -5}}],
)  # fmt: skip
def test_a_step_from_elsewhere_is_not_guessed(record: dict[str, Any]) -> None:
    with pytest.raises(SerError, match=f"conditioned with {next(iter(record))} .*cannot do"):
        Conditioning.from_key(record)


def test_steps_run_in_their_order() -> None:
    """A tone out of the telephone's band, silence, and a fixed length: each changes the next."""
    quiet = np.zeros(RATE_HZ, np.float32)
    hum = tone(50, peak=0.5) * np.hanning(RATE_HZ).astype(np.float32)  # faded: no clicks
    clip = np.concatenate([quiet, hum, tone(1000, peak=0.1), quiet])
    chosen = Conditioning(telephone=True, trim=True, normalise="rms", fix_seconds=4)
    output = condition(clip, RATE_HZ, chosen)
    one_by_one = clip
    for step in ("telephone", "trim", "normalise", "fix_seconds"):
        alone = Conditioning(**{step: getattr(chosen, step)})
        one_by_one = condition(one_by_one, RATE_HZ, alone)
    np.testing.assert_array_equal(output, one_by_one)
    end = len(np.trim_zeros(output, "b"))
    assert end / RATE_HZ == pytest.approx(1.1, abs=0.1)  # the tone and its margins alone


def test_expected_durations() -> None:
    clip = np.concatenate([np.zeros(8000, np.float32), noise(1.0, 2)])
    for chosen in (Conditioning(), Conditioning(trim=True), Conditioning(fix_seconds=2.5)):
        real = len(condition(clip, RATE_HZ, chosen)) / RATE_HZ
        expected = conditioned_seconds(1.5, chosen)
        assert real <= expected if chosen.trim else real == expected
    assert conditioned_seconds(0.0, Conditioning(trim=True)) == 0.0  # unknown stays unknown


# Errors


@pytest.mark.parametrize("value", ["loud", "Peak", " "])
def test_an_unknown_level_is_named(value: str) -> None:
    with pytest.raises(UsageError, match=f"--normalise {value}: give peak or rms or lufs"):
        Conditioning(normalise=value)


@pytest.mark.parametrize("value", [0.0, -1.0, 0.05, 3601.0, math.inf, math.nan])
def test_a_length_that_cannot_be_is_named(value: float) -> None:
    with pytest.raises(
        UsageError, match=f"--fix-seconds {value:g}: give a number from 0.1 to 3600"
    ):
        Conditioning(fix_seconds=value)


def test_a_missing_package_gives_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "noisereduce", None)
    chosen = Conditioning(denoise=True)
    with pytest.raises(UsageError, match=r"pip install 'ser-embedcache\[denoise\]'"):
        check_conditioning(chosen, RATE_HZ)
    with pytest.raises(UsageError, match="--denoise needs the package noisereduce"):
        condition(noise(0.5, 0), RATE_HZ, chosen)
    check_conditioning(replace(EVERYTHING, denoise=False), RATE_HZ)


@pytest.mark.parametrize(
    ("chosen", "option"),
    [
        (Conditioning(telephone=True), "--telephone"),
        (Conditioning(normalise="lufs"), "--normalise lufs"),
    ],
)
def test_a_rate_that_is_too_low_is_refused(chosen: Conditioning, option: str) -> None:
    check_conditioning(chosen, 8_000)
    with pytest.raises(UsageError, match=f"{option} needs a sample rate of 8000 Hz or more.*6000"):
        check_conditioning(chosen, 6_000)


def test_silence_that_is_left_is_a_fault_of_the_clip() -> None:
    late = np.concatenate([np.zeros(RATE_HZ, np.float32), noise(1.0, 0)])
    with pytest.raises(ClipError, match="after fix_seconds=0.5, it is silent") as caught:
        condition(late, RATE_HZ, Conditioning(fix_seconds=0.5))
    assert caught.value.kind == "content"
    silence = np.zeros(RATE_HZ, np.float32)
    with pytest.raises(ClipError, match="after trim, it is silent"):
        condition(silence, RATE_HZ, Conditioning(trim=True))
    with pytest.raises(ClipError, match="silent: it has no level to normalise"):
        condition(silence, RATE_HZ, Conditioning(normalise="peak"))


def test_samples_that_are_no_numbers_do_not_pass() -> None:
    clip = noise(0.5, 0)
    clip[7] = np.nan
    with pytest.raises(ClipError, match="after trim, fix_seconds=1, its samples are NaN"):
        condition(clip, RATE_HZ, Conditioning(trim=True, fix_seconds=1))


def test_a_clip_whose_sound_nobody_hears_has_no_loudness() -> None:
    clip = 1 - np.linspace(0, 1e-6, RATE_HZ, dtype=np.float32)
    faded = clip * np.sin(np.linspace(0, np.pi, RATE_HZ, dtype=np.float32)) ** 2  # 1 Hz
    with pytest.raises(ClipError, match="loudness cannot be measured.*below -70 LUFS"):
        condition(faded, RATE_HZ, Conditioning(normalise="lufs"))


# Noise


@needs_noisereduce
@pytest.mark.parametrize("seconds", [0.3, 3.7, 37.5])
def test_denoising_is_the_packages_own_with_its_defaults(seconds: float) -> None:
    from noisereduce import reduce_noise

    clip = noise(seconds, 3)
    output = condition(clip, RATE_HZ, Conditioning(denoise=True))
    np.testing.assert_array_equal(output, reduce_noise(y=clip, sr=RATE_HZ))


@needs_noisereduce
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_denoising_lets_a_burst_stand_out_of_steady_noise(rate_hz: int) -> None:
    rng = np.random.default_rng(0)
    hiss = (0.01 * rng.standard_normal(6 * rate_hz)).astype(np.float32)
    burst = np.zeros_like(hiss)
    burst[3 * rate_hz : 3 * rate_hz + rate_hz // 5] = 0.2 * rng.standard_normal(rate_hz // 5)
    output = condition(hiss + burst, rate_hz, Conditioning(denoise=True))
    before, during = slice(2 * rate_hz, int(2.8 * rate_hz)), burst != 0
    assert np.mean(output[before] ** 2) < np.mean(hiss[before] ** 2) / 100
    assert np.mean(output[during] ** 2) > np.mean(burst[during] ** 2) / 2


@needs_noisereduce
def test_a_long_clip_is_denoised_in_pieces_without_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = noise(12.0, 4)
    whole = condition(clip, RATE_HZ, Conditioning(denoise=True))
    monkeypatch.setattr(steps, "GATE_CHUNK_S", 4.0)
    pieces = condition(clip, RATE_HZ, Conditioning(denoise=True))
    assert np.corrcoef(whole, pieces)[0, 1] > 0.98
    for seam in (4 * RATE_HZ, 8 * RATE_HZ):
        near = np.abs(np.diff(pieces[seam - 5 : seam + 5])).max()
        assert near <= np.abs(np.diff(pieces)).max()


@needs_noisereduce
def test_digital_silence_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "GATE_CHUNK_S", 1.0)
    clip = np.concatenate([noise(1.0, 0), np.zeros(8 * RATE_HZ, np.float32), noise(1.0, 1)])
    output = condition(clip, RATE_HZ, Conditioning(denoise=True))
    assert not output[4 * RATE_HZ : 6 * RATE_HZ].any()


# Telephone


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_the_telephone_passes_its_band_alone(rate_hz: int) -> None:
    chosen = Conditioning(telephone=True)

    def gain(hz: float) -> float:
        clip = tone(hz, 1.0, rate_hz)
        return gain_db(clip, condition(clip, rate_hz, chosen))

    assert gain(1000) == pytest.approx(0, abs=0.1)
    for hz in (400, 2800):
        assert gain(hz) == pytest.approx(0, abs=0.5)
    for hz in steps.TELEPHONE_BAND_HZ:
        assert gain(hz) == pytest.approx(-6.02, abs=0.1)  # half, after two passes
    for hz in (100, 50, *(f for f in (5000, 6000, 7500) if f < rate_hz / 2)):
        assert gain(hz) < -30


def test_the_telephone_has_no_delay() -> None:
    clip = noise(1.0, 5)
    output = condition(clip, RATE_HZ, Conditioning(telephone=True))
    lags = np.correlate(output, clip, "full")
    assert lags.argmax() == len(clip) - 1


@pytest.mark.parametrize("count", [1, 2, 40, 400])
def test_the_telephone_takes_clips_of_any_length(count: int) -> None:
    output = steps._telephone(noise(1.0, 6)[:count], RATE_HZ)
    assert output.shape == (count,)
    assert np.isfinite(output).all()


# Trimming


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 20_000), st.integers(0, 20_000), SECONDS, SEEDS, st.integers(8_000, 48_000))
def test_trimming_gives_back_what_silence_was_put_around(
    before: int, after: int, seconds: float, seed: int, rate_hz: int
) -> None:
    rng = np.random.default_rng(seed)
    clip = (0.1 * rng.standard_normal(round(seconds * rate_hz))).astype(np.float32)
    padded = np.pad(clip, (before, after))
    start, end = speech_bounds(padded, rate_hz)
    most = round((0.05 + 0.025) * rate_hz) + 5  # margin and one window, five rounded hops
    margin = steps.TRIM_MARGIN_HOPS * round(steps.TRIM_HOP_S * rate_hz)
    assert max(0, before - most) <= start <= max(0, before - margin)
    kept = end - before - len(clip)
    assert min(after, margin) <= kept <= min(after, most)
    output = condition(padded, rate_hz, Conditioning(trim=True))
    np.testing.assert_array_equal(output, padded[start:end])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-80, 0), st.integers(1, 4000)), min_size=1, max_size=8),
    SEEDS,
    st.sampled_from([8_000, 16_000, 22_050, 44_100]),
)
def test_trimming_twice_is_trimming_once(
    parts: list[tuple[float, int]], seed: int, rate_hz: int
) -> None:
    rng = np.random.default_rng(seed)
    clip = np.concatenate([10 ** (db / 20) * rng.standard_normal(count) for db, count in parts])
    once = condition(clip.astype(np.float32), rate_hz, Conditioning(trim=True))
    assert speech_bounds(once, rate_hz) == (0, len(once))


def test_silence_inside_stays() -> None:
    clip = np.concatenate([noise(0.5, 0), np.zeros(RATE_HZ, np.float32), noise(0.5, 1)])
    output = condition(clip, RATE_HZ, Conditioning(trim=True))
    np.testing.assert_array_equal(output, clip)


@pytest.mark.parametrize(("below_db", "stays"), [(38.0, True), (42.0, False)])
def test_the_threshold_is_relative_to_the_loudest_window(below_db: float, stays: bool) -> None:
    quiet = tone(500, 0.5, peak=10 ** (-below_db / 20))
    for scale in (1.0, 1e-3):
        clip = scale * np.concatenate([quiet, tone(500, 0.5, peak=1.0)])
        start, _ = speech_bounds(clip.astype(np.float32), RATE_HZ)
        assert (start == 0) == stays


def test_real_clips_lose_their_silence_and_keep_their_speech() -> None:
    from embedcache.audio.decode import read_clip

    kept = []
    for path in sorted((real_data("ravdess") / "Actor_01").glob("*.flac"))[::6]:
        clip = read_clip(path, 0, None, RATE_HZ)
        start, end = speech_bounds(clip, RATE_HZ)
        kept.append((end - start) / len(clip))
        assert np.sum(clip[start:end] ** 2) > 0.995 * np.sum(clip**2)
    assert 0.2 < np.median(kept) < 0.8


# Levels


@settings(deadline=None, max_examples=40)
@given(SECONDS, SEEDS, st.floats(-80, 40), st.sampled_from(sorted(steps.LEVELS_DB)))
def test_the_level_measured_again_is_the_target(
    seconds: float, seed: int, level: float, to: str
) -> None:
    clip = (noise(seconds, seed) * 10 ** (level / 20)).astype(np.float32)
    output = condition(clip, RATE_HZ, Conditioning(normalise=to))
    assert level_db(output, RATE_HZ, to) == pytest.approx(steps.LEVELS_DB[to], abs=1e-4)
    np.testing.assert_allclose(output * clip.std(), clip * output.std(), atol=1e-6 * clip.std())


def test_peak_and_rms_are_what_they_say() -> None:
    clip = noise(1.0, 7)
    peak = condition(clip, RATE_HZ, Conditioning(normalise="peak"))
    assert np.abs(peak).max() == pytest.approx(1.0, abs=1e-6)
    rms = condition(clip, RATE_HZ, Conditioning(normalise="rms"))
    assert np.sqrt(np.mean(rms**2)) == pytest.approx(0.1, rel=1e-5)


def test_a_level_above_full_scale_is_not_clipped() -> None:
    clip = noise(1.0, 8) * 1e-3
    clip[8000] = 1.0
    output = condition(clip, RATE_HZ, Conditioning(normalise="rms"))
    assert output[8000] > 5


# Length


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60_000), st.floats(0.1, 4.0), st.sampled_from([8_000, 16_000, 44_100]))
def test_every_clip_gets_exactly_the_length(count: int, seconds: float, rate_hz: int) -> None:
    clip = np.ones(count, np.float32)
    output = condition(clip, rate_hz, Conditioning(fix_seconds=seconds))
    wanted = round(seconds * rate_hz)
    assert len(output) == wanted
    assert output.sum() == min(count, wanted)
    assert output[: min(count, wanted)].all()  # zeros stand at the end
