"""Group norm over each clip's own frames: the cure for the padding's worst leak."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def mask_group_norm(model: Any) -> Any:
    """Give a group-norm model statistics over each clip's own frames; None for other models.

    The first convolution of "group" models is followed by a norm over time, in which padding would
    count. `clip_lengths` tells the new module how many of its frames are the clip's.
    """
    import torch
    from torch import nn

    config = model.config
    if config.feat_extract_norm != "group":
        return None

    class ClipGroupNorm(nn.Module):
        """Group norm with one channel a group, over the first frames of each clip."""

        def __init__(self, norm: nn.GroupNorm, kernel: int, stride: int) -> None:
            super().__init__()
            self.norm = norm
            self.kernel, self.stride = kernel, stride
            self.lengths: list[int] | None = None

        def forward(self, x: torch.Tensor) -> torch.Tensor:  # [B, C, T] -> [B, C, T]
            if self.lengths is None:
                output: torch.Tensor = self.norm(x)
                return output
            counts = [(n - self.kernel) // self.stride + 1 for n in self.lengths]
            count = torch.tensor(counts, device=x.device)[:, None, None]
            own = torch.arange(x.shape[-1], device=x.device) < count  # [B, 1, T]
            wide = x.float()
            mean = (wide * own).sum(-1, keepdim=True) / count
            centred = (wide - mean) * own
            variance = centred.square().sum(-1, keepdim=True) / count
            scaled = centred * torch.rsqrt(variance + self.norm.eps)
            weight, bias = self.norm.weight[:, None].float(), self.norm.bias[:, None].float()
            return (scaled * weight + bias).to(x.dtype)

    first = model.feature_extractor.conv_layers[0]
    first.layer_norm = ClipGroupNorm(first.layer_norm, config.conv_kernel[0], config.conv_stride[0])
    return first.layer_norm


@contextmanager
def clip_lengths(norm: Any, lengths: list[int] | None) -> Iterator[None]:
    """Within the block, a masked group norm counts only so many samples of each clip."""
    if norm is None:
        yield
        return
    norm.lengths = lengths
    try:
        yield
    finally:
        norm.lengths = None
