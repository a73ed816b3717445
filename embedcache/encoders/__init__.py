"""Encoders: samples in, frames out. One module per family.

An encoder plug-in is a module in this folder. It defines:

- `IDS`: a literal dict, encoder id to one line for `ser encoders`; an id may end in a word in
  capitals that stands for the user's own text (`pase:FILE`);
- `load(encoder_id, layers, device, dtype) -> Encoder`;
- optionally `load_tunable(encoder_id, device, dtype) -> Tunable`, where its weights can be trained
  further.

Ids that no family lists are taken for Hugging Face models. Torch is imported inside functions, so
that listing loads nothing heavy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from embedcache.errors import UsageError, unknown_name
from embedcache.plugins import Plugin, plugins

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from embedcache.encoders._tunable import Tunable as Tunable

Samples = npt.NDArray[np.float32]
Frames = npt.NDArray[np.float32]

FALLBACK = "huggingface"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRoles:
    """Which of a frame's values tell how loud it is, and whether a voice was found in it.

    They say how frames are read and change none, so they are no part of a cache's key.

    Attributes:
        level: Columns whose powers add up to the frame's level; none where nothing tells it, as in
            hidden states.
        level_db: Decibels per unit of those columns.
        voiced: Column that is 1 where a voice was found and 0 elsewhere; None where none tells.
    """

    level: tuple[int, ...] = ()
    level_db: float = 1.0
    voiced: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """What an encoder is, as far as a cache and its readers need to know.

    Attributes:
        id: As the user named it.
        family: The plug-in.
        config: Its configuration, as JSON values.
        weights: Hash of its weights; empty where it has none.
        trained: Whether the weights were trained; None where it has none.
        rate_hz: Sample rate that it hears.
        hop: Samples from one frame to the next.
        receptive: Samples that the first frame needs; each further one needs a hop more.
        shortest: Fewest samples that it can encode, where that is more than `receptive`.
        longest: Most samples that it can encode at once; None where it knows no limit.
        padded_to: Samples that every clip is padded to, and computed as; 0 where none is.
        dim: Values per frame (D).
        layers: Names of the layers that it returns, in order.
        last: Name of the layer that `last` stands for.
        dtype: Compute dtype: `float32`, `bfloat16` or `float16`.
        pads: Whether clips of different lengths may share a batch without a trace.
        roles: What columns of a frame tell of it.
    """

    id: str
    family: str
    config: dict[str, Any]
    weights: str
    trained: bool | None
    rate_hz: int
    hop: int
    receptive: int
    shortest: int = 0
    longest: int | None = None
    padded_to: int = 0
    dim: int
    layers: tuple[str, ...]
    last: str
    dtype: str
    pads: bool
    roles: ColumnRoles = ColumnRoles()

    @property
    def frame_hz(self) -> float:
        """Frames per second."""
        return self.rate_hz / self.hop

    def frame_count(self, samples: int) -> int:
        """Number of frames (T) of a clip.

        (samples - receptive) // hop + 1, or none where the clip is too short to encode.
        """
        if samples < self.shortest:
            return 0
        return max(0, (samples - self.receptive) // self.hop + 1)


class Listener(Protocol):
    """What clips are made ready for."""

    @property
    def spec(self) -> EncoderSpec:
        """What the encoder is."""
        ...

    def prepare(self, clip: Samples) -> Samples:
        """What is done to a whole clip before it is cut into windows or padded: [samples]."""
        ...


class Encoder(Listener, Protocol):
    """An encoder that is loaded and ready."""

    def encode(self, clips: Sequence[Samples]) -> Sequence[Frames] | Sequence[torch.Tensor]:
        """Frames of each clip, which are the same whichever clips share the batch.

        Args:
            clips: Prepared, mono, at the encoder's rate, each with one frame at least and no longer
                than the spec's longest; of one length unless the spec says that it pads.

        Returns:
            float32 arrays; or tensors in the compute dtype, on a GPU if they were computed there,
            which is then not waited for.

        Shape:
            clips: [samples] each. Output: [L, T, D] each.
        """
        ...


def load_encoder(encoder_id: str, layers: str, device: str, dtype: str) -> Encoder:
    """Load an encoder.

    Args:
        encoder_id: As listed by `ser encoders`, a local folder, or a Hugging Face hub id.
        layers: `last`, `all`, or numbers such as `0,6,12`.
        device: `cpu`, `cuda` or `cuda:1`.
        dtype: Compute dtype, or `auto`: float32 on CPU, bfloat16 on GPU.

    Raises:
        UsageError: There is no such encoder or layer, or it cannot compute in this dtype.
        SerError: Its files are damaged.
    """
    encoder: Encoder = find_family(encoder_id).load().load(encoder_id, layers, device, dtype)
    return encoder


def load_tunable(encoder_id: str, device: str, dtype: str) -> Tunable:
    """Load an encoder to train its weights further.

    Args:
        encoder_id: As listed by `ser encoders`, a local folder, or a Hugging Face hub id.
        device: `cpu`, `cuda` or `cuda:1`.
        dtype: Of matrix products, or `auto`: float32 on CPU, bfloat16 on GPU. Weights are float32.

    Raises:
        UsageError: There is no such encoder, or nothing in it that can be trained.
        SerError: Its files are damaged.
    """
    family = find_family(encoder_id)
    load = getattr(family.load(), "load_tunable", None)
    if load is None:
        raise UsageError(
            f"--encoder {encoder_id} cannot be fine-tuned; give a Hugging Face model, such as "
            "facebook/wav2vec2-base, a folder of one, or random:wav2vec2-tiny"
        )
    tunable: Tunable = load(encoder_id, device, dtype)
    return tunable


def require_plain(encoder_id: str, layers: str, dtype: str) -> None:
    """Refuse what an encoder of one layer that computes in float32 cannot do.

    Raises:
        UsageError: Another layer or compute dtype is asked for.
    """
    if dtype not in ("auto", "float32"):
        raise UsageError(f"--dtype {dtype}: {encoder_id} computes in float32 only")
    if layers.strip() not in ("last", "all"):
        raise UsageError(f"--layers '{layers}': {encoder_id} has one layer; give last")


def refuse_tf32() -> None:
    """Let no GPU round float32 products to 10 bits: not what "float32" in the key says."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def parse_layers(layers: str, depth: int, last: str) -> tuple[str, ...]:
    """Names of the wanted layers, in order.

    Args:
        layers: `last`, `all`, or numbers such as `0,6,12`.
        depth: Number of blocks (N); layers 0..N exist.
        last: Name of the layer that `last` stands for: `str(N)`, or `last` where it differs.

    >>> parse_layers("all", 2, "last"), parse_layers("12,last,0", 12, "12")
    (('0', '1', '2', 'last'), ('0', '12'))
    """
    numbers = [str(n) for n in range(depth + 1)]
    names = numbers if last in numbers else [*numbers, last]
    if layers.strip() == "all":
        return tuple(names)
    wanted = {last if part == "last" else part for part in map(str.strip, layers.split(","))}
    for name in sorted(wanted):
        if name not in names:
            raise UsageError(
                f"--layers '{layers}': there is no layer '{name}'; "
                f"give last, all, or numbers from 0 to {depth} such as 0,{depth}"
            )
    return tuple(name for name in names if name in wanted)


