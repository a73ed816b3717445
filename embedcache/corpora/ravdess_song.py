"""RAVDESS, the songs: 23 of the 24 actors sing two statements with six emotions.

File-name grammar as in `ravdess`, with 02 for the vocal channel. Actor 18 did not sing, and nobody
sang disgust or surprise (Zenodo 1188976).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, ravdess, warn_of_missing

if TYPE_CHECKING:
    from pathlib import Path

    from embedcache.utterance import Utterance

LAYOUT = "Actor_01/03-02-01-01-01-01-01.wav and the like (23 actors, 44 sung clips each)"
LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful")
SPEAKERS_OF = "ravdess"  # the actors of the speech
LICENCE = ravdess.LICENCE
CITATION = ravdess.CITATION
CLIPS = {f"{actor:02}": 44 for actor in range(1, 25) if actor != 18}

EXAMPLE = Example(
    audio=("Actor_01/03-02-05-02-01-02-01.wav", "Actor_24/03-02-01-01-02-01-24.wav"),
    ignored=("Actor_01/03-01-05-02-01-02-01.wav",),
    expected={
        "03-02-05-02-01-02-01": {
            "path": "Actor_01/03-02-05-02-01-02-01.wav",
            "speaker": "01",
            "gender": "male",
            "sentence": "01",
            "label": "angry",
            "extra": {"vocal_channel": "song", "intensity": "strong", "repetition": "2"},
        },
        "03-02-01-01-02-01-24": {"speaker": "24", "gender": "female", "label": "neutral"},
    },
)


def parse(root: Path) -> list[Utterance]:
    """Every sung clip under `root`, whatever the folders are called."""
    spoken = "spoken clips, which are the corpus ravdess"
    found = clips_by_name("ravdess_song", root, describe, {spoken: ravdess.describe})
    warn_of_missing("ravdess_song", (u.speaker for u in found), CLIPS)
    return found


def describe(path: Path) -> Utterance | None:
    """A sung clip by its name."""
    return ravdess.describe_clip(path, "song")
