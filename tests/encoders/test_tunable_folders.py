"""What fine-tuning leaves: a folder that the library reads alone, and `ser` as any encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForCTC,
)

from embedcache.encoders import load_encoder, load_tunable
from embedcache.encoders._tunable import Tunable
from embedcache.errors import UsageError
from tests.encoders.test_tunable import (
    BATCH,
    FAMILIES,
    backward,
    encoder_of,
    far_off,
    frames_of,
    given_to,
    some_frames,
)
from tests.encoders.tiny_models import DEPTH, TINY, config_of, save
from tests.material import encoded

FILES = {"config.json", "model.safetensors", "preprocessor_config.json"}


def trained_a_little(folder: Path) -> Tunable:
    """Every weight that can be trained is another one than before."""
    tunable = load_tunable(str(folder), "cpu", "float32")
    tunable.unfreeze(DEPTH, front=True, masking=True)
    backward(tunable, BATCH, hidden_frames=some_frames(tunable, 0))
    torch.optim.SGD(tunable.trained().values(), lr=0.01).step()
    return tunable


def read_alone(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The model and what the library has to tell of reading it."""
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    # AutoModel's Whisper has a decoder, which nobody trained here.
    loader = AutoModelForAudioClassification if kind == "whisper" else AutoModel
    return loader.from_pretrained(folder, output_loading_info=True)


def frames_by_the_library(model: Any, folder: Path) -> list[torch.Tensor]:
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    whisper = model.config.model_type == "whisper"
    encoder = model.encoder if whisper else model
    found = []
    for clip in BATCH:
        given = extractor(clip, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        count = -(-len(clip) // 320) if whisper else given_to(model, clip)[1]
        with torch.no_grad():
            found.append(encoder(**given).last_hidden_state[0, :count])
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_the_library_and_ser_read_what_was_trained(tmp_path: Path, name: str) -> None:
    before = save(tmp_path / "old", TINY[name])
    tunable = trained_a_little(tmp_path / "old")
    frames = frames_of(tunable, BATCH)
    tunable.save(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == FILES

    model, info = read_alone(tmp_path / "new")
    assert not any(info.values()), info
    assert far_off(frames_by_the_library(model.eval(), tmp_path / "new"), frames) <= 1e-5
    old = dict(encoder_of(before).named_parameters())
    assert any(not torch.equal(t, old[n].cpu()) for n, t in tunable.state().items())

    encoder = load_encoder(str(tmp_path / "new"), "last", "cpu", "float32")
    alone = [encoded(encoder, [encoder.prepare(clip)])[0][0] for clip in BATCH]
    assert far_off([torch.from_numpy(np.array(f)) for f in alone], frames) <= 1e-5
    assert encoder.spec.trained is True

    again = load_tunable(str(tmp_path / "new"), "cpu", "float32")
    mine, theirs = (one._model.state_dict() for one in (tunable, again))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(theirs[n], tensor) for n, tensor in mine.items())
    assert again.spec.weights == encoder.spec.weights != tunable.spec.weights


ADAPTED = [name for name in FAMILIES if hasattr(config_of(TINY[name]), "add_adapter")]


@pytest.mark.parametrize("name", ADAPTED)
def test_adapters_that_were_left_out_are_absent(tmp_path: Path, name: str) -> None:
    """No tool that reads the folder makes random ones up."""
    before = save(
        tmp_path / "old",
        TINY[name],
        add_adapter=True,
        num_adapter_layers=1,
        use_intermediate_ffn_before_adapter=True,
    )
    assert any(n.startswith(("adapter.", "intermediate_ffn.")) for n in before.state_dict())
    tunable = load_tunable(str(tmp_path / "old"), "cpu", "float32")
    tunable.save(tmp_path / "new")
    with safe_open(tmp_path / "new/model.safetensors", "pt") as weights:
        assert not [n for n in weights.keys() if n.startswith(("adapter.", "inter"))]  # noqa: SIM118
    model, info = read_alone(tmp_path / "new")
    assert not any(info.values()), info
    frames = frames_by_the_library(model.eval(), tmp_path / "new")
    assert far_off(frames, frames_of(tunable, BATCH)) <= 1e-5


@pytest.mark.parametrize("name", ["wav2vec2, base", "wavlm, stable", "wav2vec2-bert, None"])
def test_of_a_model_with_a_head_the_encoder_is_saved(tmp_path: Path, name: str) -> None:
    save(tmp_path / "old", TINY[name], build=AutoModelForCTC.from_config, vocab_size=40)
    tunable = trained_a_little(tmp_path / "old")
    tunable.save(tmp_path / "new")
    model, info = read_alone(tmp_path / "new")
    assert not any(info.values()), info
    frames = frames_by_the_library(model.eval(), tmp_path / "new")
    assert far_off(frames, frames_of(tunable, BATCH)) <= 1e-5


@pytest.mark.parametrize("normalised", [False, True])
def test_the_feature_extractor_goes_along(tmp_path: Path, normalised: bool) -> None:
    save(tmp_path / "old", TINY["wav2vec2, base"], do_normalize=normalised)
    load_tunable(str(tmp_path / "old"), "cpu", "float32").save(tmp_path / "new")
    assert AutoFeatureExtractor.from_pretrained(tmp_path / "new").do_normalize is normalised
    settings = [load_encoder(str(tmp_path / d), "last", "cpu", "float32").spec for d in
                ("old", "new")]  # fmt: skip
    assert settings[0].config == settings[1].config
    assert settings[0].weights == settings[1].weights, "nothing was trained"


@pytest.mark.parametrize("encoder", ["lld", "logmel", "mfcc", "opensmile", "pase:weights.ckpt"])
def test_encoders_without_such_weights_are_refused(encoder: str) -> None:
    text = f"--encoder {encoder} cannot be fine-tuned; give a Hugging Face model, such as face"
    with pytest.raises(UsageError, match=text):
        load_tunable(encoder, "cpu", "float32")


def test_what_cannot_be_computed_in_is_refused() -> None:
    with pytest.raises(UsageError, match="--dtype int8: give auto, float32, bfloat16, float16"):
        load_tunable("random:wav2vec2-tiny", "cpu", "int8")
