"""RAVDESS: 24 actors speak two statements with eight emotions in North American English.

File-name grammar, from the corpus's record (Zenodo 1188976): `MM-CC-EE-II-SS-RR-AA`, that is
modality (03 = audio only), vocal channel (01 speech, 02 song), emotion, intensity, statement,
repetition and actor (odd = man, even = woman). Only spoken audio is read.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING

from embedcache.corpora import Example, audio_files, clip_ids
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
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
ACTORS = tuple(f"{actor:02}" for actor in range(1, 25))
CLIPS_PER_ACTOR = 60

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
            "extra": {"intensity": "strong", "repetition": "2"},
        },
        "03-01-01-01-02-01-24": {"speaker": "24", "gender": "female", "label": "neutral"},
    },
)

_NAME = re.compile(
    r"03-01-0(?P<emotion>[1-8])-0(?P<intensity>[12])-(?P<statement>0[12])"
    r"-0(?P<repetition>[12])-(?P<actor>0[1-9]|1\d|2[0-4])"
)
_log = logging.getLogger(__name__)


def parse(root: Path) -> list[Utterance]:
    """Every spoken clip under `root`, whatever the folders are called."""
    paths = [path for path in audio_files(root) if _NAME.fullmatch(path.stem)]
    found = []
    for name, path in zip(clip_ids(paths, root), paths, strict=True):
        match = _NAME.fullmatch(path.stem)
        assert match
        found.append(
            Utterance(
                id=name,
                path=path,
                speaker=match["actor"],
                gender="female" if int(match["actor"]) % 2 == 0 else "male",
                language="en",
                sentence=match["statement"],
                text=STATEMENTS[match["statement"]],
                label=LABELS[int(match["emotion"]) - 1],
                extra={
                    "intensity": ("normal", "strong")[int(match["intensity"]) - 1],
                    "repetition": match["repetition"],
                },
            )
        )
    _report_missing(found)
    return found


def _report_missing(found: list[Utterance]) -> None:
    clips = Counter(u.speaker for u in found)
    short = [actor for actor in ACTORS if clips[actor] < CLIPS_PER_ACTOR]
    if found and short:
        _log.warning(
            "ravdess: %d of %d spoken clips found; incomplete: actor %s",
            len(found),
            len(ACTORS) * CLIPS_PER_ACTOR,
            ", ".join(short),
        )
