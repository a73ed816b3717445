"""Hugging Face speech encoders: wav2vec2, hubert, wavlm and their kin, wav2vec2-bert, Whisper.

From a hub id, a local folder, or `random:<preset>`, which is the real architecture with seeded
random weights: for tests, benchmarks and offline demonstrations, never for results.

Letters: B clips, T frames, D dimension, L layers.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from embedcache.encoders import Encoder, EncoderSpec, Samples, parse_layers, refuse_tf32
from embedcache.encoders._checkpoints import Checkpoint, load_checkpoint
from embedcache.encoders._fingerprint import numeric_config, weights_hash
from embedcache.encoders._layers import WantedLayers, depth, ends_with_its_last_block
from embedcache.encoders._mel_models import PaddedMels, StackedMels
from embedcache.encoders._padding import Padding
from embedcache.encoders._tunable import Input, Tunable
from embedcache.encoders._waveform_models import Waveforms
from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

IDS = {
    "random:wav2vec2-tiny": "wav2vec2 with 2 blocks of width 64, untrained: for demonstrations",
    "random:wav2vec2-base": "wav2vec2-base, untrained: for tests and benchmarks",
    "random:wav2vec2-large": "wav2vec2-large, untrained: for tests and benchmarks",
    "random:wav2vec2-large-lv60": "wav2vec2-large-lv60, untrained: for tests and benchmarks",
    "random:wav2vec2-large-xlsr-53": "wav2vec2-large-xlsr-53, untrained: for tests and benchmarks",
    "random:wav2vec2-xls-r-300m": "wav2vec2-xls-r-300m, untrained: for tests and benchmarks",
    "random:wav2vec2-xls-r-1b": "wav2vec2-xls-r-1b, untrained: for tests and benchmarks",
    "random:wav2vec2-conformer-large": "wav2vec2-conformer-rel-pos-large, untrained: for tests "
    "and benchmarks",
    "random:wav2vec2-conformer-rope-large": "wav2vec2-conformer-rope-large, untrained: for tests "
    "and benchmarks",
    "random:wav2vec2-bert": "w2v-bert-2.0, untrained: for tests and benchmarks",
    "random:hubert-base": "hubert-base, untrained: for tests and benchmarks",
    "random:hubert-large": "hubert-large, untrained: for tests and benchmarks",
    "random:hubert-xlarge": "hubert-xlarge, untrained: for tests and benchmarks",
    "random:wavlm-base": "wavlm-base, untrained: for tests and benchmarks",
    "random:wavlm-large": "wavlm-large, untrained: for tests and benchmarks",
    "random:unispeech-sat-base": "unispeech-sat-base, untrained: for tests and benchmarks",
    "random:unispeech-sat-large": "unispeech-sat-large, untrained: for tests and benchmarks",
    "random:data2vec-audio-base": "data2vec-audio-base, untrained: for tests and benchmarks",
    "random:data2vec-audio-large": "data2vec-audio-large, untrained: for tests and benchmarks",
    "random:whisper-tiny": "whisper-tiny's encoder, untrained: for tests and benchmarks",
    "random:whisper-base": "whisper-base's encoder, untrained: for tests and benchmarks",
    "random:whisper-small": "whisper-small's encoder, untrained: for tests and benchmarks",
    "random:whisper-medium": "whisper-medium's encoder, untrained: for tests and benchmarks",
    "random:whisper-large": "whisper-large-v2's encoder, untrained: for tests and benchmarks",
    "random:whisper-large-v3": "whisper-large-v3's encoder, untrained: for tests and benchmarks",
    "folder:PATH": "a local folder written by save_pretrained; its path alone will do",
    "hub:ORG/NAME": "a Hugging Face hub id such as facebook/wav2vec2-base; it alone will do",
}

_DTYPES = ("float32", "bfloat16", "float16")
_PROBE_SECONDS = 0.25


def load(encoder_id: str, layers: str, device: str, dtype: str) -> Encoder:
    """An encoder from a preset, a folder or the hub; frames come from its transformer blocks."""
    dtype = _compute_dtype(device, dtype)
    return _Transformer(encoder_id, load_checkpoint(encoder_id), layers, device, dtype)


def load_tunable(encoder_id: str, device: str, dtype: str) -> Tunable:
    """An encoder whose weights are to be trained further."""
    dtype = _compute_dtype(device, dtype)
    source = load_checkpoint(encoder_id)
    model = source.model.eval().requires_grad_(False).to(device)
    heard = _input(encoder_id, source, device)
    weights = weights_hash(model)
    padding = Padding(model)
    probe = heard.prepare(np.zeros(round(_PROBE_SECONDS * heard.rate_hz), np.float32))
    given = {name: tensor.to(device) for name, tensor in heard.arguments([probe]).items()}
    bare = ends_with_its_last_block(model, given)
    names = (str(depth(model)) if bare else "last",)
    spec = _spec(encoder_id, source, heard, weights, names, names[0], dtype)
    return Tunable(source, heard, padding, spec, device, norm_behind=not bare)


def _compute_dtype(device: str, dtype: str) -> str:
    """What products are computed in; nothing rounds them further, and nothing needless is told."""
    if dtype not in ("auto", *_DTYPES):
        raise UsageError(f"--dtype {dtype}: give auto, {', '.join(_DTYPES)}")
    refuse_tf32()
    # WavLM's own attention passes a float bias and a boolean mask, which torch deprecates.
    warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)
    if dtype == "auto":
        return "float32" if device == "cpu" else "bfloat16"
    return dtype


class _Transformer:
    def __init__(
        self, encoder_id: str, source: Checkpoint, layers: str, device: str, dtype: str
    ) -> None:
        import torch

        model = source.model.eval().requires_grad_(False)
        self._device = torch.device(device)
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._input = _input(encoder_id, source, device)
        weights = weights_hash(model)
        self._padding = Padding(model)
        _cast(model, self._device, self._dtype)
        probe = self.prepare(np.zeros(round(_PROBE_SECONDS * self._input.rate_hz), np.float32))
        bare = ends_with_its_last_block(model, self._arguments([probe]))
        last = str(depth(model)) if bare else "last"
        names = parse_layers(layers, depth(model), last)
        self._layers = WantedLayers(model, names)
        self.spec = _spec(encoder_id, source, self._input, weights, names, last, dtype)

    def prepare(self, clip: Samples) -> Samples:
        """A whole clip as the checkpoint's feature extractor scales it."""
        return self._input.prepare(clip)

    def encode(self, clips: Sequence[Samples]) -> list[torch.Tensor]:
        """Frames of each clip at the wanted layers, where the model is: [L, T, D]."""
        import torch

        lengths = [len(clip) for clip in clips]
        counts = [self.spec.frame_count(length) for length in lengths]
        with torch.inference_mode(), self._padding.of(lengths, counts, self._device):
            hidden = self._layers.run(self._arguments(clips))
            stacked = torch.stack([hidden.pop(name) for name in self.spec.layers])  # [L, B, T, D]
        return [stacked[:, i, :count] for i, count in enumerate(counts)]

    def _arguments(self, clips: Sequence[Samples]) -> dict[str, Any]:
        """The model's arguments on its device: what is counted stays whole, the rest is cast."""
        given = self._input.arguments(clips)
        return {
            name: tensor.to(self._device, non_blocking=True).to(
                self._dtype if tensor.is_floating_point() else tensor.dtype
            )
            for name, tensor in given.items()
        }


