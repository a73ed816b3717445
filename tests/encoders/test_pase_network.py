"""Laws of the networks PASE and PASE+; test_pase_golden.py has the reference's values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from embedcache.encoders import _pase_network as net
from embedcache.encoders._pase_checkpoint import random_network
from tests.material import noise


def exact(variant: str) -> net.Pase:
    """A network in float64 whose norms and slopes all leave a trace."""
    model = random_network(variant).double().eval()
    generator = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.uniform_(-0.5, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0.1, 0.4, generator=generator)
    return model


def wave(samples: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(noise(samples / 16_000, seed)).double()[None, None]


@pytest.mark.parametrize("variant", ["pase", "pase+"])
def test_a_frame_hears_2370_samples_from_1034_before_its_hop(variant: str) -> None:
    """The paddings' widths and sides together; the recurrent layer also hears all before."""
    model, frame = exact(variant), 20
    heard = wave(8_000).requires_grad_()
    model(heard)[0, :, frame].sum().backward()
    (touched,) = heard.grad[0, 0].nonzero(as_tuple=True)
    first = 160 * frame - 1034 if variant == "pase" else 0
    assert (touched[0], touched[-1]) == (first, 160 * frame + 1335)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (11, 1), (11, 2), (20, 10)])
def test_a_block_is_its_formula(kernel: int, stride: int) -> None:
    """Written out: reflect, correlate, normalise, then bend what is negative."""
    torch.manual_seed(3)
    block = net.Block(2, 3, kernel, stride).double().eval()
    for tensor in (block.norm.running_mean, block.norm.weight.data, block.act.weight.data):
        tensor.uniform_(0.2, 0.8)
    x = np.random.default_rng(0).standard_normal((2, 67))
    left = kernel // 2 - (stride > 1)
    padded = np.pad(x, ((0, 0), (left, kernel // 2)), mode="reflect")
    stretches = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=1)[:, ::stride]
    weight, bias = block.conv.weight.detach().numpy(), block.conv.bias.detach().numpy()
    expected = np.einsum("dck,ctk->dt", weight, stretches) + bias[:, None]
    state = {name: value.numpy()[:, None] for name, value in block.norm.state_dict().items()
             if value.ndim}  # fmt: skip
    expected = (expected - state["running_mean"]) / np.sqrt(state["running_var"] + 1e-5)
    expected = expected * state["weight"] + state["bias"]
    slope = block.act.weight.detach().numpy()[:, None]
    expected = np.where(expected < 0, slope * expected, expected)
    found = block(torch.from_numpy(x)[None])[0].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_filters_pass_their_bands() -> None:
    """Symmetric, 1 at the centre; a gain of about rate / (2 width) inside, next to none outside."""
    bank = net.SincBank(64, 251).double()
    filters = bank.filters().detach().numpy()
    np.testing.assert_array_equal(filters, filters[:, ::-1])
    assert (filters[:, 125] == 1).all()
    gain = np.abs(np.fft.rfft(filters, 16_000))  # a value for each Hz
    hz = np.arange(8_001)
    low = 50 + bank.low_hz_.detach().numpy()[:, 0]
    high = np.minimum(low + 50 + bank.band_hz_.detach().numpy()[:, 0], 8_000)
    for k in range(50, 63):  # bands wider than the window's main lobe
        inside = (hz > low[k] + 110) & (hz < high[k] - 110)
        outside = (hz < low[k] - 250) | (hz > high[k] + 250)
        expected = 8_000 / (high[k] - low[k])
        assert inside.any()
        np.testing.assert_allclose(gain[k, inside], expected, rtol=0.02)
        assert gain[k, outside].max() < 0.01 * expected


def test_the_filters_take_edges_of_any_sign_and_stop_at_half_the_rate() -> None:
    bank, mirrored = net.SincBank(64, 251), net.SincBank(64, 251)
    mirrored.low_hz_.data.neg_()
    mirrored.band_hz_.data.neg_()
    torch.testing.assert_close(bank.filters(), mirrored.filters())
    bank.band_hz_.data[40:] += 8_000
    mirrored.band_hz_.data[40:] -= 16_000
    torch.testing.assert_close(bank.filters(), mirrored.filters())


def test_the_recurrence_is_a_loop_over_frames() -> None:
    torch.manual_seed(4)
    layer = net.Recurrence(3).double()
    a, b = layer.layers[0].linear.weight, layer.layers[0].linear.bias
    for frames in (1, 2, 3, 8, 13):
        x = torch.randn(2, 3, frames, dtype=torch.float64)
        found = layer(x)
        for row in range(2):
            state, before = torch.zeros(3), torch.zeros(3)
            for t in range(frames):
                z, f, o = (a @ torch.cat([x[row, :, t], before]) + b).split(3)
                state = f.sigmoid() * z.tanh() + (1 - f.sigmoid()) * state
                before = x[row, :, t]
                torch.testing.assert_close(found[row, :, t], o.sigmoid() * state)


@pytest.mark.parametrize("frames", [2, 3, 100, 1025])
def test_the_scan_holds_in_float32_and_in_its_gradient(frames: int) -> None:
    torch.manual_seed(5)
    keep, new = torch.rand(1, frames, 8).requires_grad_(), torch.randn(1, frames, 8)
    state, states = torch.zeros(1, 8), []
    for t in range(frames):
        state = keep[:, t] * state + new[:, t]
        states.append(state)
    loop, scan = torch.stack(states, 1), net.scan(keep, new)
    torch.testing.assert_close(scan, loop, rtol=1e-5, atol=1e-5)
    (of_loop,) = torch.autograd.grad(loop.square().sum(), keep)
    (of_scan,) = torch.autograd.grad(scan.square().sum(), keep)
    torch.testing.assert_close(of_scan, of_loop, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("samples", [630, 1_600, 16_150, 16_155])
def test_pooling_first_is_projecting_first(samples: int) -> None:
    """As the reference does it: each skip at its full rate, then the mean over stretches."""
    model = exact("pase+")
    kept: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _m, _i, out, name=name: kept.update({name: out}))
    with torch.no_grad():
        found = model(wave(samples))
        output = kept["W"]
        frames = output.shape[-1]
        for i, skip in enumerate(model.denseskips):
            full = skip(kept[f"blocks.{i}"])
            stretch = full.shape[-1] // frames
            means = [full[..., t * stretch :][..., :stretch].mean(-1) for t in range(frames)]
            output = output + torch.stack(means, -1)
        torch.testing.assert_close(found, model.norm_out(output))
