"""What heads see of each utterance: frames read, reduced, and standardised by speaker.

Letters: N utterances, V views, F folds, D dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from embedcache.allocator import release_freed_memory
from embedcache.errors import SerError, UsageError
from heads.data import FrameSet, load_frames, moments, reduced, speaker_scale
from heads.models import HeadModule, Reduction
from heads.train.candidates import Candidate
from heads.train.leakage import Source
from heads.train.memory import placed
from heads.train.prepare import Prepared
from heads.train.stack import Hiding


@dataclass(frozen=True, slots=True)
class Input:
    """What a head sees.

    Attributes:
        frames: Of the N utterances and V views, where and in which precision they are trained on.
        mean: [F, D], over each fold's training part.
        deviation: [F, D].
        whole: The frames before they were reduced.
        reduction: What reduced them; None where nothing did.
    """

    frames: FrameSet
    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    whole: FrameSet
    reduction: Reduction | None

    @property
    def hiding(self) -> Hiding | None:
        """What hides frames of them while training, where the head sees them reduced."""
        return Hiding(self.whole, self.reduction) if self.reduction else None


class Inputs:
    """The inputs of all heads of a command; the latest is kept for all that see the same."""

    def __init__(self, data: Prepared, standardise: str, device: str) -> None:
        self._data, self._standardise, self._device = data, standardise, device
        self._key: tuple[object, ...] | None = None
        self._latest: Input | None = None

    def key(self, module: HeadModule, candidate: Candidate) -> tuple[object, ...]:
        """Equal for what is equal to the eyes of a head."""
        deep = bool(getattr(module, "DEEP", False))
        reduction = find_reduction(module, candidate, self._data)
        return candidate.layers, reduction, candidate.training.precision, deep

    def find(self, module: HeadModule, candidate: Candidate, source: Source) -> Input:
        """What a head sees of a source.

        Raises:
            UsageError: A speaker is not known whose own statistics are asked for.
            SerError: The cache is damaged.
        """
        key = (id(source), *self.key(module, candidate))
        if self._latest is None or key != self._key:
            self._latest = None  # before another one takes its place in memory
            release_freed_memory()
            self._latest, self._key = self._make(module, candidate, source), key
        return self._latest

    def _make(self, module: HeadModule, candidate: Candidate, source: Source) -> Input:
        data = self._data
        everyone = [*data.utterances, *data.views]
        whole = load_frames(source.reader, everyone, candidate.layers)
        reduction = find_reduction(module, candidate, data)
        frames = reduced(whole, reduction) if reduction else whole
        if self._standardise == "speaker":
            frames = _by_speaker(frames, data)
        precision = "float32" if reduction else candidate.training.precision
        frames = placed(frames, precision, self._device, bool(getattr(module, "DEEP", False)))
        return Input(frames, *moments(frames, data.training()), whole, reduction)


def find_reduction(module: HeadModule, candidate: Candidate, data: Prepared) -> Reduction | None:
    """What a head makes of each utterance's frames before it is trained; None if nothing."""
    reducer = getattr(module, "reducer", None)
    return reducer(candidate.head, data.reader.meta.roles) if reducer else None


def find_vectors(
    module: HeadModule, candidate: Candidate, data: Prepared, standardise: str, source: Source
) -> npt.NDArray[np.float32]:
    """[N, D], the one vector of each utterance that a head without epochs sees of a source.

    Raises:
        UsageError: A speaker is not known whose own statistics are asked for, or the head leaves
            an utterance more than one frame.
        SerError: The cache is damaged, or a vector holds what is no number.
    """
    originals = replace(data, views=[])
    frames = load_frames(source.reader, data.utterances, candidate.layers)
    reduction = find_reduction(module, candidate, data)
    if reduction:
        frames = reduced(frames, reduction)
    if standardise == "speaker":
        frames = _by_speaker(frames, originals)
    if (frames.lengths != 1).any():
        raise UsageError(
            "a head without epochs is fitted to one vector of each utterance, and its reducer "
            f"leaves {frames.lengths.max()} frames of one; let it give [1, D']"
        )
    vectors = np.concatenate([frames.read(i) for i in range(len(frames.lengths))])
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if broken.size:
        raise SerError(
            f"the vector of utterance {data.utterances[broken[0]].id} holds NaN or infinity; run "
            "`ser cache verify`"
        )
    return vectors


def _by_speaker(frames: FrameSet, data: Prepared) -> FrameSet:
    """Frames, or what is made of them, standardised by each speaker's own."""
    speakers: Sequence[str | None] = [one.speaker for one in (*data.utterances, *data.views)]
    unknown = sum(speaker is None for speaker in speakers)
    if unknown:
        raise UsageError(
            f"--standardise speaker: {unknown} of {len(speakers)} utterances name no speaker; "
            "leave the option out"
        )
    return replace(frames, scale=speaker_scale(frames, speakers, len(data.utterances)))
