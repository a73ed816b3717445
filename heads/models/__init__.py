"""Heads: frames in, logits out. One module per head.

A head plug-in is a module in this folder. Its docstring's first line is its line in `ser heads`. It
defines:

- `Config`: a frozen dataclass of its settings, which `--set key=value` fills;
- `Head`: a module for K stacked models, `Head(config, dim, classes, standardise, stack)`, whose
  `forward(frames, mask)` takes [B, T, D] and [B, T] and gives logits [K, B, C]; every parameter has
  a leading axis K, and the models' own dropout is in `stack` (see `heads.stacked`);
- optionally `frame_weights(frames, mask)`, a method that gives the weights of the frames, [B, Q, T]
  with Q a multiple of K;
- optionally `reducer(config)`, which gives a function of an utterance's frames, [T, D] to
  [T', D']: what is done to them once, before training;
- optionally `STACKS = False`, where models are trained one after another, as stacks of one.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol, cast, get_type_hints

from embedcache.errors import UsageError, unknown_name
from embedcache.plugins import find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from heads.stacked import Stack, Standardise


class HeadModule(Protocol):
    """What a head plug-in's module offers."""

    Config: type[Any]

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
