"""What was asked for, as a number: every option is in it, and one that asks for nothing is not."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace

import pytest

from embedcache.store.reader import CacheReader
from heads.recipes.asked import ADDED, digest_request
from heads.recipes.reading import Section
from heads.recipes.steps import Training


@pytest.fixture
def digest(run_config, planted_cache):
    def digest(**changes):
        training = Training(Section("train-head", 1, {}), run_config(**changes), False, None)
        return digest_request(training, "mlp", CacheReader(planted_cache))

    return digest


@pytest.mark.parametrize(
    "change",
    [
        {"balance": "gender"},
        {"ambiguous": "weight"},
        {"worst_group": "gender"},
        {"seed": 1},
        {"class_weights": "balanced"},
    ],
)
def test_another_request_is_another_number(digest, change):
    assert digest(**change) != digest()
    assert digest(**change) == digest(**change)


def test_options_that_were_added_are_left_out_where_they_ask_for_nothing(run_config):
    """Else runs that were there before them would all be trained again."""
    defaults = {f.name: f.default for f in fields(run_config()) if f.default is not MISSING}
    assert ADDED.items() <= defaults.items()
    assert replace(run_config(), **ADDED) == run_config()
