"""Frames of Hugging Face encoders against the library's own output for each utterance alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor

from embedcache.encoders import _checkpoints, huggingface, load_encoder
from embedcache.errors import SerError, UsageError
from tests.material import noise

# Around every edge of the grid of 400 + 320 n samples, and one clip much longer than the others.
LENGTHS = (400, 401, 719, 720, 721, 5_003, 16_000, 23_457)
CLIPS = [noise(n / 16_000, n) * (1 + n % 3) + 0.01 for n in LENGTHS]

TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embedding_groups": 4,
}
NORMS = [("group", False), ("layer", True), ("layer", False)]


def save(folder: Path, model_type: str, do_normalize: bool = True, **settings: Any) -> Any:
    """Write a small model with random weights as any tool would, and give it back."""
    torch.manual_seed(1)
    model = AutoModel.from_config(AutoConfig.for_model(model_type, **TINY, **settings)).eval()
    with torch.no_grad():  # the library starts norms at 1 and 0, which would hide their scale
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(folder)
    return model


def reference(model: Any, extractor: Any, clip: np.ndarray, layers: tuple[str, ...]) -> np.ndarray:
    """The library's hidden states of one clip: [L, T, D]."""
    values = extractor(clip, sampling_rate=16_000, return_tensors="pt").input_values
    with torch.no_grad():
        output = model(values, output_hidden_states=True)
    states = {str(k): state for k, state in enumerate(output.hidden_states)}
    states["last"] = output.last_hidden_state
    return np.stack([states[name][0].numpy() for name in layers])


@pytest.mark.parametrize("model_type", sorted(_checkpoints.MODEL_TYPES))
@pytest.mark.parametrize(("norm", "stable"), NORMS)
@pytest.mark.parametrize("do_normalize", [True, False])
def test_the_batch_never_shows(
    tmp_path: Path, model_type: str, norm: str, stable: bool, do_normalize: bool
) -> None:
    settings = {"feat_extract_norm": norm}
    if model_type not in ("data2vec-audio", "wav2vec2-conformer"):
        settings["do_stable_layer_norm"] = stable
    model = save(tmp_path, model_type, do_normalize, **settings)
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path), "all", "cpu", "float32")
    clips = [encoder.prepare(clip) for clip in CLIPS]
    together = (
        encoder.encode(clips) if encoder.spec.pads else [encoder.encode([c])[0] for c in clips]
    )
    for clip, frames in zip(CLIPS, together, strict=True):
        alone = reference(model, extractor, clip, encoder.spec.layers)
        assert frames.shape == alone.shape
        assert len(alone[0]) == encoder.spec.frame_count(len(clip))
        for mine, theirs in zip(frames, alone, strict=True):
            assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("model_type", sorted(huggingface.CURED))
