"""PASE and PASE+: problem-agnostic speech encoders on raw waves, a frame every 10 ms.

The weights are the authors' own checkpoints, or seeded random ones (`random:pase+`) for tests and
benchmarks. Frames are the reference's, T = (samples + 9) // 160 of them.

Loudness is heard: nothing is done to a clip's level, and frames depend on it. The authors' recipes
for TIMIT and VoxCeleb divide each clip by its peak, which is `--normalise peak` here; theirs for
IEMOCAP does not.

A clip's end is reflected, and there is no mask, so only clips of one length share a batch. Where a
long clip is encoded in windows, each begins anew: its edges are reflected, and the recurrent layer
of PASE+ remembers nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from embedcache.encoders import Encoder, EncoderSpec, Samples, refuse_tf32, require_plain
from embedcache.encoders._weights import hash_tensors
from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

IDS = {
    "pase:FILE": "PASE from its authors' PASE.ckpt: 100 values every 10 ms",
    "pase+:FILE": "PASE+ from its authors' FE_e199.ckpt: 256 values every 10 ms",
    "random:pase": "PASE, untrained: for tests and benchmarks",
    "random:pase+": "PASE+, untrained: for tests and benchmarks",
}


def load(encoder_id: str, layers: str, device: str, dtype: str) -> Encoder:
    """PASE or PASE+ from a checkpoint or with random weights; it has one layer.

    It computes in float32 only: bfloat16 was measured to move frames by 1.6 % of their spread, and
    those of the worst channel by 2.8 %.
    """
    require_plain(encoder_id, layers, dtype)
    refuse_tf32()
    return _Pase(encoder_id, device)


class _Pase:
    def __init__(self, encoder_id: str, device: str) -> None:
        import torch

        from embedcache.encoders import _pase_checkpoint as checkpoint
        from embedcache.encoders import _pase_network as network

        prefix, _, rest = encoder_id.partition(":")
        trained = prefix != "random"
        variant = prefix if trained else rest
        model = (
            checkpoint.trained_network(variant, rest)
            if trained
            else checkpoint.random_network(variant)
        )
        tensors = model.state_dict()
        weights = {k: v for k, v in tensors.items() if not k.endswith(checkpoint.COUNTER)}
        self._device = torch.device(device)
        self._network = model.eval().requires_grad_(False).to(self._device)
        architecture = network.ARCHITECTURES[variant]
        self.spec = EncoderSpec(
            id=encoder_id,
            family="pase",
            config={
                **asdict(architecture),
                "kernels": list(network.KERNELS),
                "strides": list(network.STRIDES),
                "channels": list(network.CHANNELS),
                "min_low_hz": network.MIN_LOW_HZ,
                "min_band_hz": network.MIN_BAND_HZ,
                "norm_eps": network.NORM_EPS,
            },
            weights=hash_tensors(weights),
            trained=trained,
            rate_hz=network.RATE_HZ,
            hop=network.HOP,
            receptive=network.RECEPTIVE,
            shortest=network.SHORTEST,
            dim=architecture.size,
            layers=("last",),
            last="last",
            dtype="float32",
            pads=False,
        )

    def prepare(self, clip: Samples) -> Samples:
        """Nothing: the level is the clip's own."""
        return clip

    def encode(self, clips: Sequence[Samples]) -> list[torch.Tensor]:
        """Frames of each clip, where the network is: [1, T, D]."""
        import torch

        lengths = sorted({len(clip) for clip in clips})
        if len(lengths) > 1:
            raise ValueError(f"{self.spec.id} encodes clips of one length at a time, not {lengths}")
        if lengths[0] < self.spec.shortest:
            raise UsageError(
                f"{self.spec.id} needs {self.spec.shortest} samples at once and was given "
                f"{lengths[0]}; give a larger --max-seconds"
            )
        batch = torch.from_numpy(np.stack(clips)[:, None])  # [B, 1, samples]
        with torch.inference_mode():
            output = self._network(batch.to(self._device))  # [B, D, T]
        return list(output.mT[:, None])
