"""BAVED: seven Arabic words spoken with little, normal or much emotion.

File-name grammar, from the README of the corpus's repository (40uf411 on GitHub, see the citation):
`100-f-6-0-2-2` is speaker, sex, age, word (0 to 6, which is also the folder), level of emotion and
record. Labels are levels and not emotions: 0 is low, as if tired; 1 is the everyday, neutral way; 2
is high, positive or negative.

The README speaks of 1935 records by 61 speakers. The repository holds fewer files, so a count is
not checked. By `speakers_info.json`, 100 is a girl of six as 39 is, and 102 a woman of 40 as 41 and
56 are: they may be the same people, and `ser corpora check` finds recordings that are the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = "0/100-f-6-0-2-2.wav and the like (folders 0 to 6, one per word; 61 speakers)"
LABELS = ("low", "normal", "high")
LICENCE = "none stated in its repository"
CITATION = (
    "Basic Arabic Vocal Emotions Dataset (BAVED), "
    "github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset"
)
WORDS = ("اعجبني", "لم يعجبني", "هذا", "الفيلم", "رائع", "مقول", "سيئ")

EXAMPLE = Example(
    audio=("0/100-f-6-0-2-2.wav", "6/4-m-20-6-0-139.wav"),
    ignored=("0/100-f-6-7-2-2.wav", "0/100-f-6-0-3-2.wav", "0/100-x-6-0-2-2.wav", "0/100-f-6.wav"),
    expected={
        "100-f-6-0-2-2": {
            "path": "0/100-f-6-0-2-2.wav",
            "speaker": "100",
            "gender": "female",
            "age": 6.0,
            "language": "ar",
            "sentence": "0",
            "text": "اعجبني",
            "label": "high",
            "extra": {"record": "2"},
        },
        "4-m-20-6-0-139": {"speaker": "4", "gender": "male", "sentence": "6", "label": "low"},
    },
)

_NAME = re.compile(
    r"(?P<speaker>\d+)-(?P<gender>[mf])-(?P<age>\d+)-(?P<word>[0-6])-(?P<level>[0-2])-(?P<record>\d+)",
    re.IGNORECASE,
)


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name follows the grammar."""
    return clips_by_name("baved", root, describe)


def describe(path: Path) -> Utterance | None:
    """A clip by its name."""
    match = _NAME.fullmatch(path.stem)
    if not match:
        return None
    return Utterance(
        id=path.stem,
        path=path,
        speaker=match["speaker"],
        gender="female" if match["gender"].lower() == "f" else "male",
        age=float(match["age"]),
        language="ar",
        sentence=match["word"],
        text=WORDS[int(match["word"])],
        label=LABELS[int(match["level"])],
        extra={"record": match["record"]},
    )
