"""What tells one model's frames from another's: its weights and the settings that reach them."""

from __future__ import annotations

import json
from typing import Any

from embedcache.encoders._weights import hash_tensors

# Only training uses this vector, and many checkpoints lack it.
UNUSED_WEIGHT = "masked_spec_embed"

# Parts of the names of configuration fields that do not reach the frames.
_NO_FORWARD = (
    *("_name_or_path", "transformers_version", "architectures", "dtype", "drop", "mask_", "label"),
    *("ctc_", "codevector", "contrastive", "diversity", "negatives", "quantizer", "token_id"),
    *("classifier", "tdnn", "xvector", "initializer_range", "spec_augment", "finetuning", "vocab"),
    *("gradient_checkpointing", "problem_type", "weighted_layer_sum", "adapter", "tokenizer"),
    # Whisper's decoder, which is not loaded.
    *("decoder", "max_target", "suppress", "median_filter", "use_cache", "max_length", "tie_word"),
)


def weights_hash(model: Any) -> str:
    """Hash of a model's weights.

    The vector that stands for masked frames is left out: only training uses it, and checkpoints
    that lack it get a random one.
    """
    tensors = model.state_dict().items()
    return hash_tensors({name: t for name, t in tensors if not name.endswith(UNUSED_WEIGHT)})


def numeric_config(config: Any) -> dict[str, Any]:
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
