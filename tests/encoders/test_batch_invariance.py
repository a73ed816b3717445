"""The batch never shows: each clip's frames are the library's own for that clip alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedcache.encoders import _checkpoints, _padding, load_encoder
from tests.encoders.tiny_models import (
    CLIPS,
    TINY,
    Tiny,
    extractor_of,
    largest_difference,
    reference,
    save,
)
from tests.material import encoded

LEAKY = [
    "wav2vec2, base",
    "hubert, base",
    "hubert, batch norm",
    "wavlm, base",
    "unispeech, base",
    "unispeech-sat, base",
    "data2vec-audio",
    "wav2vec2-conformer, relative, layer",
    "wav2vec2-conformer, rotary, group",
]


def differences(folder: Path, model: Any, extractor: Any) -> list[float]:
    """How far each clip's frames are from the library's when all clips share a batch."""
    encoder = load_encoder(str(folder), "all", "cpu", "float32")
    clips = [clip for clip in CLIPS if encoder.spec.frame_count(len(clip))]
    assert encoder.spec.pads
    together = encoded(encoder, [encoder.prepare(clip) for clip in clips])
    found = []
    for clip, frames in zip(clips, together, strict=True):
        alone = reference(model, extractor, clip, encoder.spec.layers)
        assert frames.shape == alone.shape
        assert frames.shape[1:] == (encoder.spec.frame_count(len(clip)), encoder.spec.dim)
        found.append(largest_difference(frames, alone))
    return found


@pytest.mark.parametrize("name", TINY)
def test_the_batch_never_shows(tmp_path: Path, name: str) -> None:
    model = save(tmp_path, TINY[name])
    assert max(differences(tmp_path, model, extractor_of(model.config))) <= 1e-5


@pytest.mark.parametrize("name", ["wav2vec2, base", "wavlm, stable"])
def test_nor_where_clips_are_taken_as_they_are(tmp_path: Path, name: str) -> None:
    model = save(tmp_path, TINY[name], do_normalize=False)
    assert max(differences(tmp_path, model, extractor_of(model.config, False))) <= 1e-5


@pytest.mark.parametrize("name", LEAKY)
def test_without_the_cure_it_would_show(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: in these families the library's own padding leaks."""
    model = save(tmp_path, TINY[name])
    monkeypatch.setattr(_padding.Padding, "__init__", lambda self, model: None)
    assert max(differences(tmp_path, model, extractor_of(model.config))) > 1e-2


def test_every_family_is_put_to_the_test() -> None:
    assert {tiny.model_type for tiny in TINY.values()} == _checkpoints.MODEL_TYPES


@pytest.mark.parametrize("name", ["wav2vec2, base", "wav2vec2-bert, relative_key", "whisper"])
def test_clips_of_one_length_need_no_padding(tmp_path: Path, name: str) -> None:
    save(tmp_path, TINY[name])
    encoder = load_encoder(str(tmp_path), "last", "cpu", "float32")
    pair = [CLIPS[-2], CLIPS[-2][::-1].copy()]
    together = encoded(encoder, pair)
    for clip, frames in zip(pair, together, strict=True):
        np.testing.assert_allclose(frames, encoded(encoder, [clip])[0], atol=1e-5)


def test_padding_is_forgotten_once_a_batch_is_done(tmp_path: Path) -> None:
    save(tmp_path, Tiny("wav2vec2"))
    encoder = load_encoder(str(tmp_path), "last", "cpu", "float32")
    before = encoded(encoder, CLIPS[-1:])[0]
    encoded(encoder, CLIPS)
    np.testing.assert_array_equal(encoded(encoder, CLIPS[-1:])[0], before)
