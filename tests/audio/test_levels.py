"""Levels against ITU-R BS.1770-4's own numbers, and against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchaudio.functional as audio

from embedcache.audio import levels
from embedcache.audio.conditioning import Conditioning, condition
from embedcache.audio.levels import level_db
from embedcache.errors import ClipError
from tests.material import RATE_HZ, noise, tone


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_a_full_scale_sine_has_the_loudness_that_the_standard_gives_it(rate_hz: int) -> None:
    """ITU-R BS.1770-4, annex 1: 997 Hz at 0 dBFS in one channel reads -3.01 LKFS."""
    sine = tone(997, 3.0, rate_hz, peak=1.0)
    assert level_db(sine, rate_hz, "lufs") == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("hz", [30, 200, 1000, 3500])
def test_other_frequencies_weigh_what_the_standards_filters_give_them(
    hz: float, rate_hz: int
) -> None:
    """ITU-R BS.1770-4, tables 1 and 2, which are for 48 kHz; at other rates up to half a dB off."""
    power = 0.5
    for b, a in (
        ([1.53512485958697, -2.69169618940638, 1.19839281085285],
         [1.0, -1.69065929318241, 0.73248077421585]),
        ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621]),
    ):  # fmt: skip
        delay = np.exp(-2j * np.pi * hz / 48_000 * np.arange(3))
        power *= float(abs(b @ delay) ** 2 / abs(a @ delay) ** 2)
    expected = -0.691 + 10 * math.log10(power)
    sine = tone(hz, 5.0, rate_hz, peak=1.0)
    within = 0.02 if rate_hz >= 44_100 else 0.5
    assert level_db(sine, rate_hz, "lufs") == pytest.approx(expected, abs=within)


def test_the_gates_are_those_that_are_described() -> None:
    """997 Hz: a peak of 0 dBFS is -3.01 LUFS."""
    absolute, relative = levels.LOUDNESS_GATES_DB
    sine = tone(997, 6.0, peak=1.0).astype(np.float64)
    for above_db in (0.5, -0.5):
        faint = sine * 10 ** ((absolute + 3.01 + above_db) / 20)
        if above_db > 0:
            assert levels._loudness_db(faint, RATE_HZ) == pytest.approx(absolute + 0.5, abs=0.05)
        else:
            with pytest.raises(ClipError, match="below -70 LUFS"):
                levels._loudness_db(faint, RATE_HZ)
    # Half of the clip is fainter: it counts where it lies within the gate below the mean of both.
    for below_db, counts in ((12, True), (14, False)):
        half = 10 ** (-below_db / 10)
        mean = (1 + half) / 2
        assert (half > mean * 10 ** (relative / 10)) == counts
        both = np.concatenate([sine, sine * math.sqrt(half)])
        expected = 10 * math.log10(mean) if counts else 0
        assert levels._loudness_db(both, RATE_HZ) == pytest.approx(-3.01 + expected, abs=0.15)


@pytest.mark.parametrize(
    ("count", "rate_hz"), [(2007, 16_000), (13, 22_050), (26, 11_025), (7, 24_000), (1001, 8_000)]
)
def test_a_length_in_seconds_that_rounds_is_no_hindrance(count: int, rate_hz: int) -> None:
    """n / rate * rate is not n for these."""
    assert count / rate_hz * rate_hz != count
    clip = noise(0.2, 10)[:count]
    output = condition(clip, rate_hz, Conditioning(normalise="lufs"))
    assert level_db(output, rate_hz, "lufs") == pytest.approx(-23, abs=1e-4)


def test_silence_between_words_does_not_count() -> None:
    """The gates: speech with pauses is as loud as its speech."""
    words = noise(2.0, 9)
    paused = np.concatenate([words, np.zeros(4 * RATE_HZ, np.float32), words])
    assert level_db(paused, RATE_HZ, "lufs") == pytest.approx(
        level_db(words, RATE_HZ, "lufs"), abs=0.3
    )
    faint = np.concatenate([words, words[:16_000] * 0.03])
    assert level_db(faint, RATE_HZ, "lufs") == pytest.approx(
        level_db(words, RATE_HZ, "lufs"), abs=0.3
    )


@pytest.mark.parametrize("seed", range(5))
def test_loudness_agrees_with_torchaudios(seed: int) -> None:
    """Which is 0.12 LU off, for its filters are round numbers; and clips, so keep it low."""
    clip = noise(3.0, seed)
    theirs = audio.loudness(torch.from_numpy(clip)[None].double() / 4, RATE_HZ).item()
    assert level_db(clip / 4, RATE_HZ, "lufs") == pytest.approx(theirs, abs=0.2)


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.3])
def test_a_short_clip_is_as_loud_as_a_long_one_of_the_same_sound(seconds: float) -> None:
    long = level_db(tone(1000, 3.0), RATE_HZ, "lufs")
    assert level_db(tone(1000, seconds), RATE_HZ, "lufs") == pytest.approx(long, abs=0.3)
