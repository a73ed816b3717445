"""The pitch of tones whose frequency is known, and of sounds that have none."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch

from embedcache.audio.decode import read_clip
from embedcache.corpora.ravdess import parse
from embedcache.encoders._pitch import (
    COLUMNS,
    Peaks,
    PitchConfig,
    _best_path,
    find_peaks,
    follow,
    pitch,
)
from tests.material import real_data

RATE_HZ = 16_000
WINDOW, HOP = 960, 160
CONFIG = PitchConfig()
TONES_HZ = [60.0, 75.0, 98.0, 130.8, 177.3, 220.0, 261.6, 333.3, 412.0, 500.0]
FORMANTS_HZ = ((500, 80, 1.0), (1500, 120, 0.6), (2500, 160, 0.4))


def tone(hz: float | np.ndarray, kind: str, seconds: float = 0.6, snr_db: float = 99) -> np.ndarray:
    """A harmonic tone of a kind, with noise; `hz` may be a frequency per sample."""
    rng = np.random.default_rng(round(float(np.mean(hz))))
    hz = np.broadcast_to(hz, round(seconds * RATE_HZ))
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    clip = np.zeros(len(hz))
    for k in range(1, int(7500 // hz.max()) + 1):
        level = {"flat": 1.0, "falling": 1 / k, "sine": float(k == 1), "no first": float(k > 1)}
        bumps = [gain / (1 + ((k * hz.mean() - f) / b) ** 2) for f, b, gain in FORMANTS_HZ]
        level["vowel"] = (0.02 + sum(bumps)) / k
        clip += level[kind] * np.cos(k * phase + rng.uniform(0, 2 * np.pi))
    clip += clip.std() * 10 ** (-snr_db / 20) * rng.standard_normal(len(hz))
    return (0.1 * clip / clip.std()).astype(np.float32)


def track(clip: np.ndarray, config: PitchConfig = CONFIG) -> tuple[np.ndarray, np.ndarray]:
    """Frequency (0 where unvoiced) and voicing of each frame."""
    windows = torch.from_numpy(clip).unfold(0, WINDOW, HOP)
    hz, voicing = follow(find_peaks(windows, RATE_HZ, config), config)
    return hz.numpy(), voicing.numpy()


def errors(hz: np.ndarray, truth: float | np.ndarray) -> tuple[float, float, float]:
    """Shares: of frames that are voiced; of those within 1 %; and of those an octave or so off."""
    voiced = hz > 0
    ratio = hz[voiced] / np.broadcast_to(truth, hz.shape)[voiced]
    return (
        float(voiced.mean()),
        float((np.abs(ratio - 1) < 0.01).mean()),
        float((np.abs(np.log2(ratio)) > 0.4).mean()),
    )


@pytest.mark.parametrize(
    ("kind", "snr_db"),
    [*product(["flat", "falling", "no first", "vowel"], [99, 20, 10]), ("sine", 99), ("sine", 20)],
)
def test_harmonic_tones_are_found_in_tune(kind: str, snr_db: float) -> None:
    for truth in TONES_HZ:
        voiced, near, octaves = errors(track(tone(truth, kind, snr_db=snr_db))[0], truth)
        assert voiced > 0.95, truth
        assert near > 0.95, truth
        assert octaves < 0.02, truth


@pytest.mark.parametrize(("start", "end"), [(100, 300), (400, 120), (60, 150), (250, 500)])
def test_glides_are_followed(start: float, end: float) -> None:
    """At the middle of its window, over an octave and more in a second."""
    clip_hz = np.geomspace(start, end, RATE_HZ)
    hz, _ = track(tone(clip_hz, "falling", 1.0))
    voiced, near, octaves = errors(hz, clip_hz[WINDOW // 2 :: HOP][: len(hz)])
    assert (voiced > 0.95, near > 0.95, octaves) == (True, True, 0.0)


def test_noise_has_no_pitch() -> None:
    white = np.random.default_rng(0).standard_normal(20 * RATE_HZ)
    red = np.convolve(white, 0.95 ** np.arange(200))  # 6 dB less per octave
    for clip, most in ((white, 0.001), (red, 0.03)):
        hz, voicing = track((0.05 * clip / clip.std()).astype(np.float32))
        assert (hz > 0).mean() < most
        assert np.median(voicing) < 0.35


@pytest.mark.parametrize("level", [0.0, 1.0, -0.3])
def test_silence_has_no_pitch_and_no_voicing(level: float) -> None:
    hz, voicing = track(np.full(RATE_HZ, level, np.float32))
    assert not hz.any()
    assert not voicing.any()


def test_voice_begins_and_ends_where_the_tone_does() -> None:
    """Within half a window, between noise 40 dB below it; a frame may be missed at the edge."""
    clip = 0.001 * np.random.default_rng(1).standard_normal(2 * RATE_HZ)
    clip[RATE_HZ // 2 : RATE_HZ] += tone(150, "vowel", 0.5)
    voiced = np.flatnonzero(track(clip.astype(np.float32))[0] > 0)
    centres = voiced * HOP + WINDOW / 2
    assert len(voiced) > 0.98 * (voiced[-1] - voiced[0] + 1)
    assert abs(centres[0] - RATE_HZ / 2) < WINDOW / 2
    assert abs(centres[-1] - RATE_HZ) < WINDOW / 2


def test_the_level_makes_no_difference() -> None:
    clip = tone(180, "vowel", snr_db=10)
    for gain in (0.01, 10.0):
        np.testing.assert_allclose(track(clip * np.float32(gain))[0], track(clip)[0], rtol=1e-4)


@pytest.mark.parametrize("snr_db", [0, 5, 10, 20])
def test_harmonicity_is_that_of_the_mixture_below_the_cut(snr_db: float) -> None:
    """A sine in white noise, of which a fourth-order Butterworth lets this share through."""
    below = CONFIG.cut_hz * np.pi / 8 / np.sin(np.pi / 8) / (RATE_HZ / 2)
    clip = tone(200, "sine", 10.0, snr_db)
    peaks = find_peaks(torch.from_numpy(clip).unfold(0, WINDOW, HOP), RATE_HZ, CONFIG)
    hnr = pitch(peaks, CONFIG)[:, [c.name for c in COLUMNS].index("hnr")]
    assert abs(float(hnr.mean()) - (snr_db - 10 * np.log10(below))) < 1.0


def test_unvoiced_frames_stand_in_the_middle_of_the_range() -> None:
    peaks = Peaks(torch.full((3, 2), 110.0), torch.tensor([[0.9, 0.0], [0.9, 0.0], [0.1, 0.0]]))
    columns = dict(zip([c.name for c in COLUMNS], pitch(peaks, CONFIG).T, strict=True))
    np.testing.assert_allclose(columns["f0"], [24, 24, 12 * np.log2(np.sqrt(55 * 700) / 27.5)])
    assert columns["voiced"].tolist() == [1, 1, 0]
    np.testing.assert_allclose(columns["voicing"], [0.9, 0.9, 0.1])
    assert "34.0 (196 Hz)" in COLUMNS[0].meaning
    assert f"{columns['f0'][2]:.1f}" == "34.0"


def worth(path: tuple[int, ...], octaves: np.ndarray, strengths: np.ndarray) -> float:
    """What a path gains; the number after the last peak is unvoiced."""
    none = strengths.shape[1]
    gains = [CONFIG.threshold if k == none else strengths[t, k] for t, k in enumerate(path)]
    total = float(sum(gains))
    for t, (a, b) in enumerate(pairwise(path)):
        if (a == none) != (b == none):
            total -= CONFIG.voicing_cost
        elif a < none:
            total -= CONFIG.jump_cost * abs(float(octaves[t, a] - octaves[t + 1, b]))
    return total


def test_the_path_is_the_best_of_all_paths() -> None:
    """Against every path there is through five frames with three peaks each."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        octaves = rng.uniform(0, 3, (5, 3)).astype(np.float32)
        strengths = rng.uniform(0, 1, (5, 3)).astype(np.float32)
        paths = product(range(4), repeat=5)
        best = max(paths, key=lambda path, o=octaves, s=strengths: worth(path, o, s))
        assert tuple(_best_path(octaves, strengths, CONFIG)) == best


