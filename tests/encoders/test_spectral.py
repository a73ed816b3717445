from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio

from embedcache.encoders import load_encoder
from embedcache.encoders.spectral import FFT, HOP, MELS, WINDOW
from embedcache.errors import UsageError
from tests.material import noise


@pytest.mark.parametrize(("name", "dim"), [("logmel", 80), ("mfcc", 40)])
def test_the_grid_is_that_of_wav2vec2(name: str, dim: int) -> None:
    encoder = load_encoder(name, "last", "cpu", "auto")
    for samples, frames in ((400, 1), (719, 1), (720, 2), (16_000, 49)):
        assert encoder.spec.frame_count(samples) == frames
        assert encoder.encode([noise(samples / 16_000, 0)])[0].shape == (1, frames, dim)
    assert encoder.spec.frame_count(399) == 0
    assert encoder.spec.frame_hz == 50


def test_logmel_is_torchaudios_mel_spectrogram() -> None:
    """torchaudio centres the window in the FFT; padding by the margin puts frame t at t * hop."""
    clip = noise(1.0, 3)
    margin = (FFT - WINDOW) // 2
    transform = torchaudio.transforms.MelSpectrogram(
        16_000, n_fft=FFT, win_length=WINDOW, hop_length=HOP, n_mels=MELS, center=False
    )
    padded = torch.nn.functional.pad(torch.from_numpy(clip), (margin, margin))
    theirs = transform(padded).clamp_min(1e-10).log().T.numpy()
    mine = load_encoder("logmel", "last", "cpu", "auto").encode([clip])[0][0]
    np.testing.assert_allclose(mine, theirs[: len(mine)], rtol=1e-4, atol=1e-4)


def test_mfcc_is_the_cosine_transform_of_logmel() -> None:
    from scipy.fft import dct

    clip = noise(0.5, 4)
    logmel = load_encoder("logmel", "last", "cpu", "auto").encode([clip])[0][0]
    mfcc = load_encoder("mfcc", "last", "cpu", "auto").encode([clip])[0][0]
    np.testing.assert_allclose(mfcc, dct(logmel, norm="ortho")[:, :40], atol=1e-4)


def test_twice_as_loud_is_a_constant_more() -> None:
    encoder = load_encoder("logmel", "last", "cpu", "auto")
    quiet, loud = encoder.encode([noise(0.5, 5), 2 * noise(0.5, 5)])
    np.testing.assert_allclose(loud - quiet, np.log(4), atol=1e-4)


def test_a_tone_peaks_in_its_own_band() -> None:
    encoder = load_encoder("logmel", "last", "cpu", "auto")
    time = np.arange(16_000) / 16_000
    centres_mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), MELS + 2)[1:-1]
    centres_hz = 700 * (10 ** (centres_mel / 2595) - 1)
    for band in (20, 40, 60):
        tone = np.sin(2 * np.pi * centres_hz[band] * time).astype(np.float32)
        assert encoder.encode([tone])[0][0].mean(axis=0).argmax() == band


def test_long_clips_are_taken_in_chunks_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder("logmel", "last", "cpu", "auto")
    clip = noise(2.0, 6)
    whole = encoder.encode([clip])[0]
    monkeypatch.setattr("embedcache.encoders.spectral._CHUNK_FRAMES", 7)
    np.testing.assert_allclose(encoder.encode([clip])[0], whole, atol=1e-5)


def test_what_it_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="logmel has one layer"):
        load_encoder("logmel", "3", "cpu", "auto")
    with pytest.raises(UsageError, match="mfcc computes in float32 only"):
        load_encoder("mfcc", "last", "cpu", "bfloat16")
