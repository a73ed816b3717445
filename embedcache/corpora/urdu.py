"""URDU-Dataset: 400 clips of Urdu talk shows with four emotions.

File-name grammar, from the names themselves: `S<gender><speaker>_F<file>_<emotion>0<number>`. The
speaker number counts within a gender, so gender and number together make the 29 speakers (18 men,
11 women); the number alone would merge seven men with seven women. The label is the name's; clips
in a folder of another emotion are named in a warning.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, first_names, warn_of_missing
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = "Angry/SM1_F1_A01.wav and the like (folders Angry, Happy, Neutral, Sad; 400 clips)"
LABELS = ("angry", "happy", "neutral", "sad")
LICENCE = "none stated; its README allows research only, and the clips come from talk shows"
CITATION = (
    "S. Latif, A. Qayyum, M. Usman, J. Qadir (2018), Cross Lingual Speech Emotion Recognition: "
    "Urdu vs. Western Languages, FIT 2018, arXiv 1812.10411"
)
CLIPS = dict.fromkeys(LABELS, 100)

EXAMPLE = Example(
    audio=("Angry/SM4_F2_A054.wav", "Happy/SF4_F1_H0100.wav"),
    ignored=("Happy/readme.wav",),
    expected={
        "SM4_F2_A054": {
            "path": "Angry/SM4_F2_A054.wav",
            "speaker": "M4",
            "gender": "male",
            "language": "ur",
            "label": "angry",
        },
        "SF4_F1_H0100": {"speaker": "F4", "gender": "female", "label": "happy"},
    },
)

_NAME = re.compile(r"S(?P<gender>[MF])(?P<speaker>\d+)_F\d+_(?P<emotion>[AHNS])0\d+", re.IGNORECASE)
_log = logging.getLogger(__name__)


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name follows the grammar."""
    found = clips_by_name("urdu", root, describe)
    astray = [
        u.path.relative_to(root).as_posix()
        for u in found
        if (folder := u.path.parent.name.lower()) in LABELS and folder != u.label
    ]
    if astray:
        _log.warning(
            "urdu: %d clips lie in the folder of another emotion than their names say; the names "
            "count: %s",
            len(astray),
            first_names(astray),
        )
    warn_of_missing("urdu", (u.label for u in found), CLIPS)
    return found


def describe(path: Path) -> Utterance | None:
    """A clip by its name."""
    match = _NAME.fullmatch(path.stem)
    if not match:
        return None
    gender = match["gender"].upper()
    return Utterance(
        id=path.stem,
        path=path,
        speaker=f"{gender}{int(match['speaker'])}",
        gender="female" if gender == "F" else "male",
        language="ur",
        label=next(x for x in LABELS if x[0] == match["emotion"].lower()),
    )
