"""Descriptors against the laws of the sounds that they are taken of."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch

from embedcache.batches import windows
from embedcache.encoders import _bands, _pitch, descriptors, load_encoder
from embedcache.encoders import _spectral_shape as shape
from embedcache.encoders.descriptors import BASE, COLUMNS, HOP, MIDDLE, RATE_HZ, WINDOW
from embedcache.errors import UsageError
from tests.material import REPOSITORY, noise

NAMES = [column.name for column in COLUMNS]
NYQUIST_HZ = RATE_HZ / 2


def encode(clip: np.ndarray) -> np.ndarray:
    return load_encoder("lld", "last", "cpu", "auto").encode([clip.astype(np.float32)])[0][0]


def columns(clip: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(NAMES, encode(clip).T, strict=True))


def means(clip: np.ndarray) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in columns(clip).items()}


def white(seconds: float = 10.0, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))


def sine(hz: float, level_db: float = -20.0, seconds: float = 0.5) -> np.ndarray:
    """A sine by the decibels of its mean square."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.sqrt(2) * 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * time + 0.1)


def test_the_grid_is_60_ms_every_10_ms() -> None:
    encoder = load_encoder("lld", "last", "cpu", "auto")
    for samples, frames in ((960, 1), (1119, 1), (1120, 2), (16_000, 95)):
        assert encoder.spec.frame_count(samples) == frames
        found = encoder.encode([white()[:samples].astype(np.float32)])[0]
        assert found.shape == (1, frames, encoder.spec.dim)
        assert found.dtype == np.float32
    assert encoder.spec.frame_count(959) == 0
    assert encoder.spec.frame_hz == 100


def test_a_frame_is_at_the_middle_of_its_window() -> None:
    clip = np.zeros(RATE_HZ)
    clip[8000] = 1.0
    energy = columns(clip)["energy"]
    seen = np.flatnonzero(energy > -90) * HOP + WINDOW // 2
    assert (np.abs(seen - 8000) <= MIDDLE // 2).all()
    assert len(seen) in (MIDDLE // HOP, MIDDLE // HOP + 1)


def test_the_batch_never_shows() -> None:
    encoder = load_encoder("lld", "last", "cpu", "auto")
    clips = [noise(seconds, 1) for seconds in (0.06, 0.5, 2.0)]
    for together, clip in zip(encoder.encode(clips), clips, strict=True):
        np.testing.assert_array_equal(together, encoder.encode([clip])[0])


def test_long_clips_are_taken_in_chunks_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode(noise(2.0, 6))
    monkeypatch.setattr(descriptors, "_CHUNK_FRAMES", 7)
    np.testing.assert_allclose(encode(noise(2.0, 6)), whole, rtol=1e-4, atol=1e-3)


def test_windows_differ_from_the_whole_clip_in_deltas_beside_seams_alone() -> None:
    """Where the path of the pitch is clear, as it is in noise and in tones."""
    clip = np.concatenate([white(1), sum(sine(150 * k, -30, 2.0) for k in range(1, 9)), white(1)])
    whole = encode(clip)
    cuts = windows(len(clip), round(0.9 * RATE_HZ), HOP, WINDOW)
    parts = [encode(clip[start:end]) for start, end in cuts]
    seams = np.cumsum([len(part) for part in parts])[:-1]
    found = np.concatenate(parts)
    assert found.shape == whole.shape
    differs = np.abs(found - whole) > 1e-3 + 1e-3 * np.abs(whole)
    assert not differs[:, : len(BASE)].any()
    frames = np.flatnonzero(differs.any(axis=1))
    assert len(frames)
    assert all(min(abs(frame + 0.5 - seam) for seam in seams) < 2 for frame in frames)


def test_white_noise_is_as_theory_says() -> None:
    """An even spectrum; the powers of its bins are distributed exponentially."""
    found, bins = means(white(30)), descriptors.FFT // 2
    euler = 0.5772156649
    expected = {
        "energy": -20.0,
        "zero_crossings": NYQUIST_HZ,
        "centroid": NYQUIST_HZ / 2,
        "spread": NYQUIST_HZ / np.sqrt(12),
        "kurtosis": np.log(1.8),
        "entropy": (np.log(bins) - (1 - euler)) / np.log(bins),
        "flatness": -10 * euler / np.log(10),
        **{f"rolloff_{p}": p / 100 * NYQUIST_HZ for p in (25, 50, 75, 90)},
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=0.03), name
    assert found["alpha_ratio"] == pytest.approx(10 * np.log10(950 / 4000), abs=0.4)
    for name, most in (("skewness", 0.05), ("slope_0_500", 1.5), ("slope_500_1500", 0.3)):
        assert abs(found[name]) < most, name
    assert found["voiced"] == 0


@pytest.mark.parametrize("hz", [240.0, 1000.0, 3000.0, 6000.0])
def test_a_sine_is_where_it_is(hz: float) -> None:
    found = means(sine(hz))
    bin_hz = RATE_HZ / descriptors.FFT
    assert found["energy"] == pytest.approx(-20, abs=0.05)
    assert found["zero_crossings"] == pytest.approx(2 * hz, rel=0.02)
    assert found["centroid"] == pytest.approx(hz, abs=5)
    assert found["spread"] < 2 * bin_hz
    assert found["rolloff_50"] == pytest.approx(hz, abs=bin_hz)
    assert found["flux"] < 0.05
    assert found["entropy"] < 0.25
    assert found["flatness"] < -30


def test_powers_of_bands_are_those_of_the_signal() -> None:
    """Noise of -20 dB holds 1e-2 / 256 per bin, which the filters add up."""
    found = means(white(30))
    per_hz = 1e-2 / NYQUIST_HZ
    mel = np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 8000 / 700), 28)
    edges_hz = 700 * (10 ** (mel / 2595) - 1)
    euler = 0.5772156649
    for band in (10, 18, 26):  # those wide enough for their triangles to be whole
        expected = np.log(per_hz * (edges_hz[band + 1] - edges_hz[band - 1]) / 2)
        assert expected - euler < found[f"logmel_{band}"] < expected + 0.05


