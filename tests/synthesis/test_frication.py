"""Frication: noise with the spectrum that the consonant asks for."""

from __future__ import annotations

import numpy as np
import pytest

from embedcache.synthesis.frication import Frication, frication_noise
from embedcache.synthesis.phones import CONSONANTS

RATE_HZ = 48_000
NOISY = [name for name, consonant in CONSONANTS.items() if consonant.frication]


def noise(frication: Frication, samples: int = RATE_HZ, seed: int = 0) -> np.ndarray:
    return frication_noise(frication, samples, RATE_HZ, np.random.default_rng(seed))


@pytest.mark.parametrize("name", NOISY)
def test_the_spectrum_is_centred_and_as_wide_as_asked(name: str) -> None:
    frication = CONSONANTS[name].frication
    assert frication is not None
    wave = noise(frication)
    frequency_hz = np.fft.rfftfreq(len(wave), 1 / RATE_HZ)[1:]
    octaves = np.log2(frequency_hz / frication.centre_hz)
    # Over log frequency a density counts as often as it is broad, hence the factor.
    power = np.abs(np.fft.rfft(wave)[1:]) ** 2 / frequency_hz
    seen = np.abs(octaves) < 1.5  # the same on both sides, and below half the sample rate
    assert np.average(octaves[seen], weights=power[seen]) == pytest.approx(0, abs=0.1)
    # The gain's deviation is that of an amplitude; a power's is narrower by the root of two.
    if frication.octaves < 0.7:
        width = np.sqrt(np.average(octaves[seen] ** 2, weights=power[seen]))
        assert width == pytest.approx(frication.octaves / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("samples", [1, 2, 3, 100, 4801])
def test_it_has_the_asked_length_and_is_finite(samples: int) -> None:
    wave = noise(Frication(0.1, 2000.0, 0.5, -10.0), samples)
    assert wave.shape == (samples,) and np.isfinite(wave).all()


def test_it_swells_and_fades() -> None:
    wave = np.abs(noise(Frication(0.1, 4000.0, 1.0, -10.0), 4800))
    assert wave[0] == wave[-1] == 0
    assert wave[:400].mean() < 0.2 * wave[2200:2600].mean() > wave[-400:].mean()


def test_the_generator_decides_the_noise() -> None:
    hiss = Frication(0.1, 4000.0, 1.0, -10.0)
    assert np.array_equal(noise(hiss, seed=1), noise(hiss, seed=1))
    assert not np.array_equal(noise(hiss, seed=1), noise(hiss, seed=2))
