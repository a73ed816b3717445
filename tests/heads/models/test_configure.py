"""`--set` fills a head's configuration."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from embedcache.errors import UsageError
from heads.models import configure, load_head


@dataclass(frozen=True)
class Config:
    count: int = 1
    share: float = 0.5
    kind: str = "plain"
    hidden: tuple[int, ...] = (8,)


def test_text_becomes_values_of_the_fields_types():
    settings = {"count": "3", "share": "1e-3", "kind": "odd", "hidden": "256-128-8"}
    assert configure(Config, settings) == Config(3, 0.001, "odd", (256, 128, 8))


def test_what_is_not_set_stays_as_it_is():
    assert configure(Config, {}) == Config()


@pytest.mark.parametrize(
    ("key", "text", "wanted"),
    [
        ("count", "1.5", "a value of type int"),
        ("share", "half", "a value of type float"),
        ("hidden", "256,128", "sizes such as 256-128"),
        ("hidden", "-128", "sizes such as 256-128"),
        ("hidden", "256-0", "sizes such as 256-128"),
    ],
)
def test_a_value_of_another_type_is_refused(key, text, wanted):
    with pytest.raises(UsageError, match=rf"^--set {key}={text}: give {wanted}$"):
        configure(Config, {key: text})


def test_a_misspelt_key_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="unknown key in --set 'hiddn': did you mean 'hidden'"):
        configure(Config, {"hiddn": "8"})


def test_a_head_that_does_not_exist():
    with pytest.raises(UsageError, match="unknown head 'mph': did you mean 'mlp'"):
        load_head("mph")
