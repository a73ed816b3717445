"""Hugging Face speech encoders: wav2vec2, hubert, wavlm and their kin.

From a hub id, a local folder, or `random:<preset>`, which is the real architecture with seeded
random weights: for tests, benchmarks and offline demonstrations, never for results.

Letters: B clips, T frames, D dimension, L layers.
"""

from __future__ import annotations

import json
import warnings
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from embedcache.encoders import Encoder, EncoderSpec, Frames, Samples, parse_layers
from embedcache.encoders._checkpoints import UNUSED_WEIGHT, Checkpoint, load_checkpoint
from embedcache.encoders._clip_norm import clip_lengths, mask_group_norm
from embedcache.encoders._weights import hash_tensors
from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

IDS = {
    "random:wav2vec2-tiny": "wav2vec2 with 2 blocks of width 64, untrained: for demonstrations",
    "random:wav2vec2-base": "wav2vec2-base, untrained: for tests and benchmarks",
    "random:wav2vec2-large-lv60": "wav2vec2-large-lv60, untrained: for tests and benchmarks",
    "random:hubert-base": "hubert-base, untrained: for tests and benchmarks",
    "random:hubert-large": "hubert-large, untrained: for tests and benchmarks",
    "random:wavlm-base": "wavlm-base, untrained: for tests and benchmarks",
    "random:wavlm-large": "wavlm-large, untrained: for tests and benchmarks",
    "folder:PATH": "a local folder written by save_pretrained; its path alone will do",
    "hub:ORG/NAME": "a Hugging Face hub id such as facebook/wav2vec2-base; it alone will do",
}

# Families whose padded batches give each clip's own frames, as the tests prove. In the others the
# convolutions between or before the blocks see the padding: their clips share a batch only where
# they are of one length.
CURED = frozenset({"wav2vec2", "hubert", "wavlm"})


_DTYPES = ("float32", "bfloat16", "float16")
# Parts of the names of configuration fields that do not reach the frames.
_NO_FORWARD = (
    *("_name_or_path", "transformers_version", "architectures", "dtype", "drop", "mask_", "label"),
    *("ctc_", "codevector", "contrastive", "diversity", "negatives", "quantizer", "token_id"),
    *("classifier", "tdnn", "xvector", "initializer_range", "spec_augment", "finetuning", "vocab"),
    *("gradient_checkpointing", "problem_type", "weighted_layer_sum", "adapter", "tokenizer"),
)
_NORMALISE_FLOOR = 1e-7  # the variance floor of transformers' Wav2Vec2FeatureExtractor


def load(encoder_id: str, layers: str, device: str, dtype: str) -> Encoder:
    """An encoder from a preset, a folder or the hub; frames come from its transformer blocks."""
    import torch

    if dtype not in ("auto", *_DTYPES):
        raise UsageError(f"--dtype {dtype}: give auto, {', '.join(_DTYPES)}")
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    # TF32 rounds float32 products to 10 bits: not what "float32" in the key says.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # WavLM's own attention passes a float bias and a boolean mask, which torch deprecates.
    warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)
    return _Transformer(encoder_id, load_checkpoint(encoder_id), layers, device, dtype)


