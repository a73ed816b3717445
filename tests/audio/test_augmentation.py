from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.audio.augmentation import RANGES, augment, parse_views, view_seconds
from embedcache.errors import UsageError
from tests.material import RATE_HZ, noise, real_data

EXAMPLES = {"speed": "0.9", "pitch": "-2", "stretch": "1.1", "noise": "20"}
FACTORS = ["0.5", "0.8", "0.9", "1.1", "1.25", "2"]


def tone(hz: float, seconds: float = 2.0, rate_hz: int = RATE_HZ) -> np.ndarray:
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def voice(hz: float, seconds: float = 2.0) -> np.ndarray:
    """Harmonics of a pitch under two formants, with a slow swell."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = np.zeros_like(time)
    for k in range(1, int(6000 / hz)):
        level = 1 / (1 + ((k * hz - 600) / 200) ** 2) + 0.3 / (1 + ((k * hz - 1500) / 300) ** 2)
        sound += level * np.sin(2 * np.pi * k * hz * time + k * k)
    return (0.05 * sound * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))).astype(np.float32)


def pitch_hz(clip: np.ndarray, near_hz: float) -> float:
    """The strongest frequency within a third of what is expected, interpolated."""
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(clip * np.hanning(len(clip)), size))
    low, high = (int(near_hz * ratio * size / RATE_HZ) for ratio in (2 / 3, 4 / 3))
    peak = low + int(spectrum[low:high].argmax())
    left, middle, right = np.log(spectrum[peak - 1 : peak + 2])
    return (peak + 0.5 * (left - right) / (left - 2 * middle + right)) * RATE_HZ / size


def cents(clip: np.ndarray, expected_hz: float) -> float:
    return 1200 * math.log2(pitch_hz(clip, expected_hz) / expected_hz)


def power_db(clip: np.ndarray) -> float:
    return 10 * math.log10(np.mean(clip.astype(np.float64) ** 2))


# Names


def test_views_have_one_name_each_in_the_order_given() -> None:
    options = ["speed=1.10, .90,+0.9", "noise=2e1,20.0,-5", "pitch=-2.0", "stretch=0.50"]
    names = ("speed=1.1", "speed=0.9", "noise=20", "noise=-5", "pitch=-2", "stretch=0.5")
    assert parse_views(options) == names
    assert parse_views([]) == ()
    assert parse_views(names) == names


@given(st.sampled_from(sorted(RANGES)), st.data())
def test_every_allowed_value_has_a_name_that_is_its_own(key: str, data: st.DataObject) -> None:
    allowed = RANGES[key]
    steps = st.integers(int(allowed.low / allowed.step), int(allowed.high / allowed.step))
    value = data.draw(steps) * allowed.step
    if value == allowed.neutral:
        return
    (name,) = parse_views([f"{key}={value}"])
    assert parse_views([name]) == (name,)
    assert Decimal(name.partition("=")[2]) == value
    assert view_seconds(1.0, name) > 0


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("speed", r"--augment speed: give key=value\[,value...\], as in speed=0.9,1.1"),
        ("", r"--augment : give key=value"),
        ("sped=0.9", "unknown augmentation 'sped': did you mean 'speed'.*noise, pitch, speed"),
        ("reverb=1", "unknown augmentation 'reverb': there are: noise, pitch, speed, stretch"),
        ("speed=0.4", "--augment speed=0.4: give a number from 0.5 to 2 in steps of 0.01"),
        ("speed=0.9,2.01", "--augment speed=2.01: give a number from 0.5 to 2"),
        ("speed=0.905", "in steps of 0.01"),
        ("speed=1.00", "but not 1: that is no change"),
        ("stretch=1", "--augment stretch=1: .*but not 1: that is no change"),
        ("pitch=-0", "--augment pitch=-0: .*from -12 to 12 in steps of 0.1, but not 0"),
        ("pitch=13", "from -12 to 12"),
        ("noise=61", "--augment noise=61: give a number from -10 to 60 in steps of 0.1$"),
        ("noise=", "--augment noise=: give a number"),
        ("noise=20,", "--augment noise=: give a number"),
        ("noise=loud", "--augment noise=loud: give a number"),
        ("noise=nan", "--augment noise=nan: give a number"),
        ("speed=inf", "--augment speed=inf: give a number"),
        ("speed=1e999999", "--augment speed=1e999999: give a number"),
    ],
)
def test_what_cannot_be_is_named(option: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_views([option])


def test_a_view_that_does_not_exist_is_not_guessed() -> None:
    for act in (lambda: augment(tone(500), RATE_HZ, "echo=1", 0), lambda: view_seconds(1, "echo")):
        with pytest.raises(UsageError, match="unknown augmentation 'echo'"):
            act()
    with pytest.raises(UsageError, match="--augment speed=0.9,1.1: give a number"):
        augment(tone(500), RATE_HZ, "speed=0.9,1.1", 0)


# Every kind


def test_the_empty_view_is_the_clip() -> None:
    clip = noise(0.5, 0)
    assert augment(clip, RATE_HZ, "", 0) is clip
    assert view_seconds(3.7, "") == 3.7


@pytest.mark.parametrize("seconds", [0.01, 0.3, 3.7])
@pytest.mark.parametrize("key", RANGES)
def test_a_view_is_sound_and_the_clip_is_left_alone(key: str, seconds: float) -> None:
    view = f"{key}={EXAMPLES[key]}"
    clip = noise(seconds, 1)
    before = clip.copy()
    output = augment(clip, RATE_HZ, view, 5)
    assert output.dtype == np.float32
    assert output.flags.c_contiguous
    assert np.isfinite(output).all()
    assert not np.array_equal(output, clip)
    np.testing.assert_array_equal(clip, before)
    np.testing.assert_array_equal(output, augment(clip, RATE_HZ, view, 5))
    assert len(output) / RATE_HZ == pytest.approx(view_seconds(seconds, view), abs=1 / RATE_HZ)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(RANGES)), st.integers(1, 8_000), st.data())
def test_lengths_are_right_to_the_sample(key: str, count: int, data: st.DataObject) -> None:
    allowed = RANGES[key]
    steps = st.integers(int(allowed.low / allowed.step), int(allowed.high / allowed.step))
    value = data.draw(steps) * allowed.step
    if value == allowed.neutral:
        return
    output = augment(noise(0.5, 2)[:count], RATE_HZ, f"{key}={value}", 0)
    changes = key in ("speed", "stretch")
    assert len(output) == (math.ceil(count / value) if changes else count)
    assert np.isfinite(output).all()


@pytest.mark.parametrize("key", ["speed", "pitch", "stretch"])
def test_the_level_stays(key: str) -> None:
    for value in ("0.8", "1.25") if key != "pitch" else ("-4", "4"):
        for clip in (voice(110), voice(220)):
            output = augment(clip, RATE_HZ, f"{key}={value}", 0)
            exactly = 1e-4 if key == "stretch" else 0.5
            assert power_db(output) == pytest.approx(power_db(clip), abs=exactly)


@pytest.mark.parametrize("count", [1, 2, 100, RATE_HZ])
@pytest.mark.parametrize("key", RANGES)
def test_silence_stays_silent(key: str, count: int) -> None:
    assert not augment(np.zeros(count, np.float32), RATE_HZ, f"{key}={EXAMPLES[key]}", 0).any()


@pytest.mark.parametrize("view", ["speed=0.9", "pitch=3", "pitch=-3", "stretch=0.7", "stretch=1.4"])
def test_no_click_is_added(view: str) -> None:
    """Second differences show a click; a click at an end shows as a jump out of silence.

    The tone is cut hard, and there resampling rings, as any filter does, for up to a window.
    """
    for clip, cut in ((tone(300), 512), (np.pad(voice(150), 800), 1)):
        output = augment(clip, RATE_HZ, view, 0)
        assert np.abs(output).max() < 1.3 * np.abs(clip).max()
        most = 2.5 * np.abs(np.diff(clip, 2)).max()
        assert np.abs(np.diff(output, 2))[cut:-cut].max() < most
    assert np.abs(output[[0, -1]]).max() < 1e-6


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("hz", [110.0, 300.0, 1000.0])
def test_a_clip_cut_in_the_midst_of_sound_does_not_click(hz: float, factor: str) -> None:
    """Where its tone is cut at a peak, too: neither end jumps, nor is much louder or fainter."""
    for turn in np.arange(8) / 8:
        clip = tone(hz, 1.0)
        clip = np.roll(clip, round(turn * RATE_HZ / hz))
        output = augment(clip, RATE_HZ, f"stretch={factor}", 0)
        steps = np.abs(np.diff(output))
        assert max(steps[:512].max(), steps[-512:].max()) < 1.5 * steps[512:-512].max()
        assert np.abs(output).max() < 1.7 * np.abs(clip).max()
        level = power_db(output[512:-512])
        assert power_db(output[:320]) == pytest.approx(level, abs=2)
        assert power_db(output[-320:]) == pytest.approx(level, abs=6)


@pytest.mark.parametrize("count", [1, 2, 3, 50, 511])
@pytest.mark.parametrize("view", ["stretch=0.5", "stretch=2", "pitch=12", "pitch=-12"])
def test_a_clip_shorter_than_a_window_keeps_its_level(view: str, count: int) -> None:
    clip = tone(500)[1 : count + 1]
    output = augment(clip, RATE_HZ, view, 0)
    assert np.abs(output).max() < 2 * np.abs(clip).max()
    if view.startswith("stretch"):
        assert power_db(output) == pytest.approx(power_db(clip), abs=1e-4)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 48_000])
@pytest.mark.parametrize("key", RANGES)
def test_other_rates_give_the_same_sound(key: str, rate_hz: int) -> None:
    view = f"{key}={EXAMPLES[key]}"
    here = augment(tone(500), RATE_HZ, view, 0)
    there = augment(tone(500, rate_hz=rate_hz), rate_hz, view, 0)
    assert len(there) / rate_hz == pytest.approx(len(here) / RATE_HZ, abs=2e-4)
    assert power_db(there) == pytest.approx(power_db(here), abs=0.1)
    assert cents(here, pitch_hz(there, 500 * RATE_HZ / rate_hz) * rate_hz / RATE_HZ) < 3


# Speed, stretch, pitch


@pytest.mark.parametrize("factor", FACTORS)
def test_speed_moves_pitch_and_tempo_together(factor: str) -> None:
    clip = tone(1000)
    output = augment(clip, RATE_HZ, f"speed={factor}", 0)
    expected = np.sin(2 * np.pi * 1000 * float(factor) * np.arange(len(output)) / RATE_HZ)
    middle = slice(200, len(output) - 200)
    np.testing.assert_allclose(output[middle], 0.3 * expected[middle], atol=0.01)


@pytest.mark.parametrize("hz", [82.4, 200.3, 440.0, 1000.0, 3000.7])
@pytest.mark.parametrize("factor", FACTORS)
def test_stretch_keeps_the_pitch(factor: str, hz: float) -> None:
    output = augment(tone(hz), RATE_HZ, f"stretch={factor}", 0)
    assert cents(output, hz) == pytest.approx(0, abs=5)
    assert power_db(output) == pytest.approx(power_db(tone(hz)), abs=1e-4)


@pytest.mark.parametrize("factor", FACTORS)
def test_stretch_moves_events_to_their_time(factor: str) -> None:
    """Bursts at known times come at those times divided by the rate, within a window."""
    clip = np.zeros(3 * RATE_HZ, np.float32)
    times = (0.5, 1.3, 2.4)
    for time in times:
        start = int(time * RATE_HZ)
        clip[start : start + 1600] = voice(150, 0.1)
    output = augment(clip, RATE_HZ, f"stretch={factor}", 0)
    loud = np.abs(output) > 0.2 * np.abs(output).max()
    starts = [t for t in np.flatnonzero(loud) if not loud[max(0, t - 800) : t].any()]
    expected = [time * RATE_HZ / float(factor) for time in times]
    np.testing.assert_allclose(starts, expected, atol=0.03 * RATE_HZ)


@pytest.mark.parametrize("hz", [110.0, 440.0, 1500.0])
@pytest.mark.parametrize("semitones", ["-12", "-7", "-2", "-0.1", "0.5", "2", "4.3", "12"])
def test_pitch_moves_by_semitones(semitones: str, hz: float) -> None:
    clip = tone(hz)
    output = augment(clip, RATE_HZ, f"pitch={semitones}", 0)
    assert cents(output, hz * 2 ** (float(semitones) / 12)) == pytest.approx(0, abs=4)
    assert power_db(output) == pytest.approx(power_db(clip), abs=0.2)


def test_every_pitch_is_within_a_cent_of_its_ratio() -> None:
    from fractions import Fraction

    from embedcache.audio.augmentation import PITCH_DENOMINATOR

    for tenth in range(-120, 121):
        exact = 2 ** (tenth / 120)
        ratio = float(Fraction(exact).limit_denominator(PITCH_DENOMINATOR))
        assert abs(1200 * math.log2(ratio / exact)) < 1
        assert tenth == 0 or ratio != 1


@pytest.mark.parametrize("view", ["stretch=0.9", "stretch=1.1"])
def test_real_speech_keeps_its_spectrum_over_time(view: str) -> None:
    """Mel bands over time, the time axis stretched: their error, and the level of the whole."""
    import torch
    import torchaudio

    from embedcache.audio.decode import read_clip

    mel = torchaudio.transforms.MelSpectrogram(RATE_HZ, 400, 400, 160, n_mels=64)
    rate = float(view.partition("=")[2])
    errors = []
    for path in sorted(real_data("ravdess").glob("Actor_1*/*.flac"))[::120]:
        clip = read_clip(path, 0, None, RATE_HZ)
        output = augment(clip, RATE_HZ, view, 0)
        assert power_db(output) == pytest.approx(power_db(clip), abs=1e-3)
        before, after = (
            10 * torch.log10(mel(torch.from_numpy(c)) + 1e-10).numpy() for c in (clip, output)
        )
        times = np.arange(after.shape[1]) * rate
        warped = np.stack([np.interp(times, np.arange(before.shape[1]), band) for band in before])
        errors.append((after - warped)[warped > warped.max() - 50])
    together = np.concatenate(errors)
    assert np.abs(together).mean() < 3.2
    assert abs(together.mean()) < 0.5


# Noise


@settings(deadline=None, max_examples=30)
@given(st.integers(-100, 600).map(lambda tenths: tenths / 10), st.integers(0, 2**128 - 1))
def test_noise_has_the_ratio_that_is_asked_for(snr_db: float, seed: int) -> None:
    clip = voice(150, 0.5)
    added = augment(clip, RATE_HZ, f"noise={snr_db}", seed).astype(np.float64) - clip
    assert power_db(clip) - power_db(added) == pytest.approx(snr_db, abs=0.01)


def added_db(clip: np.ndarray, snr_db: float) -> float:
    """Level of the noise that a view adds."""
    added = augment(clip, RATE_HZ, f"noise={snr_db}", 7).astype(np.float64) - clip
    return float(10 * np.log10(np.mean(added**2)))


def test_neither_pauses_nor_an_offset_change_how_noisy_speech_gets() -> None:
    speech = noise(1.0, 5)
    padded = np.concatenate([np.zeros(4 * RATE_HZ, np.float32), speech])
    assert added_db(padded, 20) == pytest.approx(added_db(speech, 20), abs=0.3)
    assert added_db(speech + np.float32(0.3), 20) == pytest.approx(added_db(speech, 20), abs=0.3)


def test_noise_is_white_and_gaussian() -> None:
    clip = voice(150, 8.0)
    added = augment(clip, RATE_HZ, "noise=0", 1).astype(np.float64) - clip
    spectrum = np.abs(np.fft.rfft(added)) ** 2
    bands = [band.mean() for band in np.array_split(spectrum, 8)]
    assert max(bands) / min(bands) < 1.1
    assert np.mean(added**4) / np.mean(added**2) ** 2 == pytest.approx(3, abs=0.1)
    assert abs(np.corrcoef(added, clip)[0, 1]) < 0.02


def test_noise_depends_on_the_seed_and_on_the_view() -> None:
    clip = noise(1.0, 6)
    drawn = []
    for seed in (0, 1, 2**32, 2**128 - 1):
        for view in ("noise=20", "noise=10"):
            added = augment(clip, RATE_HZ, view, seed) - clip
            drawn.append(added / added.std())
    related = np.abs(np.corrcoef(np.stack(drawn)) - np.eye(len(drawn)))
    assert related.max() < 0.05


def test_a_view_written_otherwise_is_the_same_view() -> None:
    clip = noise(0.5, 3)
    np.testing.assert_array_equal(
        augment(clip, RATE_HZ, "noise=20.0", 4), augment(clip, RATE_HZ, "noise=20", 4)
    )