def test_mfcc_is_the_cosine_transform_of_the_log_mel_energies() -> None:
    from scipy.fft import dct

    found = columns(noise(0.5, 4))
    logs = np.stack([found[f"logmel_{n}"] for n in range(1, _bands.BANDS + 1)], axis=1)
    cepstrum = dct(logs, norm="ortho")
    for n in range(1, _bands.CEPSTRA + 1):
        np.testing.assert_allclose(found[f"mfcc_{n}"], cepstrum[:, n], atol=1e-3)


def test_ten_decibels_more_are_twice_as_loud() -> None:
    quiet, loud = columns(noise(0.5, 5)), columns(np.sqrt(10) * noise(0.5, 5))
    np.testing.assert_allclose(loud["loudness"] / quiet["loudness"], 10**0.3, rtol=1e-2)
    np.testing.assert_allclose(loud["energy"] - quiet["energy"], 10, atol=1e-2)


def test_the_ear_hears_3_khz_best_and_little_below_100_hz() -> None:
    loudness = {hz: means(sine(hz, -60))["loudness"] for hz in (60, 250, 1000, 3000)}
    assert loudness[60] < loudness[250] < loudness[1000] < loudness[3000]
    assert loudness[1000] == pytest.approx(1, rel=0.01)


def test_the_level_makes_no_difference_to_shape_and_pitch() -> None:
    level = {"energy", "loudness"} | {f"logmel_{n}" for n in range(1, _bands.BANDS + 1)}
    quiet, loud = columns(white(1)), columns(10 * white(1))
    for column in BASE:
        if column.name not in level:
            scale = np.abs(quiet[column.name]).max()
            distance = np.abs(loud[column.name] - quiet[column.name]).max()
            assert distance <= 0.02 * scale, column.name


def test_a_brighter_sound_is_brighter_by_every_measure() -> None:
    clip = white(5)
    dull = np.convolve(clip, [0.5, 0.5], "same")
    dull = np.convolve(dull, [0.5, 0.5], "same")
    bright, dark = means(clip), means(dull)
    for name in ("centroid", "rolloff_25", "rolloff_50", "rolloff_75", "rolloff_90", "entropy"):
        assert bright[name] > dark[name], name
    for name in ("alpha_ratio", "hammarberg", "skewness"):
        assert bright[name] < dark[name], name


