"""The encoders PASE and PASE+, and what is told of checkpoints that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from embedcache.batches import EncodeConfig
from embedcache.encode import Clip, encode_clips
from embedcache.encoders import _pase_network as net
from embedcache.encoders import find_family, load_encoder
from embedcache.encoders._pase_checkpoint import random_network
from embedcache.errors import SerError, UsageError
from embedcache.utterance import Utterance
from tests.material import encoded, noise

VARIANTS = ("pase", "pase+")
both = pytest.mark.parametrize("variant", VARIANTS)


@both
def test_a_frame_for_every_hop_of_all_lengths(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thin network's frames: four hops from the shortest clip on, and some long ones."""
    spec = load_encoder(f"random:{variant}", "last", "cpu", "auto").spec
    monkeypatch.setattr(net, "CHANNELS", (2,) * 8)
    thin = net.Pase(net.ARCHITECTURES[variant]).eval().requires_grad_(False)
    for samples in (*range(471, 1112), 15_990, 15_991, 16_150, 16_151, 100_000):
        shape = thin(torch.zeros(1, 1, samples)).shape
        assert shape == (1, spec.dim, (samples + 9) // 160)
        assert spec.frame_count(samples) == shape[-1]
    assert spec.frame_count(470) == 0
    assert (spec.dim, spec.frame_hz) == ({"pase": 100, "pase+": 256}[variant], 100)
    with pytest.raises(RuntimeError, match="Padding size should be less than"):
        thin(torch.zeros(1, 1, 470))


@both
@pytest.mark.parametrize("samples", [471, 630, 16_150, 16_155])
def test_clips_of_one_length_do_not_see_each_other(variant: str, samples: int) -> None:
    encoder = load_encoder(f"random:{variant}", "last", "cpu", "auto")
    clips = [noise(samples / 16_000, seed) * (1 + 3 * seed) for seed in range(3)]
    for clip, frames in zip(clips, encoded(encoder, clips), strict=True):
        (alone,) = encoded(encoder, [clip])
        assert frames.shape == (1, encoder.spec.frame_count(samples), encoder.spec.dim)
        assert frames.dtype == np.float32
        assert np.abs(frames - alone).max() <= 1e-5 * np.abs(alone).max()


def test_clips_of_other_lengths_are_refused() -> None:
    encoder = load_encoder("random:pase", "last", "cpu", "auto")
    with pytest.raises(ValueError, match=r"one length at a time, not \[1600, 3200\]"):
        encoded(encoder, [noise(0.1, 0), noise(0.2, 0)])
    assert not encoder.spec.pads


def test_a_clip_is_as_loud_as_it_is() -> None:
    encoder = load_encoder("random:pase+", "last", "cpu", "auto")
    clip = noise(0.5, 0)
    assert encoder.prepare(clip) is clip
    quiet, loud = encoded(encoder, [clip, 4 * clip])
    assert np.abs(loud - quiet).max() > 0.1 * np.abs(quiet).max()


@both
def test_random_weights_are_seeded_marked_and_alive(variant: str) -> None:
    first = load_encoder(f"random:{variant}", "last", "cpu", "auto")
    torch.manual_seed(99)
    state = torch.get_rng_state()
    second = load_encoder(f"random:{variant}", "all", "cpu", "float32")
    assert torch.equal(torch.get_rng_state(), state)
    assert first.spec == second.spec
    assert first.spec.trained is False
    assert encoded(first, [noise(1.0, 0)])[0][0].std(axis=0).mean() > 0.01


def test_long_clips_are_windows_on_the_same_grid(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", noise(3.017, 0), 16_000)
    clip = Clip(Utterance(id="long", path=tmp_path / "long.wav"), seconds=3.017)
    encoder = load_encoder("random:pase", "last", "cpu", "auto")
    ((_, whole),) = encode_clips(encoder, [clip], EncodeConfig(max_seconds=60))
    ((_, parts),) = encode_clips(encoder, [clip], EncodeConfig(max_seconds=1))
    assert isinstance(whole, np.ndarray)
    assert isinstance(parts, np.ndarray)
    assert whole.shape == parts.shape == (1, 301, 100)
    # Four windows, of 75 or 76 frames; their edges are reflected, what is inside is the clip's.
    seams = np.linspace(0, 301, 5)
    inside = np.abs(np.arange(301)[:, None] - seams).min(axis=1) > 10
    assert inside.sum() > 200
    difference = np.abs(parts - whole)[0]
    assert difference[inside].max() <= 1e-4 * np.abs(whole).max()
    assert difference[~inside].max() > 1e-2 * np.abs(whole).max()
    with pytest.raises(UsageError, match="needs 471 samples at once.*larger --max-seconds"):
        list(encode_clips(encoder, [clip], EncodeConfig(max_seconds=0.02)))


def tensors(variant: str) -> dict[str, Tensor]:
    return random_network(variant).state_dict()


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def renamed(variant: str, prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in tensors(variant).items()}


@both
def test_a_checkpoint_is_read_however_it_is_wrapped(variant: str, tmp_path: Path) -> None:
    plain = tensors(variant)
    workers = {"regression_workers.0.W.weight": torch.ones(3), "minion.W.bias": torch.ones(2)}
    few = {name: value for name, value in plain.items() if "batches" not in name}
    optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}
    files = [
        tmp_path / "plain.safetensors",
        tmp_path / "old.ckpt",
        saved(tmp_path / "plain.ckpt", plain),
        saved(tmp_path / "few.ckpt", few),
        saved(tmp_path / "counted.ckpt", {**plain, "step": 7}),
        saved(tmp_path / "run.ckpt", {"step": 5, "state_dict": plain, "optimizer": optimizer}),
        saved(tmp_path / "full.ckpt", {**renamed(variant, "module.frontend."), **workers}),
        saved(tmp_path / "parallel.ckpt", renamed(variant, "module.")),
    ]
    save_file(plain, files[0])
    torch.save(plain, files[1], _use_new_zipfile_serialization=False)
    specs = [load_encoder(f"{variant}:{f}", "last", "cpu", "auto").spec for f in files]
    random = load_encoder(f"random:{variant}", "last", "cpu", "auto").spec
    assert {spec.weights for spec in specs} == {random.weights}
    assert all(spec.config == random.config and spec.trained for spec in specs)


def test_the_weights_name_the_network(tmp_path: Path) -> None:
    changed = tensors("pase")
    changed["blocks.3.conv.bias"][5] += 1e-6
    path = saved(tmp_path / "a.ckpt", changed)
    other = load_encoder(f"pase:{path}", "last", "cpu", "auto").spec
    assert other.weights != load_encoder("random:pase", "last", "cpu", "auto").spec.weights


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    saved(tmp_path / "PASE.ckpt", tensors("pase"))
    assert load_encoder("pase:~/PASE.ckpt", "last", "cpu", "auto").spec.trained


@both
def test_a_checkpoint_that_is_not_there(variant: str, tmp_path: Path) -> None:
    published = {"pase": "PASE.ckpt", "pase+": "FE_e199.ckpt"}[variant]
    for path in (tmp_path / "no.ckpt", tmp_path):
        with pytest.raises(UsageError) as caught:
            load_encoder(f"{variant}:{path}", "last", "cpu", "auto")
        assert str(caught.value) == (
            f"--encoder {variant}:{path}: there is no such file; the README of "
            f"github.com/santi-pdp/pase links {published}: download it and give its path, as in "
            f"--encoder {variant}:{published}"
        )


@pytest.mark.parametrize("name", ["text.ckpt", "empty.ckpt", "text.safetensors", "code.ckpt"])
def test_a_file_that_is_something_else(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("not weights\n" if name.startswith("text") else "")
    if name == "code.ckpt":
        torch.save(nn.Linear(2, 2), path)  # a pickled module would run code
    with pytest.raises(SerError, match="is no checkpoint that can be read without running") as e:
        load_encoder(f"pase:{path}", "last", "cpu", "auto")
    assert "\n" not in str(e.value)


def test_a_checkpoint_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(SerError, match="holds a list, not tensors by their names"):
        load_encoder(f"pase:{saved(tmp_path / 'a', [torch.ones(2)])}", "last", "cpu", "auto")
    worker = {"minion.blocks.0.W.bias": torch.ones(2)}
    with pytest.raises(SerError, match=r"not PASE as it was published: 60 missing \(blocks.0.conv"):
        load_encoder(f"pase:{saved(tmp_path / 'b', worker)}", "last", "cpu", "auto")


@pytest.mark.parametrize(("given", "held"), [VARIANTS, VARIANTS[::-1]])
def test_the_other_variants_checkpoint(given: str, held: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", tensors(held))
    words = f"holds {held.upper()}, not {given.upper()}; give --encoder {held}:{path}"
    with pytest.raises(UsageError) as caught:
        load_encoder(f"{given}:{path}", "last", "cpu", "auto")
    assert words in str(caught.value)


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    bent = tensors("pase+")
    del bent["W.bias"], bent["blocks.7.act.weight"]
    bent["rnn.layers.1.linear.bias"] = torch.ones(3)
    bent["denseskips.2.weight"] = torch.ones(256, 64, 1)
    with pytest.raises(SerError) as caught:
        load_encoder(f"pase+:{saved(tmp_path / 'a.ckpt', bent)}", "last", "cpu", "auto")
    assert str(caught.value).endswith(
        "is not PASE+ as it was published: 2 missing (blocks.7.act.weight, W.bias); 1 unknown "
        "(rnn.layers.1.linear.bias); 1 of another shape (denseskips.2.weight [256, 64, 1] instead "
        "of [256, 128, 1]); give FE_e199.ckpt or a checkpoint of the same network"
    )


def test_weights_that_are_not_numbers(tmp_path: Path) -> None:
    sick = tensors("pase")
    sick["blocks.4.norm.weight"][3] = torch.nan
    with pytest.raises(SerError, match="blocks.4.norm.weight holds NaN or infinite values"):
        load_encoder(f"pase:{saved(tmp_path / 'a.ckpt', sick)}", "last", "cpu", "auto")


def test_requests_that_cannot_be_met() -> None:
    for layers, dtype, words in (
        ("3", "auto", "--layers '3': random:pase has one layer; give last"),
        ("last", "bfloat16", "--dtype bfloat16: random:pase computes in float32 only"),
        ("last", "float16", "--dtype float16: random:pase computes in float32 only"),
    ):
        with pytest.raises(UsageError, match=words):
            load_encoder("random:pase", layers, "cpu", dtype)
    for encoder_id in ("pase", "pase:", "pase+", "random:pase++"):
        with pytest.raises(UsageError, match="unknown encoder.*did you mean"):
            find_family(encoder_id)