def test_without_the_cure_the_batch_would_show(
    tmp_path: Path, model_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: with the library's own group norm the padding leaks."""
    model = save(tmp_path, model_type, feat_extract_norm="group")
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(tmp_path)
    monkeypatch.setattr(huggingface, "mask_group_norm", lambda model: None)
    encoder = load_encoder(str(tmp_path), "last", "cpu", "float32")
    frames = encoder.encode([encoder.prepare(clip) for clip in CLIPS])[0]
    alone = reference(model, extractor, CLIPS[0], encoder.spec.layers)
    assert np.abs(frames - alone).max() > 1e-2 * np.abs(alone).max()


@pytest.mark.parametrize("model_type", ["unispeech", "data2vec-audio"])
def test_families_that_are_not_cured_refuse_mixed_lengths(tmp_path: Path, model_type: str) -> None:
    save(tmp_path, model_type)
    encoder = load_encoder(str(tmp_path), "last", "cpu", "float32")
    with pytest.raises(ValueError, match="one length at a time"):
        encoder.encode(CLIPS[:2])
    pair = encoder.encode([CLIPS[5], CLIPS[5][::-1].copy()])
    np.testing.assert_allclose(pair[0], encoder.encode([CLIPS[5]])[0], atol=1e-5)


def test_last_is_a_layer_of_its_own_only_behind_a_final_norm(tmp_path: Path) -> None:
    save(tmp_path / "post", "wav2vec2")
    save(tmp_path / "stable", "wav2vec2", feat_extract_norm="layer", do_stable_layer_norm=True)
    post = load_encoder(str(tmp_path / "post"), "all", "cpu", "float32").spec
    stable = load_encoder(str(tmp_path / "stable"), "all", "cpu", "float32").spec
    assert (post.layers, post.last) == (("0", "1", "2", "3"), "3")
    assert (stable.layers, stable.last) == (("0", "1", "2", "3", "last"), "last")


def test_a_choice_of_layers_is_those_layers_of_all(tmp_path: Path) -> None:
    save(tmp_path, "hubert")
    everything = load_encoder(str(tmp_path), "all", "cpu", "float32").encode(CLIPS[5:7])
    chosen = load_encoder(str(tmp_path), "3,0", "cpu", "float32").encode(CLIPS[5:7])
    for all_layers, some in zip(everything, chosen, strict=True):
        np.testing.assert_array_equal(some, all_layers[[0, 3]])


def test_the_weights_name_the_model(tmp_path: Path) -> None:
    model = save(tmp_path / "a", "wav2vec2")
    before = load_encoder(str(tmp_path / "a"), "last", "cpu", "float32").spec
    again = load_encoder(str(tmp_path / "a"), "last", "cpu", "float32").spec
    with torch.no_grad():
        model.encoder.layers[1].attention.k_proj.bias[0] += 1e-6
    model.save_pretrained(tmp_path / "a")
    after = load_encoder(str(tmp_path / "a"), "last", "cpu", "float32").spec
    assert before == again
    assert before.weights != after.weights


def test_the_vector_that_only_training_uses_is_no_part_of_it(tmp_path: Path) -> None:
    """Checkpoints that lack it get a random one at every load."""
    from safetensors.torch import load_file, save_file

    save(tmp_path, "wav2vec2")
    weights = load_file(tmp_path / "model.safetensors")
    assert weights.pop("masked_spec_embed", None) is not None
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    found = [load_encoder(str(tmp_path), "last", "cpu", "float32").spec for _ in range(2)]
    assert found[0] == found[1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_checkpoints_in_half_precision_are_loaded(tmp_path: Path, dtype: torch.dtype) -> None:
    save(tmp_path, "wav2vec2").to(dtype).save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path), "all", "cpu", "float32")
    assert encoder.encode([CLIPS[6]])[0].shape == (4, 49, 32)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"final_dropout": 0.5}, True),
        ({"mask_time_prob": 0.4}, True),
        ({"id2label": {0: "x", 1: "y", 2: "z"}}, True),
        ({"layerdrop": 0.9}, True),
        ({"layer_norm_eps": 0.01}, False),
        ({"hidden_act": "relu"}, False),
        ({"num_attention_heads": 2}, False),
    ],
)
def test_the_configuration_counts_where_it_reaches_the_frames(
    tmp_path: Path, change: dict[str, Any], same: bool
) -> None:
    save(tmp_path, "wav2vec2")
    before = load_encoder(str(tmp_path), "last", "cpu", "float32").spec.config
    config = AutoConfig.from_pretrained(tmp_path)
    config.update(change)
    config.save_pretrained(tmp_path)
    after = load_encoder(str(tmp_path), "last", "cpu", "float32").spec.config
    assert (before == after) is same


@pytest.mark.parametrize("name", ["hub:a/b/c", "foo/bar--baz", "foo/-bar"])
def test_what_is_no_hub_id(name: str) -> None:
    with pytest.raises(UsageError, match="is no hub id; give one like ORG/NAME"):
        load_encoder(name, "last", "cpu", "auto")


