"""What is asked of an extraction, and the corpus, encoder and cache that it means."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from embedcache.atomic import remove_stale
from embedcache.audio.augmentation import view_seconds
from embedcache.audio.conditioning import (
    Conditioning,
    check_conditioning,
    conditioned_seconds,
    describe,
)
from embedcache.audio.decode import DECODING
from embedcache.corpora import read_corpus
from embedcache.encode import Clip
from embedcache.encoders import load_encoder
from embedcache.errors import FormatError, SerError, UsageError, disk_errors
from embedcache.seen import (
    Seen,
    encoders_of,
    is_silent,
    seen_by_cache,
    seen_by_checkpoint,
    write_cache_record,
)
from embedcache.store import cache as store
from embedcache.store.contents import Content, Key, identify
from embedcache.store.key import KeyParts, cache_key
from embedcache.store.quantise import DTYPE as QUANTISED
from embedcache.store.quantise import LIMIT_BYTES
from embedcache.store.shard import complete_checksums
from embedcache.store.tombstones import finish_burials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.encoders import Encoder, EncoderSpec
    from embedcache.utterance import Utterance

STORE_DTYPES = ("float16", "float32", QUANTISED)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractConfig:
    """What to extract, with which encoder, to where.

    Attributes:
        corpus: `PLUGIN` or `PLUGIN:NAME`.
        root: Where the corpus lies.
        encoder: Encoder id.
        layers: `last`, `all`, or numbers such as `0,6,12`.
        cache_dir: Folder of all caches.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        dtype: Compute dtype, or `auto`.
        store_dtype: `float16`, `float32` or `int8`.
        shard_mb: The most megabytes of frames that a shard should hold.
        max_seconds: Longest stretch of audio that is encoded at once.
        conditioning: What is done to clips between decoding and encoding.
        views: Augmented views to encode beside the originals, such as `speed=0.9`.
        limit: Only so many of the corpus's first utterances; 0 is all.
        engine: How shards are mapped onto workers.
        worker: This worker's number (from 0) and the number of workers that share the work.
    """

    corpus: str
    root: Path
    encoder: str = "lld"
    layers: str = "last"
    cache_dir: Path = Path("cache")
    device: str = "auto"
    dtype: str = "auto"
    store_dtype: str = "float16"
    shard_mb: float = 64.0
    max_seconds: float = 60.0
    conditioning: Conditioning = field(default_factory=Conditioning)
    views: tuple[str, ...] = ()
    limit: int = 0
    engine: str = "local"
    worker: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        if self.store_dtype not in STORE_DTYPES:
            raise UsageError(
                f"--store-dtype {self.store_dtype}: give {', '.join(STORE_DTYPES[:-1])} or "
                f"{STORE_DTYPES[-1]}"
            )
        for name in ("shard_mb", "max_seconds"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise UsageError(f"--{name.replace('_', '-')} {value:g}: give a number above 0")
        if self.limit < 0:
            raise UsageError(f"--limit {self.limit}: give 1 or more, or leave it out for all")
        number, count = self.worker
        if not 0 <= number < count:
            raise UsageError(
                f"--worker {number}/{count}: give I/N with I from 0 to N-1, such as 0/4"
            )


def parse_worker(text: str) -> tuple[int, int]:
    """`I/N` as two numbers.

    Raises:
        UsageError: It is written otherwise.
    """
    number, slash, count = text.partition("/")
    if not (slash and number.isdigit() and count.isdigit()):
        raise UsageError(f"--worker {text}: give I/N, such as 0/4")
    return int(number), int(count)


def per_encoder(config: ExtractConfig) -> list[ExtractConfig]:
    """The request as it is, or one for each fold where the encoder is a folder of checkpoints.

    Raises:
        UsageError: The checkpoint of a fold is missing.
    """
    return [replace(config, encoder=one) for one in encoders_of(config.encoder)]


def requested_utterances(
    config: ExtractConfig, generate: bool
) -> tuple[list[Utterance], list[Utterance]]:
    """All utterances of the corpus, and those that are asked for; no views.

    Args:
        config: The request.
        generate: Whether a corpus that can be generated is written to a root that is not there.
    """
    corpus = read_corpus(config.corpus, config.root, generate)
    return corpus, corpus[: config.limit or None]


def load_requested(config: ExtractConfig) -> Encoder:
    """Load the encoder on the device; say so where it is untrained.

    Raises:
        UsageError: There is no such encoder or device, or the conditioning cannot be done for it.
    """
    device = resolve_device(config.device)
    encoder = load_encoder(config.encoder, config.layers, device, config.dtype)
    check_conditioning(config.conditioning, encoder.spec.rate_hz)
    _log.info("%s computes in %s on %s", config.encoder, encoder.spec.dtype, device)
    if encoder.spec.trained is False:
        _log.info("%s is untrained: its frames serve tests, not results", config.encoder)
    return encoder


def resolve_device(device: str) -> str:
    """`auto` becomes a GPU where there is one; a GPU that is not there is an error."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    name, colon, number = device.partition(":")
    if device != "cpu" and (name != "cuda" or (colon and not number.isdigit())):
        raise UsageError(f"--device {device}: give auto, cpu, cuda or a GPU's number as in cuda:1")
    count = torch.cuda.device_count()
    if name == "cuda" and int(number or 0) >= count:
        raise UsageError(f"--device {device}: torch sees {count} GPUs here; give --device cpu")
    return device


