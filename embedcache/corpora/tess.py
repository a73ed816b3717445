"""TESS: two women, 26 and 64 years old, speak 200 words with seven emotions in English.

File-name grammar, from the corpus's record (doi 10.5683/SP2/E8H2MF), which describes each file:
`OAF_back_angry` is the older talker, the word "back" in "Say the word back", and the emotion; `YAF`
is the younger one; `ps` is pleasant surprise, here called surprise. EmoBox's list has the same
names, 1400 of each woman; its single fold shares the speakers and is not taken over.

Quirks: one file of the older talker is called `OA_bite_neutral` in many copies. Copies come with
folders (`OAF_angry`, `OAF_Pleasant_surprise`) or without; only the name counts. OAF_food_fear has a
sample rate of 96 kHz, the others 24,414 Hz. Readers that know only the header of a WAV file fail on
YAF_germ_angry and YAF_neat_fear; ours goes by what a file holds, such as AIFF, not by its name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, warn_of_missing
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = "OAF_back_angry.wav and the like, in any folders (talkers OAF and YAF, 1400 clips each)"
LABELS = ("angry", "disgust", "fear", "happy", "surprise", "sad", "neutral")
LICENCE = "CC BY-NC 4.0, as published copies state; see its record, doi 10.5683/SP2/E8H2MF"
CITATION = (
    "M. K. Pichora-Fuller, K. Dupuis (2020), Toronto emotional speech set (TESS), Scholars Portal "
    "Dataverse, doi 10.5683/SP2/E8H2MF"
)
AGES = {"OAF": 64, "YAF": 26}
EMOTIONS = {
    "angry": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happy",
    "ps": "surprise",
    "sad": "sad",
    "neutral": "neutral",
}
CLIPS = dict.fromkeys(AGES, 1400)

EXAMPLE = Example(
    audio=(
        "OAF_Pleasant_surprise/OAF_back_ps.wav",
        "OAF_neutral/OA_bite_neutral.wav",
        "YAF_youth_sad.wav",
    ),
    ignored=("XAF_back_sad.wav", "OAF_back_calm.wav", "OAF_angry/back.wav"),
    expected={
        "OAF_back_ps": {
            "path": "OAF_Pleasant_surprise/OAF_back_ps.wav",
            "speaker": "OAF",
            "gender": "female",
            "age": 64,
            "language": "en",
            "sentence": "back",
            "text": "Say the word back",
            "label": "surprise",
        },
        "OA_bite_neutral": {"speaker": "OAF", "sentence": "bite", "label": "neutral"},
        "YAF_youth_sad": {"speaker": "YAF", "age": 26, "label": "sad"},
    },
)

_NAME = re.compile(
    rf"(?P<speaker>OAF?|YAF)_(?P<word>[a-z]+)_(?P<emotion>{'|'.join(EMOTIONS)})", re.IGNORECASE
)


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name follows the grammar."""
    found = clips_by_name("tess", root, describe)
    warn_of_missing("tess", (u.speaker for u in found), CLIPS)
    return found


def describe(path: Path) -> Utterance | None:
    """A clip by its name."""
    match = _NAME.fullmatch(path.stem)
    if not match:
        return None
    speaker = "YAF" if match["speaker"].upper() == "YAF" else "OAF"
    word = match["word"].lower()
    return Utterance(
        id=path.stem,
        path=path,
        speaker=speaker,
        gender="female",
        age=AGES[speaker],
        language="en",
        sentence=word,
        text=f"Say the word {word}",
        label=EMOTIONS[match["emotion"].lower()],
    )
