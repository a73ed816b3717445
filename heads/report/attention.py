"""Attention over time of chosen clips of a run, with what there is to hear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedcache.audio.conditioning import Conditioning, condition
from embedcache.audio.decode import read_clip
from embedcache.encoders import load_encoder
from embedcache.errors import ClipError, SerError
from heads.attention import attend, choose_clips
from heads.plots.attention import AttentionPanel, plot_attention

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from matplotlib.figure import Figure

    from heads.attention import ClipAttention
    from heads.results import Run


def attention_picture(
    run: Run,
    ids: Sequence[str] = (),
    seed: int | None = None,
    most: int = 6,
    caches: Sequence[Path] = (),
) -> Figure:
    """Where a run's models look in clips that they were tested on.

    Args:
        run: A run of a head that pools by attention.
        ids: Clips; none for the surest right answers and the worst mistakes.
        seed: Of the models; None for the run's first.
        most: How many clips, where none are named.
        caches: Where the run's caches are now; none for where it says.

    Raises:
        UsageError: The head does not pool by attention, a clip was not tested, or the cache is not
            there.
        SerError: Files are damaged, or the model as built again predicts something else.
    """
    found = attend(run, ids or choose_clips(run, most, seed), seed, caches)
    parts = run.model.get("cache_parts", {}).get("conditioning", {})
    head = run.results["head"]["name"]
    return plot_attention(
        [_panel(clip, parts) for clip in found],
        f"{head}: weight of each moment in what is classified, by the model that has not seen the "
        "clip in training (dotted: an even weight)",
    )


def _panel(clip: ClipAttention, conditioning: dict[str, Any]) -> AttentionPanel:
    spectrogram, reason = log_mel(clip, conditioning)
    return AttentionPanel(
        told=_told(clip),
        weights=clip.weights,
        frame_hz=clip.frame_hz,
        spectrogram=spectrogram,
        reason=reason,
    )


def _told(clip: ClipAttention) -> str:
    """The clip's name, what it is and what it was taken for."""
    code = int(clip.predicted.argmax())
    name = clip.utterance.id
    if clip.truth is None:
        return name
    guess, share = clip.labels[code], f"{100 * clip.predicted[code]:.0f} %"
    if guess == clip.truth:
        return f"{name}\n{clip.truth}, recognised ({share})"
    return f"{name}\n{clip.truth}, taken for {guess} ({share})"


def log_mel(
    clip: ClipAttention, conditioning: dict[str, Any]
) -> tuple[npt.NDArray[np.float32] | None, str]:
    """The clip's log-mel spectrogram, of what the encoder heard, or why there is none.

    Args:
        clip: The clip.
        conditioning: What was done to the audio before it was encoded, as the cache's key has it.

    Shape:
        Output: [S, 80] at 50 Hz.
    """
    utterance = clip.utterance
    encoder = load_encoder("logmel", "last", "cpu", "float32")
    rate_hz = encoder.spec.rate_hz
    try:
        samples = read_clip(utterance.path, utterance.start_s, utterance.end_s, rate_hz)
        samples = condition(samples, rate_hz, Conditioning.from_key(conditioning))
    except ClipError as error:
        told = "the audio is not near" if not utterance.path.exists() else str(error)
        return None, told
    except SerError as error:  # a step that this version does not know, or an extra
        return None, str(error)
    if not encoder.spec.frame_count(len(samples)):
        return None, "the clip is shorter than 25 ms"
    frames = encoder.encode([encoder.prepare(samples)])[0]
    return np.asarray(frames[0], np.float32), ""
