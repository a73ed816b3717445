"""Small models of every Hugging Face family, with random weights, and the library's own frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from tests.material import noise

# Around every edge of the grids (400 + 320 n samples, 560 + 320 n for wav2vec2-bert, 320 n for
# Whisper), odd ones, and one clip much longer than the others.
LENGTHS = (400, 401, 560, 561, 719, 720, 721, 879, 5_003, 5_121, 16_000, 23_457)
CLIPS = [noise(n / 16_000, n) * (1 + n % 3) + 0.01 for n in LENGTHS]
DEPTH = 3

_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_CONVOLUTIONS = {"conv_dim": (16,) * 7, "num_conv_pos_embedding_groups": 4}
_MELS = {"feature_projection_input_dim": 40}
_WHISPER = {
    "d_model": 32,
    "encoder_layers": DEPTH,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 64,
    "vocab_size": 40,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "begin_suppress_tokens": None,
    "num_mel_bins": 20,
    "max_source_positions": 100,  # 2 s
}


@dataclass(frozen=True)
class Tiny:
    """A small model: its type in the library, and the settings that make it a variant."""

    model_type: str
    settings: dict[str, Any] = field(default_factory=dict)


def _norms(model_type: str) -> dict[str, Tiny]:
    """The base models, the stable large ones, and what lies between."""
    return {
        f"{model_type}, {name}": Tiny(
            model_type, {"feat_extract_norm": norm, "do_stable_layer_norm": stable}
        )
        for name, norm, stable in (
            ("base", "group", False),
            ("stable", "layer", True),
            ("layer norm", "layer", False),
        )
    }


TINY: dict[str, Tiny] = {
    **_norms("wav2vec2"),
    "wav2vec2, language adapters": Tiny(
        "wav2vec2",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "adapter_attn_dim": 8},
    ),
    **_norms("hubert"),
    "hubert, batch norm": Tiny("hubert", {"conv_pos_batch_norm": True}),
    **_norms("wavlm"),
    **_norms("unispeech"),
    **_norms("unispeech-sat"),
    "data2vec-audio": Tiny("data2vec-audio"),
    **{
        f"wav2vec2-conformer, {position}, {norm}": Tiny(
            "wav2vec2-conformer",
            {
                "position_embeddings_type": position,
                "feat_extract_norm": norm,
                "hidden_act": "swish",
                "conv_depthwise_kernel_size": 7,
            },
        )
        for position in ("relative", "rotary", None)
        for norm in ("layer", "group")
    },
    **{
        f"wav2vec2-bert, {position}": Tiny(
            "wav2vec2-bert",
            {"position_embeddings_type": position, "conv_depthwise_kernel_size": 7},
        )
        for position in ("relative_key", "relative", "rotary", None)
    },
    "whisper": Tiny("whisper"),
}


def config_of(tiny: Tiny) -> Any:
    if tiny.model_type == "whisper":
        return AutoConfig.for_model("whisper", **{**_WHISPER, **tiny.settings})
    front = _MELS if tiny.model_type == "wav2vec2-bert" else _CONVOLUTIONS
    return AutoConfig.for_model(tiny.model_type, **{**_SMALL, **front, **tiny.settings})


def extractor_of(config: Any, do_normalize: bool = True) -> Any:
    if config.model_type == "whisper":
        seconds = config.max_source_positions // 50
        return WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=seconds)
    if config.model_type == "wav2vec2-bert":
        mels = config.feature_projection_input_dim // 2
        return SeamlessM4TFeatureExtractor(feature_size=mels, num_mel_bins=mels)
    return Wav2Vec2FeatureExtractor(do_normalize=do_normalize)


def save(
    folder: Path,
    tiny: Tiny | str,
    do_normalize: bool = True,
    build: Callable[[Any], Any] = AutoModel.from_config,
    **settings: Any,
) -> Any:
    """Write a small model as any tool would, and give it back.

    Args:
        folder: Where to.
        tiny: A variant, or the type of a model without further settings.
        do_normalize: Whether its clips are normalised.
        build: Makes the model of its configuration.
        settings: Further settings.
    """
    if isinstance(tiny, str):
        tiny = Tiny(tiny)
    config = config_of(Tiny(tiny.model_type, {**tiny.settings, **settings}))
    torch.manual_seed(1)
    model = build(config).eval()
    with torch.no_grad():  # the library starts norms and biases at 1 and 0, which would hide much
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if ("norm" in name and tensor.is_floating_point()) or name.endswith("conv.bias"):
                tensor.add_(0.3 * torch.rand_like(tensor))
    model.save_pretrained(folder)
    extractor_of(config, do_normalize).save_pretrained(folder)
    return model


def reference(model: Any, extractor: Any, clip: np.ndarray, layers: tuple[str, ...]) -> np.ndarray:
    """The library's hidden states of one clip alone, those that its mask marks: [L, T, D]."""
    given = extractor(clip, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    kept: list[torch.Tensor] = []
    whisper = model.config.model_type == "whisper"
    encoder = model.get_encoder() if whisper else model
    blocks = encoder.layers if whisper else encoder.encoder.layers
    hook = blocks[-1].register_forward_hook(lambda module, args, output: kept.append(output))
    with torch.no_grad():
        output = encoder(**given, output_hidden_states=True)
    hook.remove()
    states = {str(k): state for k, state in enumerate(output.hidden_states)}
    # Whisper's list of hidden states ends with the last one, behind the norm.
    states[str(len(blocks))] = kept[0][0] if isinstance(kept[0], tuple) else kept[0]
    states["last"] = output.last_hidden_state
    count = output.last_hidden_state.shape[1]
    if whisper:
        count = -(-len(clip) // 320)
    if "attention_mask" in given:
        count = int(given["attention_mask"].sum())
    return np.stack([states[name][0, :count].numpy() for name in layers])


def largest_difference(mine: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference in any layer, relative to that layer's largest value."""
    scale = np.abs(theirs).max(axis=(1, 2))
    return float((np.abs(mine - theirs).max(axis=(1, 2)) / scale).max())
