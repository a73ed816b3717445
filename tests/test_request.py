"""What can be asked of an extraction, and what cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedcache.errors import UsageError
from embedcache.request import ExtractConfig, parse_worker, resolve_device


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"store_dtype": "int4"}, "--store-dtype int4: give float16, float32 or int8"),
        ({"shard_mb": 0.0}, "--shard-mb 0: give a number above 0"),
        ({"max_seconds": float("nan")}, "--max-seconds nan: give a number above 0"),
        ({"limit": -1}, "--limit -1"),
        ({"worker": (2, 2)}, "--worker 2/2: give I/N"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ExtractConfig(corpus="folder", root=Path(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "1", "a/b", "1/", "-1/2"])
def test_workers_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="give I/N, such as 0/4"):
        parse_worker(text)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="torch sees 0 GPUs here"):
        resolve_device("cuda")
    for device in ("tpu", "cpu:0", "cuda:", "cuda:x"):
        with pytest.raises(UsageError, match="give auto, cpu, cuda"):
            resolve_device(device)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert (resolve_device("auto"), resolve_device("cuda:1")) == ("cuda", "cuda:1")
