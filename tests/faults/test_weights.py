"""Checkpoints that hold code: it is never run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.faults.forks import Ended, Forks
from tests.faults.scale import FULL
from tests.material import write_clips

HOWS = ["zip", "legacy", "plain pickle"]


class Payload:
    """A pickle of it makes a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self._mark,)


def save(path: Path, mark: Path, how: str) -> None:
    """Write a checkpoint with code in it, and see that a careless reader would run it."""
    record = {"state_dict": {"W.weight": torch.ones(2), "W.bias": Payload(mark)}}
    if how == "plain pickle":
        path.write_bytes(pickle.dumps(record))
        pickle.loads(path.read_bytes())
    else:
        torch.save(record, path, _use_new_zipfile_serialization=how == "zip")
        torch.load(path, weights_only=False)
    assert mark.exists()
    mark.unlink()


def encode_with(server: Forks, folder: Path, encoder: str) -> Ended:
    clips = write_clips(folder / "clips", 2)
    return server.run("extract", "--corpus", "folder", "--root", clips, "--encoder", encoder,
                      "--cache-dir", folder / "cache")  # fmt: skip


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("variant", ["pase", "pase+"])
@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".bin", ".safetensors"])
def test_in_a_file_of_pase(
    server: Forks, tmp_path: Path, variant: str, suffix: str, how: str
) -> None:
    path, mark = tmp_path / f"model{suffix}", tmp_path / "it ran"
    save(path, mark, how)
    ended = encode_with(server, tmp_path, f"{variant}:{path}")
    assert not mark.exists()
    assert ended.code == 1
    assert "is no checkpoint that can be read without running code in it" in ended.sentence
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("how", HOWS if FULL else HOWS[:1])
def test_in_a_folder_of_a_model(server: Forks, tmp_path: Path, how: str) -> None:
    """Beside the weights lie other pickles that trainers leave; nothing reads them."""
    from embedcache.encoders._checkpoints import load_checkpoint

    load_checkpoint("random:wav2vec2-tiny").model.config.save_pretrained(tmp_path / "model")
    mark = tmp_path / "it ran"
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt"):
        save(tmp_path / "model" / name, mark, how)
    ended = encode_with(server, tmp_path, str(tmp_path / "model"))
    assert not mark.exists()
    assert ended.code == 1
    assert ended.sentence.startswith(f"ser: --encoder {tmp_path / 'model'}")
    assert "Traceback" not in ended.err
