from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from embedcache.request import STORE_DTYPES
from embedcache.store.key import KeyParts, cache_key

PARTS = KeyParts(
    family="huggingface",
    config={"hidden_size": 64, "normalise": True},
    weights="abc",
    layers=("0", "2"),
    compute_dtype="float32",
    conditioning={"channels": "mean"},
    max_seconds=60.0,
    rate_hz=16_000,
    store_dtype="float16",
)
OTHERS: dict[str, Any] = {
    "family": "spectral",
    "config": {"hidden_size": 64, "normalise": False},
    "weights": "abd",
    "layers": ("0", "1"),
    "compute_dtype": "bfloat16",
    "conditioning": {"channels": "mean", "trim": True},
    "max_seconds": 30.0,
    "rate_hz": 8_000,
    "store_dtype": "float32",
    "numerics_version": 99,
}


@pytest.mark.parametrize("ingredient", [field.name for field in fields(KeyParts)])
def test_every_ingredient_changes_the_key(ingredient: str) -> None:
    changed = replace(PARTS, **{ingredient: OTHERS[ingredient]})
    assert cache_key(changed) != cache_key(PARTS)
    assert not PARTS.covers(changed)


def test_every_storage_dtype_has_a_key_of_its_own() -> None:
    keys = {cache_key(replace(PARTS, store_dtype=dtype)) for dtype in STORE_DTYPES}
    assert len(keys) == len(STORE_DTYPES) == 3


def test_the_order_of_settings_does_not() -> None:
    turned = replace(PARTS, config=dict(reversed(PARTS.config.items())))
    assert cache_key(turned) == cache_key(PARTS)


def test_more_layers_cover_fewer_but_not_the_other_way_round() -> None:
    fewer = replace(PARTS, layers=("2",))
    assert PARTS.covers(fewer)
    assert PARTS.covers(PARTS)
    assert not fewer.covers(PARTS)


def test_parts_survive_json() -> None:
    assert KeyParts.from_json(PARTS.to_json()) == PARTS
