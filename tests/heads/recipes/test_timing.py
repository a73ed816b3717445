"""Limits of training time: there is one for every head that has epochs; how long is no test."""

from __future__ import annotations

from math import isfinite

import pytest

from embedcache.plugins import plugins
from heads.models import load_head
from heads.recipes.timing import Size, time_head
from heads.train.config import RunConfig

SIZE = Size(utterances=40, frames=12, dim=9, outputs=3)


@pytest.mark.parametrize("head", plugins("heads.models"))
def test_every_head_with_epochs_has_a_limit(head) -> None:
    settings = {"batch_size": "8", "epochs": "2"}
    config = RunConfig(heads=[head], corpus="folder", settings=settings, device="cpu")
    found = time_head(config, head, SIZE, models=2)
    if hasattr(load_head(head), "fit"):
        assert found is None
    else:
        assert found is not None and isfinite(found) and found >= 0
