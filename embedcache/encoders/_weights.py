"""Weights: what names them in a cache's key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """xxh3-128 over every tensor's name, type, shape and bytes, in the order of names."""
    import torch
    import xxhash

    digest = xxhash.xxh3_128()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().cpu().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
