"""wav2vec2-bert and Whisper: what they hear, how many frames they give, what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2FeatureExtractor

from embedcache.encoders import load_encoder
from embedcache.errors import SerError
from tests.encoders.tiny_models import (
    CLIPS,
    TINY,
    Tiny,
    extractor_of,
    largest_difference,
    reference,
    save,
)
from tests.material import encoded, noise

BERT = TINY["wav2vec2-bert, relative_key"]
RATE_HZ = 16_000


@pytest.mark.parametrize(
    ("tiny", "samples", "frames"),
    [
        *((BERT, n, t) for n, t in ((559, 0), (560, 1), (719, 1), (720, 1), (879, 1), (880, 2))),
        *((Tiny("whisper"), n, t) for n, t in ((0, 0), (1, 1), (320, 1), (321, 2), (32_000, 100))),
    ],
)
def test_the_grid(tmp_path: Path, tiny: Tiny, samples: int, frames: int) -> None:
    """Two whole steps of 10 ms, the first of which sees 25 ms; or every 20 ms that is begun."""
    save(tmp_path, tiny)
    encoder = load_encoder(str(tmp_path), "last", "cpu", "float32")
    assert encoder.spec.frame_count(samples) == frames
    assert (encoder.spec.hop, encoder.spec.rate_hz, encoder.spec.frame_hz) == (320, RATE_HZ, 50)
    if frames:
        assert encoded(encoder, [noise(samples / RATE_HZ, 1)])[0].shape == (1, frames, 32)


def test_without_its_mask_wav2vec2_bert_gives_one_frame_too_many(tmp_path: Path) -> None:
    """The library's own count, which is why the mask decides and not the output's length."""
    model = save(tmp_path, BERT)
    clip = noise(720 / RATE_HZ, 2)  # three steps of 10 ms
    given = extractor_of(model.config)(clip, sampling_rate=RATE_HZ, return_tensors="pt")
    with torch.no_grad():
        assert model(**given).last_hidden_state.shape[1] == 2
    assert given["attention_mask"].tolist() == [[1, 0]]


def test_whisper_hears_thirty_seconds_at_most() -> None:
    spec = load_encoder("random:whisper-tiny", "0", "cpu", "float32").spec
    assert (spec.longest, spec.frame_count(spec.longest or 0)) == (480_000, 1_500)


def test_whispers_frames_depend_on_the_silence_behind(tmp_path: Path) -> None:
    """Why the input is padded as in training, although only the clip's own frames are kept."""
    save(tmp_path / "long", "whisper")
    save(tmp_path / "short", "whisper", max_source_positions=50)
    frames = [
        encoded(load_encoder(str(tmp_path / name), "last", "cpu", "float32"), CLIPS[-3:-1])[0]
        for name in ("long", "short")
    ]
    assert frames[0].shape == frames[1].shape
    assert largest_difference(frames[0], frames[1]) > 1e-3


SETTINGS: list[tuple[Tiny, dict[str, Any], dict[str, Any]]] = [
    # of the model, and of its feature extractor
    (Tiny("wav2vec2"), {}, {"sampling_rate": 8_000}),
    (BERT, {}, {"sampling_rate": 8_000}),
    (BERT, {"feature_projection_input_dim": 48}, {"num_mel_bins": 24, "feature_size": 24}),
    (BERT, {"feature_projection_input_dim": 60}, {"stride": 3}),
    (Tiny("whisper"), {"num_mel_bins": 24}, {"feature_size": 24}),
    (Tiny("whisper"), {"max_source_positions": 50}, {"chunk_length": 1}),
    (Tiny("whisper"), {}, {"n_fft": 512}),
    (Tiny("whisper"), {"max_source_positions": 50}, {"hop_length": 320}),
    (Tiny("whisper"), {}, {"padding_value": 0.5}),
]