def _spec(
    encoder_id: str,
    source: Checkpoint,
    heard: Input,
    weights: str,
    layers: tuple[str, ...],
    last: str,
    dtype: str,
) -> EncoderSpec:
    return EncoderSpec(
        id=encoder_id,
        family="huggingface",
        config=numeric_config(source.model.config) | heard.settings,
        weights=weights,
        trained=source.trained,
        rate_hz=heard.rate_hz,
        hop=heard.hop,
        receptive=heard.receptive,
        longest=heard.longest,
        padded_to=heard.padded_to,
        dim=source.model.config.hidden_size,
        layers=layers,
        last=last,
        dtype=dtype,
        pads=True,
    )


def _input(encoder_id: str, source: Checkpoint, device: str) -> Input:
    """What stands between samples and the model."""
    config = source.model.config
    if config.model_type == "wav2vec2-bert":
        return StackedMels(config, source.extractor, encoder_id, device)
    if config.model_type == "whisper":
        return PaddedMels(config, source.extractor, encoder_id, device)
    return Waveforms(config, source.extractor, device)


def _cast(model: Any, device: Any, dtype: Any) -> None:
    """Move a model, with what must be exact worked out in float32 before it is rounded.

    The library divides the positional convolution's weights by their norm at every call, and takes
    angles of positions in the dtype of their frequencies, in which bfloat16 cannot count past 256.
    """
    from torch.nn.utils import parametrize

    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    exact = {m: m.inv_freq for m in model.modules() if hasattr(m, "inv_freq")}
    model.to(device, dtype)
    for module, frequencies in exact.items():
        module.inv_freq = frequencies.to(device)