def test_answers_of_the_hub_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2
    from huggingface_hub import errors

    response = httpx2.Response(404, request=httpx2.Request("GET", "https://hub.example"))
    for error, words in (
        (errors.RepositoryNotFoundError("no", response=response), "has no such model"),
        (errors.GatedRepoError("no", response=response), "is gated: accept its terms"),
        (errors.HfHubHTTPError("busy", response=response), "the Hugging Face hub answers: busy"),
        (ConnectionError("no route"), "the hub cannot be reached; offline there are"),
    ):

        def refuse(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("huggingface_hub.model_info", refuse)
        with pytest.raises(SerError, match=words):
            load_encoder("some/model", "last", "cpu", "auto")


def test_half_precision_is_near_and_says_so(tmp_path: Path) -> None:
    save(tmp_path, "wavlm")
    exact = load_encoder(str(tmp_path), "last", "cpu", "float32")
    half = load_encoder(str(tmp_path), "last", "cpu", "bfloat16")
    assert half.spec.dtype == "bfloat16"
    for a, b in zip(exact.encode(CLIPS[5:]), half.encode(CLIPS[5:]), strict=True):
        assert np.abs(a - b).max() < 0.05 * np.abs(a).max()


@pytest.mark.parametrize("preset", ["wav2vec2-tiny", "wav2vec2-base"])
def test_presets_are_seeded_and_marked_untrained(preset: str) -> None:
    first = load_encoder(f"random:{preset}", "last", "cpu", "auto").spec
    torch.manual_seed(99)
    second = load_encoder(f"random:{preset}", "last", "cpu", "auto").spec
    assert first == second
    assert first.trained is False


@pytest.mark.parametrize("preset", sorted(_checkpoints.PRESETS))
def test_every_preset_is_listed_and_the_other_way_round(preset: str) -> None:
    assert f"random:{preset}" in huggingface.IDS


def test_an_adapter_does_not_change_the_frames(tmp_path: Path) -> None:
    save(tmp_path, "wav2vec2", add_adapter=True, num_adapter_layers=1)
    encoder = load_encoder(str(tmp_path), "last", "cpu", "float32")
    assert encoder.encode(CLIPS[6:7])[0].shape == (1, 49, 32)


def test_a_hub_id_offline_fails_at_once_and_says_what_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SerError, match="not in the local Hugging Face cache.*logmel.*random:"):
        load_encoder("facebook/wav2vec2-base-that-nobody-has", "last", "cpu", "auto")


def test_weights_that_are_missing_are_never_made_up(tmp_path: Path) -> None:
    save(tmp_path, "wav2vec2")
    config = AutoConfig.from_pretrained(tmp_path)
    config.num_hidden_layers = 4
    config.save_pretrained(tmp_path)
    with pytest.raises(SerError, match="lacks 16 of its weights.*would be random"):
        load_encoder(str(tmp_path), "last", "cpu", "auto")


@pytest.mark.parametrize(("norm", "normalised"), [("group", False), ("layer", True)])
def test_a_folder_without_a_preprocessor_is_taken_as_usual_and_said(
    tmp_path: Path, norm: str, normalised: bool, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, "wavlm", feat_extract_norm=norm)
    (tmp_path / "preprocessor_config.json").unlink()
    encoder = load_encoder(str(tmp_path), "last", "cpu", "float32")
    assert (encoder.prepare(CLIPS[6]) is not CLIPS[6]) is normalised
    assert "has no preprocessor_config.json" in caplog.text


def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(SerError, match="cannot be loaded"):
        load_encoder(str(tmp_path), "last", "cpu", "auto")


def test_a_model_of_another_kind(tmp_path: Path) -> None:
    AutoConfig.for_model("bert", hidden_size=8, num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="is a bert model; frames can be had from"):
        load_encoder(str(tmp_path), "last", "cpu", "auto")


@pytest.mark.parametrize(
    ("encoder", "layers", "dtype", "words"),
    [
        ("random:wav2vec2-tiny", "3", "auto", "no layer '3'; give last, all, or numbers from 0 to"),
        ("random:wav2vec2-tiny", "last", "int8", "--dtype int8: give auto, float32"),
        ("random:wav2vec2-huge", "last", "auto", "unknown encoder 'random:wav2vec2-huge'"),
        ("folder:/nowhere", "last", "auto", "there is no such folder"),
    ],
)
def test_requests_that_cannot_be_met(encoder: str, layers: str, dtype: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_encoder(encoder, layers, "cpu", dtype)
