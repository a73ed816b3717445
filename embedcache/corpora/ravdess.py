"""RAVDESS: 24 actors speak two statements with eight emotions in North American English.

File-name grammar, from the corpus's record (Zenodo 1188976): `MM-CC-EE-II-SS-RR-AA`, that is
modality (03 = audio only), vocal channel (01 speech, 02 song), emotion, intensity, statement,
repetition and actor (odd = man, even = woman). The songs are a corpus of their own, `ravdess_song`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, warn_of_missing
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = "Actor_01/03-01-01-01-01-01-01.wav and the like (24 actors, 60 spoken clips each)"
LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
LICENCE = "CC BY-NC-SA 4.0"
CITATION = (
    "S. R. Livingstone, F. A. Russo (2018), The Ryerson Audio-Visual Database of Emotional Speech "
    "and Song (RAVDESS), PLoS ONE 13(5): e0196391, doi 10.1371/journal.pone.0196391"
)
# Test actors of EmoBox's six folds (Z. Ma et al. 2024, arXiv 2406.07162).
OFFICIAL_FOLDS = (
    ("01", "11", "20", "21"),
    ("04", "10", "12", "14"),
    ("08", "09", "19", "23"),
    ("03", "05", "07", "24"),
    ("02", "15", "16", "18"),
    ("06", "13", "17", "22"),
)
# Ours: calm has no counterpart in most corpora, and is the closest to neutral.
LABEL_SETS = {
    "ravdess-7": {
        "version": 1,
        "classes": {
            "neutral": "neutral",
            "calm": "neutral",
            "happy": "happy",
            "sad": "sad",
            "angry": "angry",
            "fearful": "fearful",
            "disgust": "disgust",
            "surprised": "surprised",
        },
    },
    "ravdess-4": {
        "version": 1,
        "classes": {"neutral": "neutral", "happy": "happy", "sad": "sad", "angry": "angry"},
    },
}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
CLIPS = {f"{actor:02}": 60 for actor in range(1, 25)}
CHANNELS = {"01": "speech", "02": "song"}

EXAMPLE = Example(
    audio=("Actor_01/03-01-05-02-01-02-01.wav", "Actor_24/03-01-01-01-02-01-24.wav"),
    ignored=("Actor_01/03-02-05-02-01-02-01.wav", "Actor_01/notes.wav"),
    expected={
        "03-01-05-02-01-02-01": {
            "path": "Actor_01/03-01-05-02-01-02-01.wav",
            "speaker": "01",
            "gender": "male",
            "language": "en",
            "sentence": "01",
            "text": "Kids are talking by the door",
            "label": "angry",
            "extra": {"vocal_channel": "speech", "intensity": "strong", "repetition": "2"},
        },
        "03-01-01-01-02-01-24": {"speaker": "24", "gender": "female", "label": "neutral"},
    },
)

_NAME = re.compile(
    r"03-(?P<channel>0[12])-0(?P<emotion>[1-8])-0(?P<intensity>[12])-(?P<statement>0[12])"
    r"-0(?P<repetition>[12])-(?P<actor>0[1-9]|1\d|2[0-4])"
)


def parse(root: Path) -> list[Utterance]:
    """Every spoken clip under `root`, whatever the folders are called."""
    sung = "sung clips, which are the corpus ravdess_song"
    found = clips_by_name("ravdess", root, describe, {sung: lambda p: describe_clip(p, "song")})
    warn_of_missing("ravdess", (u.speaker for u in found), CLIPS)
    return found


def describe(path: Path) -> Utterance | None:
    """A spoken clip by its name."""
    return describe_clip(path, "speech")


def describe_clip(path: Path, channel: str) -> Utterance | None:
    """A clip by its name, if it is of the vocal channel `speech` or `song`."""
    match = _NAME.fullmatch(path.stem)
    if not match or CHANNELS[match["channel"]] != channel:
        return None
    return Utterance(
        id=path.stem,
        path=path,
        speaker=match["actor"],
        gender="female" if int(match["actor"]) % 2 == 0 else "male",
        language="en",
        sentence=match["statement"],
        text=STATEMENTS[match["statement"]],
        label=LABELS[int(match["emotion"]) - 1],
        extra={
            "vocal_channel": channel,
            "intensity": ("normal", "strong")[int(match["intensity"]) - 1],
            "repetition": match["repetition"],
        },
    )
