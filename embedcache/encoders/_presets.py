"""Published architectures by name, for `random:<preset>`.

Each is the library's model type and the settings that differ from that type's defaults, as the
checkpoints' configurations state them. The defaults are those of the base models.
"""

from __future__ import annotations

from typing import Any

_LARGE_BLOCKS: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
# Layer norm in every convolution and before each half of a block, and one more after the last.
_STABLE: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
_LARGE: dict[str, Any] = {**_LARGE_BLOCKS, **_STABLE, "conv_bias": True}
_XLARGE: dict[str, Any] = {
    **_LARGE,
    "hidden_size": 1280,
    "num_hidden_layers": 48,
    "intermediate_size": 5120,
}
_CONFORMER: dict[str, Any] = {
    **_LARGE_BLOCKS,
    "hidden_act": "swish",
    "feat_extract_norm": "layer",
    "conv_bias": True,
}
_TINY: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embedding_groups": 4,
}


def _whisper(width: int, blocks: int, mels: int = 80) -> tuple[str, dict[str, Any]]:
    """Whisper's encoder: heads of 64 and a feed-forward part four times as wide, at every size."""
    return "whisper", {
        "d_model": width,
        "encoder_layers": blocks,
        "encoder_attention_heads": width // 64,
        "encoder_ffn_dim": 4 * width,
        "num_mel_bins": mels,
    }


PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2-tiny": ("wav2vec2", _TINY),
    "wav2vec2-base": ("wav2vec2", {}),
    "wav2vec2-large": ("wav2vec2", _LARGE_BLOCKS),
    "wav2vec2-large-lv60": ("wav2vec2", _LARGE),
    "wav2vec2-large-xlsr-53": ("wav2vec2", _LARGE),
    "wav2vec2-xls-r-300m": ("wav2vec2", _LARGE),
    "wav2vec2-xls-r-1b": ("wav2vec2", _XLARGE),
    "wav2vec2-conformer-large": (
        "wav2vec2-conformer",
        {**_CONFORMER, "position_embeddings_type": "relative"},
    ),
    "wav2vec2-conformer-rope-large": (
        "wav2vec2-conformer",
        {**_CONFORMER, "position_embeddings_type": "rotary"},
    ),
    "wav2vec2-bert": ("wav2vec2-bert", {}),
    "hubert-base": ("hubert", {}),
    "hubert-large": ("hubert", _LARGE),
    "hubert-xlarge": ("hubert", _XLARGE),
    "wavlm-base": ("wavlm", {}),
    "wavlm-large": ("wavlm", {**_LARGE_BLOCKS, **_STABLE}),
    "unispeech-sat-base": ("unispeech-sat", {}),
    "unispeech-sat-large": ("unispeech-sat", {**_LARGE_BLOCKS, **_STABLE}),
    "data2vec-audio-base": ("data2vec-audio", {}),
    "data2vec-audio-large": ("data2vec-audio", _LARGE_BLOCKS),
    "whisper-tiny": _whisper(384, 4),
    "whisper-base": _whisper(512, 6),
    "whisper-small": _whisper(768, 12),
    "whisper-medium": _whisper(1024, 24),
    "whisper-large": _whisper(1280, 32),
    "whisper-large-v3": _whisper(1280, 32, mels=128),
}
