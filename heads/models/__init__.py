"""Heads: frames in, logits out. One module per head.

A head plug-in is a module in this folder. Its docstring's first line is its line in `ser heads`. It
defines:

- `Config`: a frozen dataclass of its settings, which `--set key=value` fills;
- `Head`: a module for K stacked models, `Head(config, dim, classes, standardise, stack)`, whose
  `forward(frames, mask)` takes [B, T, D] and [B, T] and gives logits [K, B, C]; every parameter has
  a leading axis K, and the models' own dropout is in `stack` (see `heads.stacked`). Its method
  `frame_weights(frames, mask)` gives the weights of the frames in pooling, [B, Q, T] with Q a
  multiple of K. Frames may be float32 or bfloat16, and hold any finite value in padding;
- optionally `reducer(config, roles)`, which gives a function of an utterance's frames, [T, D] to
  [T', D'], or None: what is done to them once, before training. `roles` says which columns tell
  level and voicing (see `embedcache.encoders.ColumnRoles`). What equal functions give (one
  function, or equal frozen dataclasses that are called) is made once;
- optionally `TRAINING`, a mapping: its own defaults of what `--set` changes in training, such as
  `{"lr": 1e-3}`;
- optionally `STACKS = False`, where models are trained one after another, as stacks of one;
- optionally `DEEP = True`, where each frame goes through so many products that half precision pays
  however few the frames are.

A head that is not trained by gradients defines, in place of `Head`, `fit(config, examples) -> Fit`:
one fold's model from one vector of each utterance. It draws nothing at random, so it runs once. For
emotional dimensions it defines `fit_values`, which takes and gives the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol, cast, get_type_hints

import numpy as np
import numpy.typing as npt

from embedcache.errors import UsageError, unknown_name
from embedcache.plugins import find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from heads.stacked import Stack, Standardise


Frames = npt.NDArray[np.float32]
Reduction = Callable[[Frames], Frames]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What a head without epochs is fitted to.

    Attributes:
        vectors: [N, D], one of each utterance.
        targets: [N, C], distributions, or values of dimensions, NaN where they are not annotated.
        speakers: [N].
        train: Positions of the utterances that train.
        val: Positions of those that validate; they may train a model whose choices are made.
        labels: [C], names of the classes or dimensions.
        weights: [N], what each counts for in fitting, mean 1 over those that train or validate; 0
            fits nothing, and is still predicted where a choice is made by predictions. None for all
            alike.
        groups: [N], number of each one's group, -1 for none: choices are made by the group that is
            served worst; None for all alike.
    """

    vectors: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float64]
    speakers: Sequence[str | None]
    train: npt.NDArray[np.int64]
    val: npt.NDArray[np.int64]
    labels: Sequence[str]
    weights: npt.NDArray[np.float64] | None = None
    groups: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A model that was fitted without epochs.

    Attributes:
        state: Its weights.
        predictions: [N, C], probabilities or values, for all utterances.
        score: What it is chosen by among others, from training or validation part: UA, of the worst
            group where there are groups, or CCC.
    """

    state: Mapping[str, Tensor]
    predictions: npt.NDArray[np.float64]
    score: float


class HeadModule(Protocol):
    """What a head plug-in's module offers: `Head`, or `fit` in its place."""

    Config: type[Any]

    def fit(self, config: Any, examples: Examples) -> Fit:
        """Fit one fold's model."""
        ...

    def fit_values(self, config: Any, examples: Examples) -> Fit:
        """Fit one fold's model of emotional dimensions."""
        ...

    def Head(  # noqa: N802 - a class
        self,
        config: Any,
        dim: int,
        classes: int,
        standardise: Standardise,
        stack: Stack,
    ) -> nn.Module:
        """Build K stacked models."""
        ...


def load_head(name: str) -> HeadModule:
    """The plug-in module of a head.

    Raises:
        UsageError: There is no such head.
    """
    return cast("HeadModule", find("heads.models", "head", name).load())


def configure(config_type: type[Any], settings: Mapping[str, str]) -> Any:
    """Fill a configuration dataclass from the text of `--set`.

    Sizes of several layers are written as the field writes them: `hidden=256-128`.

    Raises:
        UsageError: A key does not exist, or a value is not of its type.
    """
    types = get_type_hints(config_type)
    known = [field.name for field in fields(config_type)]
    values = {}
    for key, text in settings.items():
        if key not in known:
            raise unknown_name("key in --set", key, known)
        try:
            values[key] = _parse(text, types[key])
        except ValueError:
            wanted = (
                "sizes such as 256-128"
                if types[key] not in (int, float, str)
                else (f"a value of type {types[key].__name__}")
            )
            raise UsageError(f"--set {key}={text}: give {wanted}") from None
    return config_type(**values)


def _parse(text: str, kind: Any) -> Any:
    if kind in (int, float, str):
        return kind(text)
    sizes = tuple(int(part) for part in text.split("-")) if text else ()
    if any(size < 1 for size in sizes):
        raise ValueError(text)
    return sizes
