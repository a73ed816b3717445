"""Listen to a corpus without encoding it: durations, rates, the same audio twice, what is unusable.

Each clip is decoded as an extraction would decode it, so what fails here would be skipped there.
"""

from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xxhash

from embedcache.audio.decode import probe, read_native
from embedcache.errors import ClipError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from embedcache.utterance import Utterance


# What one frame of wav2vec2 and its kin sees, and one of our spectral encoders: 25 ms.
FRAME_SAMPLES, FRAME_RATE_HZ = 400, 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What became of one utterance.

    Attributes:
        utterance: As its corpus lists it.
        seconds: Duration of the clip; 0 where it cannot be used.
        rate_hz: Sample rate of its file; 0 where it cannot be used.
        channels: Of its file; 0 where it cannot be used.
        audio: Hash of its samples and rate: equal where the audio is equal, however it is stored.
        fault: Why it cannot be used; empty where it can.
    """

    utterance: Utterance
    seconds: float = 0.0
    rate_hz: int = 0
    channels: int = 0
    audio: str = ""
    fault: str = ""


def listen(utterances: Sequence[Utterance], tick: Callable[[], object]) -> list[Heard]:
    """Decode every clip, on all cores.

    Args:
        utterances: Of a corpus.
        tick: Called once per utterance.
    """

    def one(utterance: Utterance) -> Heard:
        heard = _listen(utterance)
        tick()
        return heard

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, utterances))


def same_audio(heard: Sequence[Heard]) -> list[list[Utterance]]:
    """Groups of utterances whose audio is the same, sample for sample; each of two or more."""
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for clip in heard:
        if not clip.fault:
            groups[clip.audio].append(clip.utterance)
    return [group for group in groups.values() if len(group) > 1]


def _listen(utterance: Utterance) -> Heard:
    try:
        samples, rate_hz = read_native(utterance.path, utterance.start_s, utterance.end_s)
        info = probe(utterance.path)
    except ClipError as error:
        return Heard(utterance=utterance, fault=str(error))
    except OSError as error:
        return Heard(utterance=utterance, fault=f"cannot be read ({error.strerror or error})")
    # As the resampler counts, which rounds up.
    if -(-len(samples) * FRAME_RATE_HZ // rate_hz) < FRAME_SAMPLES:
        return Heard(
            utterance=utterance,
            fault=f"its {1000 * len(samples) / rate_hz:.3g} ms are shorter than 25 ms: no encoder "
            "has a frame for it",
        )
    digest = xxhash.xxh3_128(samples.tobytes())
    digest.update(str(rate_hz).encode())
    return Heard(
        utterance=utterance,
        seconds=len(samples) / rate_hz,
        rate_hz=rate_hz,
        channels=info.channels if info else 1,
        audio=digest.hexdigest(),
    )
