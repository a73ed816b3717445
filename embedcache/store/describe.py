"""Caches in words, for `ser cache ls` and `ser cache info`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from embedcache.errors import SerError
from embedcache.seen import seen_by_cache
from embedcache.store.cache import Meta, list_caches, read_meta, read_skipped
from embedcache.store.inventory import take_inventory
from embedcache.store.reader import CacheReader

if TYPE_CHECKING:
    from pathlib import Path


def describe_all(cache_dir: Path) -> str:
    """A line per cache: its folder, utterances, size, state."""
    lines = [_line(folder) for folder in list_caches(cache_dir)]
    return "\n".join(lines) if lines else f"no cache in {cache_dir}; make one with `ser extract`"


def describe(folder: Path) -> str:
    """What made a cache and what it holds.

    Raises:
        UsageError: There is no cache in this folder.
        SerError: It is damaged.
    """
    reader = CacheReader(folder)
    meta, state = reader.meta, take_inventory(folder)
    frames = sum(reader.frame_count(u.id) for u in reader.utterances)
    views = Counter(utterance.view for utterance in reader.views)
    reasons = Counter(skip.reason for skip in read_skipped(folder))
    weights = {None: "no weights", True: "trained", False: "untrained"}[meta.trained]
    facts = {
        "corpus": meta.corpus,
        "encoder": f"{meta.encoder_id} ({weights}), {meta.dim} values at {meta.frame_hz:g} Hz",
        "trained on": _trained_on(folder, meta),
        "layers": f"{', '.join(meta.layers)} (last is {meta.last})",
        "computed in": f"{meta.parts.compute_dtype}, stored in {meta.parts.store_dtype}",
        "audio": " + ".join(meta.conditioning_steps) or "as it is",
        "utterances": f"{len(reader.utterances)} of "
        f"{len(reader.utterances) + len(reader.missing)} listed, {frames / meta.frame_hz:.0f} s",
        "views": ", ".join(f"{v} ({n})" for v, n in views.items()) or "none",
        "contents": f"{len(state.rows)} in {len(list(folder.glob('shards/*.h5')))} shards, "
        f"{_megabytes(folder)}",
        "to come": f"{sum(len(shard.rows) for shard in state.pending)} contents",
        "fidelity": _fidelity(meta),
        "key": meta.key,
        "made with": ", ".join(f"{name} {version}" for name, version in meta.versions.items()),
    }
    lines = [f"{name:<12}{value}" for name, value in facts.items()]
    lines += [f"{'skipped':<12}{count}: {reason}" for reason, count in reasons.most_common()]
    return "\n".join(lines)


def _trained_on(folder: Path, meta: Meta) -> str:
    """What the encoder has seen, as far as it is known."""
    seen, silent = seen_by_cache(folder, meta.encoder_id, meta.recorded)
    if seen is None:
        return "not known: its folder does not tell" if silent else "nothing that is known of"
    if not seen.corpora:
        return "nothing beyond what it began with"
    told = ", ".join(seen.corpora)
    if seen.speakers or seen.contents:
        told += f": {len(seen.speakers)} speakers, {len(seen.contents)} recordings"
    if seen.fold:
        told += f"; all but the test part of fold {seen.fold.fold} of {seen.fold.count}"
    return f"{told} ({seen.fold.protocol})" if seen.fold else f"{told} ({seen.source})"


def _fidelity(meta: Meta) -> str:
    if not meta.fidelity:
        return "not measured yet"
    return (
        f"{meta.fidelity['rms']:.1e} off float32 (root mean square, relative), at most "
        f"{meta.fidelity['worst']:.1e}, in {meta.fidelity['clips']} clips"
    )


def _line(folder: Path) -> str:
    try:
        meta, state = read_meta(folder), take_inventory(folder)
    except SerError as error:
        return f"{folder}  damaged: {error}"
    coming = sum(len(shard.rows) for shard in state.pending)
    mark = ", untrained" if meta.trained is False else ""
    mark += "".join(f", {step}" for step in meta.conditioning_steps)
    rest = f", {coming} to come" if coming else ""
    return (
        f"{folder}  {meta.encoder_id}{mark}, layers {','.join(meta.layers)}, "
        f"{len(state.rows)} contents{rest}, {_megabytes(folder)}"
    )


def _megabytes(folder: Path) -> str:
    return f"{sum(p.stat().st_size for p in folder.rglob('*') if p.is_file()) / 1e6:.1f} MB"