@pytest.mark.parametrize(("tiny", "of_model", "of_extractor"), SETTINGS)
def test_the_feature_extractors_settings_are_honoured_and_in_the_key(
    tmp_path: Path, tiny: Tiny, of_model: dict[str, Any], of_extractor: dict[str, Any]
) -> None:
    save(tmp_path / "usual", tiny)
    model = save(tmp_path / "other", tiny, **of_model)
    path = tmp_path / "other" / "preprocessor_config.json"
    record = json.loads((tmp_path / "usual" / "preprocessor_config.json").read_text())
    for name in ("n_samples", "nb_max_frames"):  # which follow from the others
        record.pop(name, None)
    path.write_text(json.dumps(record | of_extractor))
    extractor = type(extractor_of(model.config)).from_pretrained(tmp_path / "other")
    usual = load_encoder(str(tmp_path / "usual"), "all", "cpu", "float32")
    other = load_encoder(str(tmp_path / "other"), "all", "cpu", "float32")
    for clip in (CLIPS[-4], CLIPS[-5][: RATE_HZ // 3]):
        alone = reference(model, extractor, clip, other.spec.layers)[
            :, : len(clip) // other.spec.hop
        ]
        frames = encoded(other, [other.prepare(clip)])[0][:, : alone.shape[1]]
        assert largest_difference(frames, alone[:, : frames.shape[1]]) <= 1e-5
    key = [(spec.config, spec.rate_hz) for spec in (usual.spec, other.spec)]
    assert key[0] != key[1]


@pytest.mark.parametrize(
    ("tiny", "change", "words"),
    [
        (BERT, {"num_mel_bins": 24}, "gives 2 times 24 mel energies a frame, .* takes 40; one of"),
        (Tiny("whisper"), {"feature_size": 24}, "gives 24 mel energies at 200 steps, .* takes 20"),
        (Tiny("whisper"), {"chunk_length": 30}, "at 3000 steps, its config.json takes 20 at 200"),
    ],
)
def test_a_feature_extractor_of_another_model(
    tmp_path: Path, tiny: Tiny, change: dict[str, Any], words: str
) -> None:
    save(tmp_path, tiny)
    path = tmp_path / "preprocessor_config.json"
    record = json.loads(path.read_text())
    for name in ("n_samples", "nb_max_frames"):
        record.pop(name, None)
    path.write_text(json.dumps(record | change))
    with pytest.raises(SerError, match=words):
        load_encoder(str(tmp_path), "last", "cpu", "float32")


@pytest.mark.parametrize("tiny", [BERT, Tiny("whisper"), Tiny("hubert")])
def test_a_feature_extractor_of_another_kind(tmp_path: Path, tiny: Tiny) -> None:
    save(tmp_path, tiny)
    wrong = SeamlessM4TFeatureExtractor if tiny.model_type == "hubert" else Wav2Vec2FeatureExtractor
    wrong().save_pretrained(tmp_path)
    with pytest.raises(
        SerError, match=f"asks for a {wrong.__name__}, but {tiny.model_type} models"
    ):
        load_encoder(str(tmp_path), "last", "cpu", "float32")


def test_a_folder_without_a_preprocessor_is_taken_as_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, BERT)
    usual = load_encoder(str(tmp_path), "last", "cpu", "float32")
    (tmp_path / "preprocessor_config.json").unlink()
    found = load_encoder(str(tmp_path), "last", "cpu", "float32")
    assert found.spec == usual.spec
    assert "has no preprocessor_config.json: taken as 16,000 Hz, as is usual" in caplog.text


def test_noise_that_training_adds_is_left_out(tmp_path: Path) -> None:
    save(tmp_path, "whisper")
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dither": 0.1}))
    encoder = load_encoder(str(tmp_path), "last", "cpu", "float32")
    np.testing.assert_array_equal(*(encoded(encoder, CLIPS[-1:])[0] for _ in range(2)))


def test_whispers_decoder_is_no_part_of_the_key(tmp_path: Path) -> None:
    save(tmp_path / "a", "whisper")
    save(tmp_path / "b", "whisper", decoder_layers=2, max_target_positions=12, use_cache=False)
    spec = [load_encoder(str(tmp_path / name), "last", "cpu", "float32").spec for name in "ab"]
    assert spec[0].config == spec[1].config