def encoder_ids() -> dict[str, str]:
    """Every listed encoder id with its line, family after family."""
    families = plugins("embedcache.encoders").values()
    return {name: line for family in families for name, line in family.constants["IDS"].items()}


def find_family(encoder_id: str) -> Plugin:
    """The plug-in that an encoder id belongs to; nothing is loaded.

    Raises:
        UsageError: There is no such encoder or folder.
    """
    families = plugins("embedcache.encoders")
    for family in families.values():
        if any(_matches(encoder_id, pattern) for pattern in family.constants["IDS"]):
            return family
    if not encoder_id.strip():
        raise UsageError("--encoder is empty; see `ser encoders`")
    hub_id = re.fullmatch(r"[\w.-]+/[\w.-]+", encoder_id)
    if Path(encoder_id).expanduser().is_dir():
        return families[FALLBACK]
    if hub_id and not encoder_id.startswith((".", "~")):
        return families[FALLBACK]
    if "/" in encoder_id:
        raise UsageError(f"--encoder {encoder_id}: there is no such folder")
    raise unknown_name("encoder", encoder_id, encoder_ids())


def _matches(encoder_id: str, pattern: str) -> bool:
    prefix, colon, word = pattern.partition(":")
    if colon and word.isupper():
        return encoder_id.startswith(f"{prefix}:") and len(encoder_id) > len(prefix) + 1
    return encoder_id == pattern
