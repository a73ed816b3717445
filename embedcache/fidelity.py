"""Fidelity: how near the stored frames are to the encoder's own, in float32, clip by clip.

A few utterances are encoded again, each alone, in float32, and compared with what was stored. The
figure tells what half precision, batches and the storage dtype have cost, on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedcache.batches import EncodeConfig
from embedcache.encode import encode_clips
from embedcache.encoders import load_encoder
from embedcache.errors import ClipError
from embedcache.request import clip_of, resolve_device
from embedcache.store.contents import unchanged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from embedcache.encoders import Encoder
    from embedcache.request import ExtractConfig
    from embedcache.store.contents import Content
    from embedcache.store.reader import CacheReader

CLIPS = 4
_LONG_S, _LONGEST_S = 20.0, 600.0  # shorter ones are preferred; longer ones are never taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How far stored frames are from float32 frames of the same clips, each encoded alone.

    Attributes:
        rows: Rows that the cache held when it was measured.
        clips: Number of clips that were compared.
        rms: Root mean square of the differences over that of the frames, over all clips and layers.
        worst: The largest difference in a clip and layer over the largest frame value there.
    """

    rows: int
    clips: int
    rms: float
    worst: float


def measure_fidelity(
    reader: CacheReader,
    contents: Mapping[str, Content],
    rows: int,
    encoder: Encoder,
    config: ExtractConfig,
) -> Fidelity | None:
    """Compare a few stored clips with float32 frames; None where there is nothing to compare.

    Which clips follows from the contents alone, so an interrupted extraction ends with the figure
    of an undisturbed one.

    Args:
        reader: The cache.
        contents: By id, those that can be read now.
        rows: That the cache holds.
        encoder: That the cache was made with; another one is loaded where it is no float32 one.
        config: The request.
    """
    chosen = _choose([u.id for u in reader.utterances], reader, contents)
    if not chosen:
        return None
    layers = ",".join(reader.meta.layers)
    if encoder.spec.dtype != "float32" or encoder.spec.layers != reader.meta.layers:
        device = resolve_device(config.device)
        encoder = load_encoder(config.encoder, layers, device, "float32")
    alone = EncodeConfig(config.max_seconds, conditioning=config.conditioning)
    clips = [clip_of(content, config) for _, content in chosen]
    worst, squares, energy, compared = 0.0, 0.0, 0.0, 0
    for position, found in encode_clips(encoder, clips, alone):
        name, content = chosen[position]
        if isinstance(found, ClipError) or not _still_there(content):
            continue  # the extraction has said what it could of it
        compared += 1
        for layer, one in enumerate(found):
            frames = one.astype(np.float64)
            difference = reader.frames(name, layer) - frames
            worst = max(worst, float(np.abs(difference).max() / max(np.abs(frames).max(), 1e-30)))
            squares += float(np.square(difference).sum())
            energy += float(np.square(frames).sum())
    if not energy:
        return None
    return Fidelity(rows=rows, clips=compared, rms=(squares / energy) ** 0.5, worst=worst)


def _still_there(content: Content) -> bool:
    """Whether a content's file is the one that was encoded."""
    try:
        return unchanged(content)
    except OSError:
        return False


def _choose(
    ids: Sequence[str], reader: CacheReader, contents: Mapping[str, Content]
) -> list[tuple[str, Content]]:
    """A few originals of moderate length, evenly spread in the order of their contents' hashes."""
    by_content = {reader.content_id(name): name for name in reversed(ids)}
    known = sorted(c for c in by_content if c in contents and contents[c].seconds <= _LONGEST_S)
    short = [c for c in known if contents[c].seconds <= _LONG_S]
    short = short or sorted(known, key=lambda c: (contents[c].seconds, c))[:CLIPS]
    if not short:
        return []
    places = np.unique(np.linspace(0, len(short) - 1, CLIPS).round().astype(int)).tolist()
    return [(by_content[short[i]], contents[short[i]]) for i in places]