def key_parts(spec: EncoderSpec, config: ExtractConfig) -> KeyParts:
    """What the cache's numbers will depend on."""
    return KeyParts(
        family=spec.family,
        config=spec.config,
        weights=spec.weights,
        layers=spec.layers,
        compute_dtype=spec.dtype,
        conditioning={**DECODING, **describe(config.conditioning)},
        max_seconds=float(config.max_seconds),
        rate_hz=spec.rate_hz,
        store_dtype=config.store_dtype,
    )


def find_serving(config: ExtractConfig, parts: KeyParts) -> tuple[Path, store.Meta] | None:
    """The cache that serves a request: the very one, else one with more layers."""
    serving = []
    for folder in store.list_caches(config.cache_dir, config.corpus):
        try:
            meta = store.read_meta(folder)
        except SerError as error:
            if isinstance(error, FormatError) and folder == new_folder(config, parts):
                raise  # it would be written over
            _log.warning("%s", error)
            continue
        if meta.parts.covers(parts):
            serving.append((meta.layers != parts.layers, folder, meta))
    return min(serving, key=lambda found: found[:2])[1:] if serving else None


def find_or_create(config: ExtractConfig, spec: EncoderSpec) -> tuple[Path, store.Meta]:
    """The cache that serves a request; a new one is described on disk before it is filled."""
    parts = key_parts(spec, config)
    seen = seen_by_checkpoint(config.encoder)
    silent = seen is None and spec.trained is not False and is_silent(config.encoder)
    _tell_unknown(config, seen, silent)
    found = find_serving(config, parts)
    for place in _places(found[0] if found else new_folder(config, parts)):
        with disk_errors(place):
            remove_stale(place)
    if found:
        folder, meta = found
        if meta.layers != parts.layers:
            held = ", ".join(meta.layers)
            _log.info("reusing %s, which holds layers %s", folder, held)
        if meta.versions != _circumstances(config):
            _log.warning(
                "%s was begun with %s: new frames may differ in their last bits",
                folder,
                ", ".join(f"{name} {v}" for name, v in meta.versions.items()),
            )
        with store.locked(folder):  # no shard goes meanwhile
            finish_burials(folder)
            complete_checksums(folder, meta.key)
            meta = _rejoined(folder, config, spec, seen)
        return folder, meta
    folder, key = new_folder(config, parts), cache_key(parts)
    meta = store.Meta(
        corpus=config.corpus,
        key=key,
        parts=parts,
        encoder_id=config.encoder,
        trained=spec.trained,
        dim=spec.dim,
        frame_hz=spec.frame_hz,
        last=spec.last,
        versions=_circumstances(config),
        roles=spec.roles,
        recorded=bool(seen or silent),
    )
    if seen or silent:  # before the cache is one: it never is without it
        folder.mkdir(parents=True, exist_ok=True)
        write_cache_record(folder, seen)
    store.write_meta(folder, meta)
    return folder, meta


