"""A corpus whose emotions can be heard, and the fine-tuning of a small encoder on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from heads.finetune.settings import FinetuneConfig
from heads.train.config import RunConfig
from tests.material import RATE_HZ, noise, tone

PITCH = {"low": 200.0, "high": 1500.0}  # Hz, of the tone behind the noise
QUICK = {"epochs": "2", "batch_seconds": "4", "lr": "1e-3"}

Finetuning = Callable[..., FinetuneConfig]


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus for `folder`: six speakers with six clips each, 0.4 to 0.9 s."""
    root = tmp_path_factory.mktemp("tones")
    for n in range(36):
        label, speaker = list(PITCH)[n % 2], n // 2 % 6
        folder = root / label / f"s{speaker}"
        folder.mkdir(parents=True, exist_ok=True)
        seconds = 0.4 + 0.1 * (n % 6)
        clip = tone(PITCH[label] * (1 + 0.05 * speaker), seconds) + 0.3 * noise(seconds, n)
        soundfile.write(folder / f"clip{n:02}.wav", clip.astype(np.float32), RATE_HZ)
    return root


@pytest.fixture
def finetuning(tones: Path, tmp_path: Path) -> Finetuning:
    """A configuration for the corpus; keyword arguments are `FinetuneConfig`'s or the task's."""

    def make(**changes: object) -> FinetuneConfig:
        settings = QUICK | dict(changes.pop("settings", {}))
        task = RunConfig(
            heads=["attention"],
            corpus="folder",
            cache_dir=tmp_path / "cache",
            folds=3,
            settings=settings,
            device="cpu",
        )
        of_task = {k: changes.pop(k) for k in list(changes) if k in RunConfig.__dataclass_fields__
                   and k not in ("encoder",)}  # fmt: skip
        return FinetuneConfig(
            **{
                "root": tones,
                "encoder": "random:wav2vec2-tiny",
                "task": replace(task, **of_task),
                "all_folds": True,
                "checkpoint_dir": tmp_path / "checkpoints",
                **changes,
            }
        )

    return make
