"""The key: a short hash over everything that changes the numbers in a cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

NUMERICS_VERSION = 2
"""Raised whenever our own code would give other frames for the same request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParts:
    """What a cache's numbers depend on. Labels and augmentation views are not among them.

    Attributes:
        family: The encoder plug-in.
        config: The encoder's configuration, as JSON values.
        weights: Hash of the encoder's weights; empty where it has none.
        layers: Names of the stored layers, in order.
        compute_dtype: `float32`, `bfloat16` or `float16`; TF32 is always off.
        conditioning: The steps between decoding and encoding, with their settings.
        max_seconds: Longest stretch of audio that is encoded at once.
        rate_hz: Sample rate that the encoder hears.
        store_dtype: `float16`, `float32` or `int8`.
        numerics_version: `NUMERICS_VERSION` at the time.
    """

    family: str
    config: dict[str, Any]
    weights: str
    layers: tuple[str, ...]
    compute_dtype: str
    conditioning: dict[str, Any]
    max_seconds: float
    rate_hz: int
    store_dtype: str
    numerics_version: int = NUMERICS_VERSION

    def to_json(self) -> dict[str, Any]:
        """The parts as JSON values."""
        return {**asdict(self), "layers": list(self.layers)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> KeyParts:
        """The inverse of `to_json`."""
        return cls(**{**record, "layers": tuple(record["layers"])})

    def covers(self, wanted: KeyParts) -> bool:
        """Whether a cache with these parts holds everything that `wanted` asks for."""
        same = replace(self, layers=()) == replace(wanted, layers=())
        return same and set(wanted.layers) <= set(self.layers)


def cache_key(parts: KeyParts) -> str:
    """Twelve hexadecimal digits of the SHA-256 of the parts' canonical JSON."""
    canonical = json.dumps(parts.to_json(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
