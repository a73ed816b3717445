"""Padding that leaves no trace: the cures for the library's leaks.

Clips of different lengths are padded with zeros to share a batch. Attention is masked by the
library; two things are not, or not everywhere, and here they are:

- the group norm behind the first convolution of "group" models, which takes its statistics over
  time and so over the padding;
- convolutions over frames, which reach from a clip's last frames into the padding: zeros at the
  first one, but no longer behind a block, a norm or a bias.

wav2vec2-bert's convolutions see no later frame, and Whisper's clips are all padded to one length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from embedcache.encoders._padded_batch import own_steps


class Padding:
    """How much of a padded batch is each clip's own.

    Attributes:
        samples: Samples of each clip; None where nothing is padded.
        own: Which frames are a clip's own, [B, 1, T]; None where nothing is padded.
    """

    def __init__(self, model: Any) -> None:
        """Change a model so that it heeds this padding.

        Args:
            model: A model of the library; its convolutions over frames lie in its `encoder`.
        """
        from torch import nn

        self.samples: Sequence[int] | None = None
        self.own: Any = None
        for layer in getattr(getattr(model, "feature_extractor", None), "conv_layers", ()):
            if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                heed_clips(layer.layer_norm, layer.conv, self)
        for module in getattr(model, "encoder", nn.Module()).modules():
            if isinstance(module, nn.Conv1d) and module.padding[0]:
                module.register_forward_pre_hook(self._clear)

    @contextmanager
    def of(self, samples: Sequence[int], frames: Sequence[int], device: Any) -> Iterator[None]:
        """Within the block, the model's batch holds clips of these lengths.

        Args:
            samples: Samples of each clip.
            frames: Frames of each clip.
            device: Where the model is.
        """
        if len(set(samples)) > 1:
            self.samples = samples
            self.own = own_steps(frames, device)[:, None]
        try:
            yield
        finally:
            self.samples = self.own = None

    def _clear(self, module: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self.own is None:
            return None
        return (args[0].masked_fill(~self.own, 0), *args[1:])


def heed_clips(norm: Any, conv: Any, padding: Padding) -> None:
    """Let a group norm take its statistics over each clip's own frames.

    The module stays what it is, with its weights under their names.

    Args:
        norm: The library's, with one channel a group.
        conv: The convolution before it, which is the first: its kernel and stride say how many
            frames a clip has here.
        padding: Where the lengths of the clips are found.
    """
    import torch

    plain = norm.forward

    def forward(x: torch.Tensor) -> torch.Tensor:  # [B, C, T] -> [B, C, T]
        if padding.samples is None:
            output: torch.Tensor = plain(x)
            return output
        # Clip by clip it is the library's own norm, in one pass over what is not padding.
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        normed = torch.zeros_like(x)
        for i, samples in enumerate(padding.samples):
            count = (samples - kernel) // stride + 1
            normed[i, :, :count] = plain(x[i : i + 1, :, :count])[0]
        return normed

    norm.forward = forward
