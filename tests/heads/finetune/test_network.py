from __future__ import annotations

import numpy as np
import pytest
import torch

from embedcache.audio.conditioning import Conditioning
from embedcache.corpora import read_corpus
from embedcache.encoders import load_tunable
from heads.finetune.clips import listen
from heads.finetune.network import build, make_optimiser, rate
from heads.finetune.settings import Schedule
from heads.models import load_head


@pytest.fixture(scope="module")
def heard(tones):
    encoder = load_tunable("random:wav2vec2-tiny", "cpu", "auto")
    return listen(read_corpus("folder", tones), encoder.ear, Conditioning())[0]


def make(heard, schedule, blocks=2, front=False, name="attention"):
    encoder = load_tunable("random:wav2vec2-tiny", "cpu", "auto")
    encoder.unfreeze(blocks, front, masking=False)
    module = load_head(name)
    return build(encoder, module, module.Config(), 2, heard, schedule, 0, "cpu")


def test_the_head_sees_frames_standardised_as_the_encoder_gives_them(heard):
    network = make(heard, Schedule(batch_seconds=2.0, max_seconds=0.55))
    alone = []
    for i in range(len(heard.lengths)):
        clip, longest = heard.read(i), round(0.55 * 16_000)
        start = max(0, (len(clip) - longest) // 2)
        with torch.no_grad(), network.encoder.frames([clip[start : start + longest]]) as (x, _):
            alone.append(x[0])
    everything = torch.cat(alone).double()
    torch.testing.assert_close(
        network.head.standardise.mean[0].double(), everything.mean(0), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        network.head.standardise.deviation[0].double(), everything.std(0, correction=0),
        atol=1e-5, rtol=1e-4,
    )  # fmt: skip


def test_each_layer_has_its_own_learning_rate(heard):
    schedule = Schedule(lr=1.0, layer_decay=0.5, head_lr=7.0, weight_decay=0.25)
    network = make(heard, schedule, front=True)
    rates = {
        id(p): (group["lr"], group["weight_decay"])
        for group in make_optimiser(network, schedule).param_groups
        for p in group["params"]
    }
    trained = network.encoder.trained()
    assert set(rates) == {id(p) for p in network.parameters()}
    for name, parameter in trained.items():
        lr, decay = rates[id(parameter)]
        layer = name.partition("layers.")[2].partition(".")[0]
        depth = int(layer) + 1 if name.startswith("encoder.layers.") else 0
        assert lr == 0.5 ** (2 - depth), name
        assert decay == (0.25 if parameter.dim() > 1 else 0.0), name
    assert {rates[id(p)][0] for p in network.head.parameters()} == {7.0}
    assert {rates[id(p)][1] for n, p in network.head.named_parameters() if "bias" in n} == {0.0}


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_the_learning_rate_rises_and_then_falls(warmup):
    share = rate(Schedule(warmup=warmup))
    values = [share(done) for done in np.linspace(0.001, 1, 1000)]
    top = int(np.argmax(values))
    assert max(values) == pytest.approx(1, abs=0.003) and values[-1] == pytest.approx(0, abs=1e-9)
    assert (np.diff(values[: top + 1]) > 0).all() and (np.diff(values[top:]) < 0).all()
    assert {rate(Schedule(warmup=0, schedule="constant"))(x) for x in (0.1, 0.9)} == {1.0}


def test_what_is_trained_comes_back_from_its_state(heard):
    first, second = make(heard, Schedule(), front=True), make(heard, Schedule(), front=True)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.normal_()
    second.load(first.state())
    ours, theirs = first.state(), second.state()
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
