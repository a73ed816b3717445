"""The design: its limits are stated, and every name has its own chance."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.errors import UsageError
from embedcache.synthesis.design import Config, random_stream

seeds = st.integers(0, 2**32 - 1)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789- ", min_size=1, max_size=20)


@given(seeds, names, seeds, names)
def test_seed_and_name_decide_a_stream(seed: int, name: str, seed2: int, name2: str) -> None:
    def drawn(seed: int, name: str) -> list[int]:
        return random_stream(seed, name).integers(2**63, size=2).tolist()

    assert drawn(seed, name) == drawn(seed, name)
    assert (drawn(seed, name) == drawn(seed2, name2)) == ((seed, name) == (seed2, name2))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"speakers": 0}, "speakers 0 must lie between 1 and 198"),
        ({"clips_per_emotion": 100}, "clips_per_emotion 100 must lie between 1 and 99"),
        ({"annotators": 0}, "annotators 0 must lie"),
        ({"seed": -1}, "seed -1 must lie"),
        ({"weaker_expression": 1.5}, "weaker_expression 1.5 must lie between 0 and 1"),
        ({"ambiguous_share": float("nan")}, "ambiguous_share nan must lie"),
        ({"rate_hz": 8000}, "rate_hz 8000 must lie between 16000 and 48000"),
        ({"weaker_gender": "men"}, "weaker_gender 'men' must be female or male"),
    ],
)
def test_what_cannot_be_generated(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Config(**setting)
