"""Where Hugging Face encoders come from: seeded presets, local folders, the hub."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from embedcache.encoders._fingerprint import UNUSED_WEIGHT
from embedcache.encoders._presets import PRESETS
from embedcache.errors import SerError, UsageError, unknown_name

MODEL_TYPES = frozenset(
    {"wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat", "data2vec-audio"}
    | {"wav2vec2-conformer", "wav2vec2-bert", "whisper"}
)

_HUB_TIMEOUT_S = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model with its weights, before it is made ready.

    Attributes:
        model: The part of it that gives frames.
        whole: What that is a part of, as the library saves it; mostly the same.
        extractor: The library's feature extractor, with the checkpoint's settings.
        trained: Whether the weights were trained.
    """

    model: Any
    whole: Any
    extractor: Any
    trained: bool


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
    from transformers import AutoConfig

    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    model_type, settings = PRESETS[preset]
    config = AutoConfig.for_model(model_type, **settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _loader(config).from_config(config)
    extractor = _usual_extractor(config, normalise=True)
    return Checkpoint(_frames_part(model), model, extractor, trained=False)


def _pretrained(name: str, encoder_id: str) -> Checkpoint:
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    # The library would ask a bot on the hub, in the background, to convert old checkpoints.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    config = _config(name, encoder_id)
    # Many checkpoints lack the vector that stands for hidden frames, and are given a random one.
    with _told(encoder_id), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, info = _loader(config).from_pretrained(
            name,
            config=config,
            output_loading_info=True,
            dtype=torch.float32,
            weights_only=True,
            trust_remote_code=False,
        )
    part = "encoder." if config.model_type == "whisper" else ""
    needed = [k for k in info["missing_keys"] if k.startswith(part)]
    lacking = sorted(k for k in needed if not k.endswith(UNUSED_WEIGHT))
    if lacking:
        raise SerError(
            f"--encoder {encoder_id} lacks {len(lacking)} of its weights (first {lacking[0]}), "
            "which would be random: the checkpoint does not fit its config.json"
        )
    extractor = _extractor(name, encoder_id, config)
    return Checkpoint(_frames_part(model), model, extractor, trained=True)


def _config(name: str, encoder_id: str) -> Any:
    from transformers import AutoConfig

    with _told(encoder_id):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    if config.model_type not in MODEL_TYPES:
        raise UsageError(
            f"--encoder {encoder_id} is a {config.model_type} model; "
            f"frames can be had from {', '.join(sorted(MODEL_TYPES))}"
        )
    # Some checkpoints ask for every layer and every attention map at once: gigabytes for nothing.
    config.output_hidden_states = config.output_attentions = False
    config.return_dict = True
    return config


def _loader(config: Any) -> Any:
    """The library's class that holds the frames' part and as little else as may be."""
    from transformers import AutoModel, AutoModelForAudioClassification

    # AutoModel would load Whisper's decoder too, which is larger than its encoder.
    return AutoModelForAudioClassification if config.model_type == "whisper" else AutoModel


def _frames_part(model: Any) -> Any:
    """The model as far as its last block: no classifier, and nothing that changes the rate."""
    if model.config.model_type == "whisper":
        return model.encoder
    model.adapter = model.intermediate_ffn = None
    return model


def _extractor(name: str, encoder_id: str, config: Any) -> Any:
    """The checkpoint's feature extractor: sample rate, normalisation, mel bands."""
    from transformers import AutoFeatureExtractor

    normalise = getattr(config, "feat_extract_norm", "layer") == "layer"
    usual = _usual_extractor(config, normalise)
    try:
        with _told(encoder_id):
            found = AutoFeatureExtractor.from_pretrained(name, trust_remote_code=False)
    except SerError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        waveforms = hasattr(usual, "do_normalize")
        _log.warning(
            "%s has no preprocessor_config.json: taken as 16,000 Hz%s, as is usual for its kind",
            name,
            f", clips {'normalised' if normalise else 'as they are'}" if waveforms else "",
        )
        return usual
    if not isinstance(found, type(usual)):
        raise SerError(
            f"--encoder {encoder_id}: its preprocessor_config.json asks for a "
            f"{type(found).__name__}, but {config.model_type} models hear through a "
            f"{type(usual).__name__}"
        )
    return found


def _usual_extractor(config: Any, normalise: bool) -> Any:
    """What models of this type hear through, with the published checkpoints' settings."""
    from transformers import (
        SeamlessM4TFeatureExtractor,
        Wav2Vec2FeatureExtractor,
        WhisperFeatureExtractor,
    )

    if config.model_type == "whisper":
        return WhisperFeatureExtractor(feature_size=config.num_mel_bins)
    if config.model_type == "wav2vec2-bert":
        mels = config.feature_projection_input_dim // 2
        return SeamlessM4TFeatureExtractor(feature_size=mels, num_mel_bins=mels)
    return Wav2Vec2FeatureExtractor(do_normalize=normalise)


@contextmanager
def _told(encoder_id: str) -> Iterator[None]:
    """Say in one sentence why the library cannot read a checkpoint.

    Any exception is caught: a stranger's damaged file shows itself in whatever way its reader
    breaks, be it a KeyError.
    """
    try:
        yield
    except UnpicklingError as error:
        raise SerError(
            f"--encoder {encoder_id}: its pytorch_model.bin is damaged or holds more than tensors, "
            "and such a file could run code; convert it to safetensors where it is trusted"
        ) from error
    except Exception as error:
        reason = " ".join(f"{error}".split())[:300] or type(error).__name__
        if isinstance(error, LookupError):
            reason = f"{type(error).__name__} {reason}"
        raise SerError(f"--encoder {encoder_id} cannot be loaded: {reason}") from error


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
            "reached; offline there are lld, logmel, mfcc, a local folder written by "
            f"save_pretrained, and untrained: {presets}"
        ) from error
