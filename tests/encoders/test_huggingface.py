"""Where Hugging Face encoders come from, what names them, and what cannot be loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForAudioClassification, AutoModelForCTC

from embedcache.encoders import _checkpoints, _presets, huggingface, load_encoder
from embedcache.errors import SerError, UsageError
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

SECOND = CLIPS[-2]
BASE_NAMES = sorted({tiny.model_type: name for name, tiny in TINY.items()}.values())


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
    assert encoded(encoder, [SECOND])[0].shape == (4, 49, 32)


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


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", BASE_NAMES)
def test_half_precision_is_near_and_says_so(tmp_path: Path, name: str, dtype: str) -> None:
    save(tmp_path, TINY[name])
    exact = load_encoder(str(tmp_path), "all", "cpu", "float32")
    half = load_encoder(str(tmp_path), "all", "cpu", dtype)
    assert half.spec.dtype == dtype
    clips = [exact.prepare(clip) for clip in CLIPS[-3:]]
    for a, b in zip(encoded(half, clips), encoded(exact, clips), strict=True):
        assert largest_difference(a, b) < 0.05


def test_positions_are_counted_in_float32(tmp_path: Path) -> None:
    """bfloat16 knows no odd number above 256, and so no position there."""
    save(tmp_path, Tiny("wav2vec2-conformer", {"position_embeddings_type": "rotary"}))
    model: Any = load_encoder(str(tmp_path), "last", "cpu", "bfloat16")
    cos, sin = model._layers._model.encoder.embed_positions(torch.zeros(1, 1_000, 32).bfloat16())
    exact = torch.tensor(999.0)  # the first frequency is 1: the angle is the position
    assert cos.dtype == torch.bfloat16
    assert abs(cos[999, 0, 0, 0].float() - exact.cos()) < 0.01
    assert abs(sin[999, 0, 0, 0].float() - exact.sin()) < 0.01


@pytest.mark.parametrize("preset", ["wav2vec2-tiny", "wav2vec2-base", "whisper-tiny"])
def test_presets_are_seeded_and_marked_untrained(preset: str) -> None:
    first = load_encoder(f"random:{preset}", "last", "cpu", "auto").spec
    torch.manual_seed(99)
    second = load_encoder(f"random:{preset}", "last", "cpu", "auto").spec
    assert first == second
    assert first.trained is False


def test_every_preset_is_listed_and_the_other_way_round() -> None:
    listed = {name for name in huggingface.IDS if name.startswith("random:")}
    assert listed == {f"random:{preset}" for preset in _presets.PRESETS}


# Parameters in millions as the papers state them: wav2vec 2.0 table 1, XLS-R table 2, HuBERT table
# 1, WavLM table 1, and Whisper's encoders by the sizes of their published weights.
@pytest.mark.parametrize(
    ("preset", "millions"),
    [
        ("wav2vec2-base", 95),
        ("wav2vec2-large-lv60", 317),
        ("wav2vec2-xls-r-300m", 317),
        ("wav2vec2-xls-r-1b", 965),
        ("hubert-base", 95),
        ("hubert-large", 317),
        ("hubert-xlarge", 964),
        ("wavlm-base", 94.7),
        ("wavlm-large", 316.6),
        ("wav2vec2-bert", 580),
        ("whisper-base", 20.6),
        ("whisper-small", 88.2),
        ("whisper-large-v3", 637),
    ],
)
def test_presets_are_as_large_as_published(preset: str, millions: float) -> None:
    model_type, settings = _presets.PRESETS[preset]
    config = AutoConfig.for_model(model_type, **settings)
    with torch.device("meta"):
        model = _checkpoints._frames_part(_checkpoints._loader(config).from_config(config))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("preset", sorted(_presets.PRESETS))
def test_presets_state_what_the_library_knows(preset: str) -> None:
    """A setting that is misspelt would be kept by the library and do nothing."""
    model_type, settings = _presets.PRESETS[preset]
    assert settings.keys() <= vars(AutoConfig.for_model(model_type)).keys()


@pytest.mark.parametrize("name", BASE_NAMES)
@pytest.mark.parametrize("head", [AutoModelForCTC, AutoModelForAudioClassification])
def test_models_with_a_head_give_their_encoder(tmp_path: Path, name: str, head: Any) -> None:
    tiny = TINY[name]
    if tiny.model_type == "whisper" and head is AutoModelForCTC:
        head = transformers.AutoModelForSpeechSeq2Seq
    elif tiny.model_type == "data2vec-audio":  # a last layer of no use to frames
        tiny = Tiny(tiny.model_type, {**tiny.settings, "classifier_proj_size": 8})
    model = save(tmp_path, tiny, build=head.from_config, vocab_size=40)
    encoder = load_encoder(str(tmp_path), "all", "cpu", "float32")
    whisper = tiny.model_type == "whisper"
    inner = model if whisper else getattr(model, model.base_model_prefix)
    extractor = extractor_of(model.config)
    alone = reference(inner, extractor, SECOND, encoder.spec.layers)
    frames = encoded(encoder, [encoder.prepare(SECOND)])[0]
    assert largest_difference(frames, alone) <= 1e-5
    assert encoder.spec.trained is True


def test_whispers_decoder_is_not_loaded(tmp_path: Path) -> None:
    save(tmp_path, "whisper")
    encoder: Any = load_encoder(str(tmp_path), "last", "cpu", "float32")
    assert type(encoder._layers._model).__name__ == "WhisperEncoder"


def test_old_checkpoints_are_read_as_tensors_alone(tmp_path: Path) -> None:
    model = save(tmp_path, "wav2vec2")
    new = load_encoder(str(tmp_path), "last", "cpu", "float32").spec
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    assert load_encoder(str(tmp_path), "last", "cpu", "float32").spec == new


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "it ran",)

    save(tmp_path, "wav2vec2")
    (tmp_path / "model.safetensors").unlink()
    torch.save({"weight": Payload()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(SerError, match="holds more than tensors, and such a file could run code"):
        load_encoder(str(tmp_path), "last", "cpu", "float32")
    assert not (tmp_path / "it ran").exists()


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    save(tmp_path, "wav2vec2")
    for name, classes in (
        ("config.json", {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}),
        ("preprocessor_config.json", {"AutoFeatureExtractor": "mine.Extractor"}),
    ):
        record = json.loads((tmp_path / name).read_text())
        (tmp_path / name).write_text(json.dumps({**record, "auto_map": classes}))
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'it ran')!r}, 'w')")
    load_encoder(str(tmp_path), "last", "cpu", "float32")
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("junk", [b"", b"hello", b"\xff" * 4096])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "config.json"])
def test_damaged_files_are_one_sentence(tmp_path: Path, name: str, junk: bytes) -> None:
    save(tmp_path, "hubert")
    if name == "pytorch_model.bin":
        (tmp_path / "model.safetensors").unlink()
    (tmp_path / name).write_bytes(junk)
    with pytest.raises(SerError, match="cannot be loaded: |is damaged or holds more than tensors"):
        load_encoder(str(tmp_path), "last", "cpu", "float32")


@pytest.mark.parametrize(
    "change", [{"hidden_size": "x"}, {"hidden_act": "none"}, {"num_attention_heads": 5}]
)
def test_configurations_that_make_no_model(tmp_path: Path, change: dict[str, Any]) -> None:
    save(tmp_path, "wav2vec2")
    record = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(record | change))
    with pytest.raises(SerError, match="cannot be loaded: "):
        load_encoder(str(tmp_path), "last", "cpu", "float32")


def test_an_adapter_does_not_change_the_frames(tmp_path: Path) -> None:
    save(tmp_path, "wav2vec2", add_adapter=True, num_adapter_layers=1)
    encoder = load_encoder(str(tmp_path), "last", "cpu", "float32")
    assert encoded(encoder, [SECOND])[0].shape == (1, 49, 32)


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
    assert (encoder.prepare(SECOND) is not SECOND) is normalised
    assert "has no preprocessor_config.json" in caplog.text


def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(SerError, match="cannot be loaded: "):
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
