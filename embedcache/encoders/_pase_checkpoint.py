"""Weights of PASE and PASE+: from a checkpoint, by the names of its tensors, or seeded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from embedcache.encoders._pase_network import ARCHITECTURES, Pase
from embedcache.errors import SerError, UsageError

PUBLISHED = {"pase": "PASE.ckpt", "pase+": "FE_e199.ckpt"}
COUNTER = "num_batches_tracked"  # of batch norms; no frame depends on it, and files may lack it

_PREFIXES = re.compile(r"^(?:(?:module|frontend)\.)+")
_WORKERS = ("regression_workers.", "classification_workers.", "minion.")
_MOST_NAMES = 3

Shapes = dict[str, tuple[int, ...]]


def random_network(variant: str) -> Pase:
    """A network with seeded random weights, the same everywhere.

    torch's default weights shrink their input from block to block, and with batch norms that have
    not seen any data, nothing makes up for it: frames would hardly change over time. He's weights
    keep the level. They are drawn uniformly because a uniform draw has the same bits on any CPU.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Pase(ARCHITECTURES[variant])
        for module in network.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
    return network


def trained_network(variant: str, file: str) -> Pase:
    """A network with the weights of a checkpoint.

    Args:
        variant: `pase` or `pase+`.
        file: The published checkpoint; or one of a training run, whose encoder is taken.

    Raises:
        UsageError: There is no such file, or it holds the other variant.
        SerError: It is no checkpoint, or its tensors are not those of the encoder.
    """
    encoder_id = f"{variant}:{file}"
    path = Path(file).expanduser()
    if not path.is_file():
        raise UsageError(
            f"--encoder {encoder_id}: there is no such file; the README of "
            f"github.com/santi-pdp/pase links {PUBLISHED[variant]}: download it and give its path, "
            f"as in --encoder {variant}:{PUBLISHED[variant]}"
        )
    tensors = _encoder_tensors(_read(path, encoder_id), encoder_id)
    _check(tensors, variant, file)
    with torch.random.fork_rng(devices=[]):  # the weights it begins with are nobody's business
        network = Pase(ARCHITECTURES[variant])
    network.load_state_dict(tensors, strict=False)  # but for the counters, nothing is missing
    return network


def _read(path: Path, encoder_id: str) -> Any:
    """What the file holds, in safetensors or torch's format; nothing in it is run."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what is no checkpoint fails in whichever way its bytes lead to
        # What torch says of it advises to run the code.
        raise SerError(
            f"--encoder {encoder_id} is no checkpoint that can be read without running code in it "
            f"({type(error).__name__}); give a file written by torch.save or safetensors"
        ) from error


def _encoder_tensors(found: Any, encoder_id: str) -> dict[str, Tensor]:
    """The encoder's tensors under their own names.

    A training run also writes the encoder beside its optimizer, and beside the workers that it was
    trained with.
    """
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict):
        raise SerError(
            f"--encoder {encoder_id} holds a {type(found).__name__}, not tensors by their names"
        )
    named = {_PREFIXES.sub("", str(name)): value for name, value in found.items()}
    return {
        name: value
        for name, value in named.items()
        if isinstance(value, Tensor) and not name.startswith(_WORKERS)
    }


def _check(tensors: dict[str, Tensor], variant: str, file: str) -> None:
    """Refuse tensors that are not exactly the variant's."""
    encoder_id = f"{variant}:{file}"
    misfits = _misfits(tensors, _shapes(variant))
    for other in ARCHITECTURES.keys() - {variant}:
        if misfits and not _misfits(tensors, _shapes(other)):
            raise UsageError(
                f"--encoder {encoder_id}: the file holds {other.upper()}, not {variant.upper()}; "
                f"give --encoder {other}:{file}"
            )
    if misfits:
        raise SerError(
            f"--encoder {encoder_id} is not {variant.upper()} as it was published: "
            f"{'; '.join(misfits)}; give {PUBLISHED[variant]} or a checkpoint of the same network"
        )
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise SerError(f"--encoder {encoder_id}: {name} holds NaN or infinite values")


def _shapes(variant: str) -> Shapes:
    """Shapes of a variant's tensors; nothing is allocated."""
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in Pase(ARCHITECTURES[variant]).state_dict().items()}


def _misfits(tensors: dict[str, Tensor], shapes: Shapes) -> list[str]:
    """What tells a checkpoint's tensors from a network's, in words; nothing where they agree."""
    lacking = [k for k in shapes if k not in tensors and not k.endswith(COUNTER)]
    extra = [k for k in tensors if k not in shapes]
    bent = [
        f"{k} {list(v.shape)} instead of {list(shapes[k])}"
        for k, v in tensors.items()
        if k in shapes and tuple(v.shape) != shapes[k]
    ]
    kinds = {"missing": lacking, "unknown": extra, "of another shape": bent}
    return [f"{len(found)} {kind} ({_first(found)})" for kind, found in kinds.items() if found]


def _first(names: list[str]) -> str:
    more = ", ..." if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
