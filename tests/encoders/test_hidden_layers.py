"""Only the wanted hidden states are kept, and nothing is computed behind the last of them."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig

from embedcache.encoders import load_encoder
from tests.encoders.tiny_models import CLIPS, DEPTH, TINY, save
from tests.material import encoded

FAMILIES = [
    "wav2vec2, base",
    "wav2vec2, stable",
    "wavlm, base",
    "wavlm, stable",
    "data2vec-audio",
    "wav2vec2-conformer, relative, layer",
    "wav2vec2-bert, relative_key",
    "whisper",
]


class Census:
    """How many outputs of blocks are alive while a model runs, and how many blocks run."""

    def __init__(self, blocks: Any) -> None:
        self.most = self.runs = 0
        self._alive: list[weakref.ref[torch.Tensor]] = []
        for block in blocks:
            block.register_forward_hook(self._count)

    def _count(self, module: Any, args: Any, output: Any) -> None:
        self.runs += 1
        self._alive.append(weakref.ref(output[0] if isinstance(output, tuple) else output))
        self.most = max(self.most, sum(one() is not None for one in self._alive))


def census(folder: Path, layers: str) -> Census:
    encoder: Any = load_encoder(str(folder), layers, "cpu", "float32")
    found = Census(encoder._layers._blocks)
    encoded(encoder, CLIPS[-1:])
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_only_wanted_states_are_held(tmp_path: Path, name: str) -> None:
    """A block's input and output are alive while it runs, and wanted states from then on."""
    save(tmp_path, TINY[name], **deep(name, 8))
    assert census(tmp_path, "last").most <= 2
    assert census(tmp_path, "2,8").most <= 3
    assert census(tmp_path, "all").most >= 8


@pytest.mark.parametrize("name", FAMILIES)
def test_blocks_behind_the_last_wanted_state_are_not_there(tmp_path: Path, name: str) -> None:
    save(tmp_path, TINY[name])
    assert [census(tmp_path, layers).runs for layers in ("0", "1", "0,2", "last", "all")] == [
        *(1, 1, 2),
        *(DEPTH, DEPTH),
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_choice_of_layers_is_those_layers_of_all(tmp_path: Path, name: str) -> None:
    save(tmp_path, TINY[name])
    everything = load_encoder(str(tmp_path), "all", "cpu", "float32")
    layers = everything.spec.layers
    frames = encoded(everything, CLIPS[-2:])
    for choice in ("0", "2", "1,0", "last", "last,0"):
        encoder = load_encoder(str(tmp_path), choice, "cpu", "float32")
        places = [layers.index(name) for name in encoder.spec.layers]
        for some, all_layers in zip(encoded(encoder, CLIPS[-2:]), frames, strict=True):
            np.testing.assert_array_equal(some, all_layers[places])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_choice_of_layers_does_not_change_the_model(tmp_path: Path, name: str) -> None:
    """A cache of all layers serves a request for one: their keys differ in the layers alone."""
    save(tmp_path, TINY[name])
    whole = load_encoder(str(tmp_path), "all", "cpu", "float32").spec
    part = load_encoder(str(tmp_path), "1", "cpu", "float32").spec
    assert (whole.weights, whole.config, whole.last) == (part.weights, part.config, part.last)


def test_last_is_a_layer_of_its_own_only_behind_a_final_norm(tmp_path: Path) -> None:
    numbers = tuple(str(k) for k in range(DEPTH + 1))
    for place, name in enumerate(FAMILIES):
        save(tmp_path / str(place), TINY[name])
        spec = load_encoder(str(tmp_path / str(place)), "all", "cpu", "float32").spec
        bare = name.endswith("base") or name.startswith(("data2vec", "wav2vec2-bert"))
        assert spec.last == (str(DEPTH) if bare else "last")
        assert spec.layers == (numbers if bare else (*numbers, "last"))


def test_a_checkpoint_that_asks_for_everything_gets_what_is_wanted(tmp_path: Path) -> None:
    save(tmp_path, "wav2vec2")
    plain = load_encoder(str(tmp_path), "last", "cpu", "float32")
    config = AutoConfig.from_pretrained(tmp_path)
    config.output_hidden_states = True
    config.return_dict = False
    config.save_pretrained(tmp_path)
    assert census(tmp_path, "last").most <= 2
    greedy = load_encoder(str(tmp_path), "last", "cpu", "float32")
    assert greedy.spec == plain.spec
    np.testing.assert_array_equal(encoded(greedy, CLIPS[-1:]), encoded(plain, CLIPS[-1:]))


def deep(name: str, blocks: int) -> dict[str, int]:
    return {"encoder_layers" if name == "whisper" else "num_hidden_layers": blocks}