class _Transformer:
    def __init__(
        self, encoder_id: str, source: Checkpoint, layers: str, device: str, dtype: str
    ) -> None:
        import torch

        self._model = source.model.eval().requires_grad_(False)
        self._normalise = source.normalise
        self._device = torch.device(device)
        self._dtype: torch.dtype = getattr(torch, dtype)
        config = self._model.config
        # Only the transformer's frames are wanted, at the transformer's rate.
        self._model.adapter = None
        weights = _weights_hash(self._model)
        self._norm = mask_group_norm(self._model) if config.model_type in CURED else None
        depth = len(self._model.encoder.layers)
        last = str(depth) if _ends_with_its_last_block(self._model) else "last"
        self._model.to(self._device, self._dtype)
        self.spec = EncoderSpec(
            id=encoder_id,
            family="huggingface",
            config=_numeric_config(config) | {"normalise": source.normalise},
            weights=weights,
            trained=source.trained,
            rate_hz=source.rate_hz,
            hop=prod(config.conv_stride),
            receptive=_receptive(config.conv_kernel, config.conv_stride),
            dim=config.hidden_size,
            layers=parse_layers(layers, depth, last),
            last=last,
            dtype=dtype,
            pads=config.model_type in CURED,
        )

    def prepare(self, clip: Samples) -> Samples:
        """Zero mean and unit variance over the whole clip, where the checkpoint asks for it."""
        return _normalised(clip) if self._normalise else clip

    def encode(self, clips: Sequence[Samples]) -> list[Frames]:
        """Frames of each clip at the wanted layers: [L, T, D]."""
        import torch

        lengths = [len(clip) for clip in clips]
        padded = len(set(lengths)) > 1
        if padded and not self.spec.pads:
            raise ValueError(f"{self.spec.id} encodes clips of one length at a time, not {lengths}")
        batch = torch.zeros(len(clips), max(lengths))
        for row, clip in zip(batch, clips, strict=True):
            row[: len(clip)] = torch.from_numpy(clip)
        mask = None
        if padded:
            mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
            mask = mask.to(self._device)
        with torch.inference_mode(), clip_lengths(self._norm, lengths if padded else None):
            hidden = self._hidden_states(batch.to(self._device, self._dtype), mask)
        counts = [self.spec.frame_count(length) for length in lengths]
        stacked = torch.stack([hidden[name] for name in self.spec.layers], dim=1)  # [B, L, T, D]
        return [stacked[b, :, :count].float().cpu().numpy() for b, count in enumerate(counts)]

    def _hidden_states(self, batch: Any, mask: Any) -> dict[str, Any]:
        """The wanted layers by name; the others are never kept."""
        blocks = self._model.encoder.layers
        kept: dict[str, Any] = {}
        hooks = []
        for name in self.spec.layers:
            if name == "0":
                hooks.append(
                    blocks[0].register_forward_pre_hook(_keep_input(kept), with_kwargs=True)
                )
            elif name.isdigit():
                hooks.append(blocks[int(name) - 1].register_forward_hook(_keep_output(kept, name)))
        try:
            kept["last"] = self._model(batch, attention_mask=mask).last_hidden_state
        finally:
            for hook in hooks:
                hook.remove()
        return kept


def _keep_input(kept: dict[str, Any]) -> Any:
    def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kept["0"] = args[0] if args else kwargs["hidden_states"]

    return hook


def _keep_output(kept: dict[str, Any], name: str) -> Any:
    def hook(module: Any, args: tuple[Any, ...], output: Any) -> None:
        kept[name] = output[0] if isinstance(output, tuple) else output

    return hook


def _normalised(clip: Samples) -> Samples:
    """Zero mean and unit variance over the clip alone, as the library's feature extractor does."""
    scaled: Samples = (clip - clip.mean()) / np.sqrt(clip.var() + _NORMALISE_FLOOR)
    return scaled


def _receptive(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame of stacked convolutions sees: 1 + sum_i (k_i - 1) prod_{j<i} s_j.

    >>> _receptive((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))
    400
    """
    return 1 + sum((k - 1) * prod(strides[:i]) for i, k in enumerate(kernels))


def _ends_with_its_last_block(model: Any) -> bool:
    """Whether `last_hidden_state` is the last block's output, with no norm after it."""
    import torch

    kept: dict[str, Any] = {}
    hook = model.encoder.layers[-1].register_forward_hook(_keep_output(kept, "N"))
    noise = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            last = model(noise).last_hidden_state
    finally:
        hook.remove()
    return torch.equal(last, kept["N"])


def _weights_hash(model: Any) -> str:
    """Hash of all weights but the vector that stands for masked frames.

    Only training uses it, and checkpoints that lack it get a random one.
    """
    tensors = model.state_dict()
    return hash_tensors({k: v for k, v in tensors.items() if not k.endswith(UNUSED_WEIGHT)})


def _numeric_config(config: Any) -> dict[str, Any]:
    """What the configuration changes of the forward pass, where it differs from the defaults.

    Names, versions, labels, losses and training settings are left out: they change no frame. What
    is not known to be one of those stays in: a needless second cache is better than a wrong one.
    """
    record = json.loads(config.to_json_string(use_diff=True))
    return {
        name: value
        for name, value in sorted(record.items())
        if not any(part in name for part in _NO_FORWARD)
    }
