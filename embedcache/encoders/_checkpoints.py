"""Where Hugging Face encoders come from: seeded presets, local folders, the hub."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedcache.errors import SerError, UsageError, unknown_name

# Settings that differ from the library's defaults, which are those of the base models.
_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
_TINY = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embedding_groups": 4,
}
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2-tiny": ("wav2vec2", _TINY),
    "wav2vec2-base": ("wav2vec2", {}),
    "wav2vec2-large-lv60": ("wav2vec2", _LARGE),
    "hubert-base": ("hubert", {}),
    "hubert-large": ("hubert", {**_LARGE, "conv_bias": True}),
    "wavlm-base": ("wavlm", {}),
    "wavlm-large": ("wavlm", {**_LARGE, "conv_bias": False}),
}

MODEL_TYPES = frozenset(
    {"wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat", "data2vec-audio"}
    | {"wav2vec2-conformer"}
)
# Only training uses this vector, and many checkpoints lack it.
UNUSED_WEIGHT = "masked_spec_embed"

_HUB_TIMEOUT_S = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model with its weights, before it is made ready."""

    model: Any
    trained: bool
    rate_hz: int
    normalise: bool


def load_checkpoint(encoder_id: str) -> Checkpoint:
    """A model by `random:<preset>`, a folder's path, or a hub id.

    Raises:
        UsageError: There is no such preset, folder or model.
        SerError: Its files are damaged, or the hub cannot be reached.
    """
    prefix, _, rest = encoder_id.partition(":")
    if prefix == "random":
        return _random(rest)
    name = rest if prefix in ("folder", "hub") else encoder_id
    folder = Path(name).expanduser()
    if prefix != "hub" and folder.is_dir():
        return _pretrained(str(folder), encoder_id)
    if prefix == "folder":
        raise UsageError(f"--encoder {encoder_id}: there is no such folder")
    _require_local_or_reachable(name)
    return _pretrained(name, encoder_id)


def _random(preset: str) -> Checkpoint:
    import torch
    from transformers import AutoConfig, AutoModel

    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    model_type, settings = PRESETS[preset]
    config = AutoConfig.for_model(model_type, **settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModel.from_config(config)
    return Checkpoint(model, trained=False, rate_hz=16_000, normalise=True)


def _pretrained(name: str, encoder_id: str) -> Checkpoint:
    import torch
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(name)
        if config.model_type not in MODEL_TYPES:
            raise UsageError(
                f"--encoder {encoder_id} is a {config.model_type} model; "
                f"frames can be had from {', '.join(sorted(MODEL_TYPES))}"
            )
        model, info = AutoModel.from_pretrained(name, output_loading_info=True, dtype=torch.float32)
        rate_hz, normalise = _hearing(name, config)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SerError(f"--encoder {encoder_id} cannot be loaded: {reason}") from error
    lacking = sorted(k for k in info["missing_keys"] if not k.endswith(UNUSED_WEIGHT))
    if lacking:
        raise SerError(
            f"--encoder {encoder_id} lacks {len(lacking)} of its weights (first {lacking[0]}), "
            "which would be random: the checkpoint does not fit its config.json"
        )
    return Checkpoint(model, True, rate_hz, normalise)


def _hearing(name: str, config: Any) -> tuple[int, bool]:
    """Sample rate, and whether clips are normalised, as the checkpoint's preprocessor says."""
    from transformers import AutoFeatureExtractor

    try:
        extractor = AutoFeatureExtractor.from_pretrained(name)
    except OSError:
        normalise = config.feat_extract_norm == "layer"
        _log.warning(
            "%s has no preprocessor_config.json: taken as 16,000 Hz, clips %s, as is usual for its "
            "kind",
            name,
            "normalised" if normalise else "as they are",
        )
        return 16_000, normalise
    return int(extractor.sampling_rate), bool(extractor.do_normalize)


def _require_local_or_reachable(name: str) -> None:
    """Fail at once where a hub id is not in the local hub cache and the hub does not give it."""
    from huggingface_hub import constants, model_info, try_to_load_from_cache
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
    )

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
        if constants.HF_HUB_OFFLINE:
            raise ConnectionError("HF_HUB_OFFLINE is set")
        model_info(name, timeout=_HUB_TIMEOUT_S)
    except HFValidationError as error:
        raise UsageError(f"--encoder {name} is no hub id; give one like ORG/NAME") from error
    except GatedRepoError as error:
        raise UsageError(
            f"--encoder {name} is gated: accept its terms on the hub, log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise UsageError(f"--encoder {name}: the Hugging Face hub has no such model") from error
    except HfHubHTTPError as error:
        reason = " ".join(str(error).split())[:200]
        raise SerError(f"--encoder {name}: the Hugging Face hub answers: {reason}") from error
    except Exception as error:  # whatever the HTTP library calls a connection that fails
        presets = ", ".join(f"random:{preset}" for preset in PRESETS)
        raise SerError(
            f"--encoder {name} is not in the local Hugging Face cache and the hub cannot be "
            "reached; offline there are logmel, mfcc, a local folder written by save_pretrained, "
            f"and untrained: {presets}"
        ) from error
