from __future__ import annotations

import pytest

from embedcache.encoders import EncoderSpec, encoder_ids, load_encoder, parse_layers
from embedcache.errors import UsageError
from embedcache.plugins import plugins


def test_every_family_lists_its_ids() -> None:
    for family in plugins("embedcache.encoders").values():
        assert family.constants["IDS"], family.name
    assert {"logmel", "mfcc", "random:wav2vec2-tiny"} <= encoder_ids().keys()


def test_an_unknown_id_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown encoder 'logmell': did you mean 'logmel'"):
        load_encoder("logmell", "last", "cpu", "auto")


@pytest.mark.parametrize("path", ["./models/mine/best", "./nofolder", "/nowhere", "~/nowhere"])
def test_a_path_that_is_not_there(path: str) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        load_encoder(path, "last", "cpu", "auto")


def test_an_empty_id() -> None:
    with pytest.raises(UsageError, match="--encoder is empty"):
        load_encoder("", "last", "cpu", "auto")


@pytest.mark.parametrize("layers", ["", "first", "-1", "13", "0,,1", "1.0"])
def test_layers_that_do_not_exist(layers: str) -> None:
    with pytest.raises(UsageError, match="give last, all, or numbers from 0 to 12"):
        parse_layers(layers, 12, "12")


def test_layers_are_named_once_and_in_order() -> None:
    assert parse_layers("12,3,last,3", 12, "12") == ("3", "12")
    assert parse_layers("last, 3", 24, "last") == ("3", "last")


def test_frame_count_is_that_of_stacked_convolutions() -> None:
    """Seven convolutions one after the other, as wav2vec2 has them."""
    kernels, strides = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
    spec = EncoderSpec(id="", family="", config={}, weights="", trained=None, rate_hz=16_000,
                       hop=320, receptive=400, dim=1, layers=("last",), last="last",
                       dtype="float32", pads=True)  # fmt: skip
    for samples in range(1, 5_000, 7):
        length = samples
        for kernel, stride in zip(kernels, strides, strict=True):
            length = max(0, (length - kernel) // stride + 1)
        assert spec.frame_count(samples) == length