def test_without_its_costs_octaves_would_be_lost() -> None:
    """The tests above can fail: by the highest peak alone, tones fall to fractions."""
    free = replace(CONFIG, octave_cost=0.0, jump_cost=0.0)
    wrong = [errors(track(tone(f, "vowel", snr_db=10), free)[0], f)[2] for f in TONES_HZ]
    assert np.mean(wrong) > 0.1


def test_men_and_women_of_ravdess_speak_at_their_pitch() -> None:
    """Medians over the neutral clips of each of the 24 actors."""
    tones: dict[tuple[str | None, str | None], list[np.ndarray]] = {}
    for clip in parse(real_data("ravdess")):
        if clip.label == "neutral":
            hz, _ = track(read_clip(clip.path, clip.start_s, clip.end_s, RATE_HZ))
            tones.setdefault((clip.gender, clip.speaker), []).append(hz[hz > 0])
    medians = {who: float(np.median(np.concatenate(hz))) for who, hz in tones.items()}
    men = [hz for (gender, _), hz in medians.items() if gender == "male"]
    women = [hz for (gender, _), hz in medians.items() if gender == "female"]
    assert min(men) > 80
    assert max(women) < 280
    assert sum(hz < 165 for hz in men) + sum(hz > 165 for hz in women) >= 22
