"""The glottis: pulses of Rosenberg's form, as often, as regular and as breathy as asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.synthesis.glottis import glottal_flow, glottal_source
from embedcache.synthesis.levels import rms

RATE_HZ = 48_000
ONE = np.ones(2 * RATE_HZ)
OPEN_QUOTIENT = 0.56


def source(
    f0_hz: float = 120.0, jitter: float = 0.0, breathiness: float = 0.0, amplitude: float = 1.0
) -> np.ndarray:
    return glottal_source(
        f0_hz * ONE,
        amplitude * ONE,
        RATE_HZ,
        np.random.default_rng(0),
        open_quotient=OPEN_QUOTIENT,
        breathiness=breathiness,
        jitter=jitter,
    )


def closures(wave: np.ndarray) -> np.ndarray:
    # The flow's derivative is at its lowest where the glottis shuts, and jumps back to zero there.
    falling = wave < 0.3 * wave.min()
    return np.flatnonzero(falling[:-1] & ~falling[1:])


@given(st.floats(0.2, 1.0))
def test_the_flow_opens_slowly_closes_fast_and_is_zero_for_the_rest(open_quotient: float) -> None:
    phase = np.linspace(0, 1, 2001)
    flow = glottal_flow(phase, open_quotient)
    assert flow.min() >= 0 and flow.max() == pytest.approx(1, abs=1e-4)
    assert phase[flow.argmax()] == pytest.approx(5 / 7 * open_quotient, abs=1e-3)
    assert np.mean(flow > 0) == pytest.approx(open_quotient, abs=2e-3)
    # Continuous: the steepest fall is 2 / q a period, with q = 2/7 of the open quotient.
    assert np.abs(np.diff(flow)).max() <= 7 / open_quotient / 2000 + 1e-9


@pytest.mark.parametrize("f0_hz", [80.0, 120.0, 250.0])
def test_there_are_f0_pulses_a_second(f0_hz: float) -> None:
    assert len(closures(source(f0_hz))) == pytest.approx(2 * f0_hz, abs=1)


@pytest.mark.parametrize("jitter", [0.01, 0.02, 0.04])
def test_jitter_is_the_variation_of_the_periods(jitter: float) -> None:
    def variation(wave: np.ndarray) -> float:
        periods = np.diff(closures(wave))
        return periods.std() / periods.mean()

    # Closure comes at 0.56 of a period: its time is made of this period's length and the last's.
    expected = jitter * np.hypot(OPEN_QUOTIENT, 1 - OPEN_QUOTIENT)
    assert variation(source()) < 0.003
    assert variation(source(jitter=jitter)) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("breathiness", [0.05, 0.4])
def test_breathiness_is_noise_relative_to_the_pulses(breathiness: float) -> None:
    clear, breathy = source(), source(breathiness=breathiness)
    assert rms(breathy - clear) / rms(clear) == pytest.approx(breathiness)


def test_no_flow_is_silence() -> None:
    assert not source(breathiness=0.5, jitter=0.02, amplitude=0.0).any()