def _tell_unknown(config: ExtractConfig, seen: Seen | None, silent: bool) -> None:
    """Warn of what is not known of an encoder, and of clips that it was not tuned for."""
    if silent or (seen and not seen.complete):
        _log.warning(
            "%s does not tell what it was trained on, as checkpoints of `ser finetune` do: whether "
            "it has heard the speakers or clips that a head will be tested on cannot be checked",
            config.encoder,
        )
    if seen and seen.conditioning not in (None, describe(config.conditioning)):
        told = "--" + " --".join(seen.conditioning) if seen.conditioning else "no conditioning"
        _log.warning(
            "%s was fine-tuned on clips with %s, and is given others", config.encoder, told
        )


def _rejoined(
    folder: Path, config: ExtractConfig, spec: EncoderSpec, seen: Seen | None
) -> store.Meta:
    """The description of a cache that serves again, with what has become known since.

    In one of an earlier version roles are missing, which are the encoder's. The same weights may
    have another name now, or be known to have seen more.
    """
    meta = store.read_meta(folder)
    if seen:
        known, _ = seen_by_cache(folder, meta.encoder_id)  # what is missing is written again
        write_cache_record(folder, known | seen if known else seen)
    names = meta.names
    if config.encoder not in (meta.encoder_id, *names):
        names = (*names, config.encoder)
    wanted = replace(
        meta, roles=spec.roles, names=names, recorded=meta.recorded or seen is not None
    )
    if wanted != meta:
        store.write_meta(folder, wanted)
    return wanted


def identify_contents(
    utterances: Sequence[Utterance], config: ExtractConfig, remember: bool = True
) -> tuple[dict[Key, Content], dict[Key, str]]:
    """Contents by the utterance's key, and why the files of others cannot be read."""
    memory = store.hash_memory(config.cache_dir, config.corpus)
    with progress_bar(len(utterances), "hashing") as bar:
        return identify(utterances, memory, bar.update, remember)


def clip_of(content: Content, config: ExtractConfig) -> Clip:
    """A content as something to encode."""
    seconds = view_seconds(content.seconds, content.utterance.view)
    seconds = conditioned_seconds(seconds, config.conditioning)
    return Clip(content.utterance, seconds, seed=int(content.id, 16))


def frames_bytes(clip: Clip, spec: EncoderSpec, parts: KeyParts) -> int:
    """Expected bytes of a clip's frames in the cache; unknown durations count as long ones."""
    frames = spec.frame_count(round((clip.seconds or parts.max_seconds) * spec.rate_hz))
    channel = frames * np.dtype(parts.store_dtype).itemsize
    if parts.store_dtype == QUANTISED and frames:
        channel += LIMIT_BYTES
    return channel * len(parts.layers) * spec.dim


def progress_bar(total: int, what: str) -> tqdm[Any]:
    """A progress bar on stderr, shown on a terminal for what takes over two seconds."""
    return tqdm(total=total, desc=what, unit="clip", delay=2, disable=None, leave=False)


def new_folder(config: ExtractConfig, parts: KeyParts) -> Path:
    """The cache that a request makes where none serves it."""
    return store.cache_folder(config.cache_dir, config.corpus, config.encoder, cache_key(parts))


def _places(folder: Path) -> tuple[Path, ...]:
    """Where an extraction writes, and a killed one may have left something."""
    return folder.parent, folder, folder / "plans", folder / "shards"


def _circumstances(config: ExtractConfig) -> dict[str, str]:
    """What may change the last bits of frames although it is no part of the key."""
    import soundfile
    import torch

    names: tuple[str, ...] = (
        "ser-embedcache",
        "torch",
        "torchaudio",
        "transformers",
        "numpy",
        "scipy",
        "h5py",
    )
    if config.conditioning.denoise:
        names = (*names, "noisereduce")
    if config.conditioning.normalise == "lufs":
        names = (*names, "pyloudnorm")
    return {
        **{name: _version(name) for name in names},
        "libsndfile": soundfile.__libsndfile_version__,
        "device": resolve_device(config.device),
        "threads": str(torch.get_num_threads()),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
