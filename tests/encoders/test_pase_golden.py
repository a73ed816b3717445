"""PASE and PASE+ against values of the reference, where their specification is present.

The weights and the inputs of those values follow from an integer hash, which comes with them.
"""

from __future__ import annotations

import hashlib
import json
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from embedcache.encoders import load_encoder
from embedcache.encoders._pase_network import ARCHITECTURES, Pase, SincBank, pool
from tests.material import encoded, real_specs

VARIANTS = {"pase": "pase", "pase+": "pase_plus"}  # ours: the specification's
CASES = ("1.6s", "0.5s", "3.017s", "batch2", "shortest", "pool159", "pool161", "pool210")
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}
TOLERANCE_64 = {"rtol": 1e-8, "atol": 1e-9}

both = pytest.mark.parametrize("variant", VARIANTS)


@cache
def golden() -> Any:
    return json.loads(real_specs("pase_golden.json").read_text(encoding="utf-8"))


@cache
def rule(name: str) -> Any:
    """A function of the file that gives weights and inputs."""
    return runpy.run_path(str(real_specs("pase_golden.py")))[name]


def listed(variant: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of the published file, in their order."""
    text = real_specs(f"{VARIANTS[variant]}_state_dict.txt").read_text(encoding="utf-8")
    rows = [line.split("  ") for line in text.splitlines() if not line.startswith("#")]
    return {name: tuple(json.loads(f"[{s.strip('(),')}]")) for name, s, _ in rows}


@cache
def weights(variant: str) -> dict[str, Tensor]:
    fill = rule("fill")
    return {name: torch.from_numpy(fill(name, s)) for name, s in listed(variant).items()}


def network(variant: str, dtype: torch.dtype = torch.float32) -> Pase:
    made = Pase(ARCHITECTURES[variant]).eval()
    made.load_state_dict(weights(variant))
    return made.to(dtype)


def waves(case: dict[str, Any], name: str) -> np.ndarray:
    """The input of a case: [B, samples]."""
    wave = rule("make_input")(case["n_samples"])
    return np.stack([wave, 0.5 * wave[::-1]] if name == "batch2" else [wave])


def compare(found: Tensor | np.ndarray, record: dict[str, Any], **tolerance: float) -> None:
    """Sampled values, and moments over all of them."""
    values = np.asarray(found)
    assert list(values.shape) == record["shape"]
    np.testing.assert_allclose(values.ravel()[record["idx"]], record["values"], **tolerance)
    moments = [values.mean(), values.std(), np.abs(values).max()]
    np.testing.assert_allclose(
        moments, [record["mean"], record["std"], record["absmax"]], rtol=2e-4, atol=2e-5
    )


@both
def test_the_tensors_are_those_of_the_published_file(variant: str) -> None:
    shapes = {name: tuple(v.shape) for name, v in network(variant).state_dict().items()}
    assert shapes == listed(variant)
    record = golden()["configs"][VARIANTS[variant]]
    assert sum(p.numel() for p in network(variant).parameters()) == record["n_parameters"]


@both
def test_weights_and_inputs_are_those_behind_the_values(variant: str) -> None:
    record = golden()["configs"][VARIANTS[variant]]
    for name, digest in record["weights_sha256"].items():
        if not name.endswith("_hz_"):  # they go through the C library's logarithm
            bits = weights(variant)[name].numpy().tobytes()
            assert hashlib.sha256(bits).hexdigest()[:16] == digest, name
    for samples, digest in golden()["input"].items():
        bits = rule("make_input")(int(samples)).tobytes()
        assert hashlib.sha256(bits).hexdigest()[:16] == digest


@both
@pytest.mark.parametrize("name", CASES)
def test_frames_are_the_references(variant: str, name: str, tmp_path: Path) -> None:
    cases = golden()["configs"][VARIANTS[variant]]["cases"]
    assert set(CASES) == cases.keys()
    torch.save(weights(variant), tmp_path / "weights.ckpt")
    encoder = load_encoder(f"{variant}:{tmp_path / 'weights.ckpt'}", "last", "cpu", "auto")
    frames = encoded(encoder, list(waves(cases[name], name)))
    compare(np.stack([f[0].T for f in frames]), cases[name], **TOLERANCE)
    for clip, together in zip(waves(cases[name], name), frames, strict=True):
        (alone,) = encoded(encoder, [clip])
        assert np.abs(together - alone).max() <= 1e-5 * np.abs(alone).max()


@both
def test_in_float64_only_rounding_is_left(variant: str) -> None:
    case = golden()["configs"][VARIANTS[variant]]["cases"]["1.6s"]
    wave = torch.from_numpy(waves(case, "1.6s")).double()[:, None]
    with torch.no_grad():
        values = network(variant, torch.float64)(wave).flatten()[case["idx"]]
    np.testing.assert_allclose(values, case["values_float64"], **TOLERANCE_64)


@both
def test_every_stage_is_the_references(variant: str) -> None:
    record = golden()["configs"][VARIANTS[variant]]
    model = network(variant)
    kept: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _m, _i, out, name=name: kept.update({name: out}))
    with torch.no_grad():
        model(torch.from_numpy(waves(record["cases"]["1.6s"], "1.6s"))[:, None])
        total = kept["W"]
        kept["W (before skips)"] = total
        for i, skip in enumerate(model.denseskips):
            full = torch.nn.functional.conv1d(kept[f"blocks.{i}"], skip.weight)
            kept[f"denseskips.{i} (before pooling)"] = full
            total = total + pool(full, total.shape[-1])
            kept[f"sum after skip {i}"] = total
    if variant == "pase+":
        kept["rnn [B,C,T]"] = kept["rnn"]
        kept["rnn.layers.0.linear [B,C,T]"] = kept["rnn.layers.0.linear"].mT
    assert len(record["stages_1.6s"]) >= 17
    for name, stage in record["stages_1.6s"].items():
        compare(kept[name], stage, **TOLERANCE)


@pytest.mark.parametrize("edges", ["init", "perturbed"])
def test_the_filters_are_the_references(edges: str) -> None:
    record = golden()["sinc"][edges]
    bank = SincBank(64, 251)
    low, band = rule(f"sinc_{edges}")()
    if edges == "init":
        torch.testing.assert_close(bank.low_hz_.data, torch.from_numpy(low))
        torch.testing.assert_close(bank.band_hz_.data, torch.from_numpy(band))
    bank.low_hz_.data, bank.band_hz_.data = torch.from_numpy(low), torch.from_numpy(band)
    np.testing.assert_allclose(bank.low_hz_.detach()[:, 0], record["low_hz_"], rtol=1e-6)
    compare(bank.filters().detach(), record, **TOLERANCE)
    exact = bank.double().filters().detach().flatten()[record["idx"]]
    np.testing.assert_allclose(exact, record["values_float64"], **TOLERANCE_64)


@both
def test_the_gradients_of_the_band_edges_are_the_references(variant: str) -> None:
    record = golden()["configs"][VARIANTS[variant]]["grad_0.5s_mean_square"]
    model = network(variant)
    model(torch.from_numpy(rule("make_input")(8000))[None, None]).square().mean().backward()
    for name, values in record.items():
        found = model.get_parameter(f"blocks.0.conv.{name}").grad[:, 0].numpy()
        # The upper edge of the last filter lies on the limit, where rounding decides.
        np.testing.assert_allclose(found[:63], values[:63], atol=1e-3 * np.abs(values).max())


@both
def test_training_takes_statistics_of_the_batch(variant: str) -> None:
    configuration = golden()["configs"][VARIANTS[variant]]
    record = configuration["train_mode_batch2"]
    model = network(variant).train()
    batch = waves(configuration["cases"]["batch2"], "batch2")
    with torch.no_grad():
        output = model(torch.from_numpy(batch)[:, None])
    np.testing.assert_allclose(output.flatten()[record["idx"]], record["values"], atol=5e-4)
    for name, values in record.items():
        if "running" in name:
            found = model.get_buffer(name)[: len(values)]
            np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-5)


def test_frame_counts_are_the_references() -> None:
    spec = load_encoder("random:pase", "last", "cpu", "auto").spec
    for samples, frames in golden()["frames"].items():
        assert spec.frame_count(int(samples)) == frames