def test_a_slope_in_decibels_is_measured_as_it_is() -> None:
    hz = torch.linspace(0, NYQUIST_HZ, 257)[1:]
    power = 10 ** (-1.2 * hz[None] / 1000)  # -12 dB per kHz
    found = shape.spectral_shape(power, power, hz)[0]
    by_name = dict(zip([c.name for c in shape.COLUMNS], found.tolist(), strict=True))
    assert by_name["slope_0_500"] == pytest.approx(-12, rel=1e-3)
    assert by_name["slope_500_1500"] == pytest.approx(-12, rel=1e-3)
    assert by_name["flux"] == 0


def test_flux_is_the_distance_of_neighbours() -> None:
    hz = torch.linspace(0, NYQUIST_HZ, 257)[1:]
    low, high = torch.full((2, 1, 256), 1e-12)
    low[0, 10], high[0, 200] = 1.0, 9.0
    flux = [c.name for c in shape.COLUMNS].index("flux")
    assert float(shape.spectral_shape(low, high, hz)[0, flux]) == pytest.approx(2**0.5, rel=1e-3)
    steady, changing = sine(1000), np.concatenate([sine(1000, seconds=0.2), sine(3000)])
    assert columns(steady)["flux"].max() < 0.05
    assert columns(changing)["flux"].max() > 0.3


def test_deltas_are_slopes_of_what_precedes_them() -> None:
    """A tone that swells by 20 dB in a second has 0.2 dB more in each frame."""
    swell = sine(500, seconds=1.0) * 10 ** (np.linspace(-20, 0, RATE_HZ) / 20)
    np.testing.assert_allclose(columns(swell)["energy_delta"], 0.2, atol=0.01)
    assert [c.name.removesuffix("_delta") for c in COLUMNS[len(BASE) :]] == NAMES[: len(BASE)]


@pytest.mark.parametrize(
    "clip",
    [np.zeros(4000), np.ones(4000), np.eye(1, 4000, 2000)[0], np.sign(sine(100)), 1e-6 * white(0.3),
     3e3 * white(0.3), sine(3000, 40), (-1.0) ** np.arange(4000), white()[:WINDOW]],
    ids=["silence", "direct current", "impulse", "square", "tiny", "huge", "loud sine", "Nyquist",
         "one window"],
)  # fmt: skip
def test_extremes_are_finite_and_fit_float16(clip: np.ndarray) -> None:
    frames = encode(clip)
    assert np.isfinite(frames).all()
    assert np.abs(frames).max() < np.finfo(np.float16).max


def test_silence_reads_as_the_quietest_white_noise() -> None:
    found = means(np.zeros(RATE_HZ))
    assert found["energy"] == -100
    assert found["centroid"] == pytest.approx(NYQUIST_HZ / 2, rel=0.01)
    assert found["entropy"] == pytest.approx(1, rel=1e-4)
    assert found["voicing"] == found["voiced"] == found["zero_crossings"] == 0
    assert found["loudness"] < 0.01


def test_the_same_clip_gives_the_same_bytes() -> None:
    assert encode(noise(1.0, 8)).tobytes() == encode(noise(1.0, 8)).tobytes()


def test_every_constant_is_part_of_the_configuration() -> None:
    spec = load_encoder("lld", "last", "cpu", "auto").spec
    assert spec.dim == len(set(NAMES)) == len(NAMES)
    assert spec.config["columns"] == NAMES
    assert (spec.weights, spec.trained, spec.layers, spec.last) == ("", None, ("last",), "last")
    held = json.dumps(spec.config)
    for module in (descriptors, _bands, shape, _pitch):
        for name, value in vars(module).items():
            public = name.isupper() and not name.startswith("_")
            if public and type(value) in (int, float) and name not in ("RATE_HZ", "REACH"):
                assert f'"{name.lower()}": {json.dumps(value)}' in held, name


def test_what_it_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="lld has one layer; give last"):
        load_encoder("lld", "3", "cpu", "auto")
    with pytest.raises(UsageError, match="lld computes in float32 only"):
        load_encoder("lld", "last", "cpu", "bfloat16")


def test_the_page_lists_every_column() -> None:
    page = (REPOSITORY / "docs" / "descriptors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|$", page, re.M)
    listed = [(name, unit.strip(), meaning.strip()) for name, unit, meaning in rows]
    wanted = [(c.name, c.unit, c.meaning) for c in BASE]
    text = "\n".join(f"| `{name}` | {unit} | {meaning} |" for name, unit, meaning in wanted)
    assert listed == wanted, f"the table of docs/descriptors.md should be:\n{text}"
