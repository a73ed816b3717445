"""SAVEE: four men speak 120 sentences each with seven emotions in British English.

File-name grammar, from the corpus's own AudioData/Info.txt: letters for the emotion (a, d, f, h, n,
sa, su) and the number of the sentence, in a folder for each speaker (`DC/a01.wav`); copies put the
speaker before it (`DC_a01.wav`, so in EmoBox's list). There are 15 sentences per emotion, and 30
neutral ones.

The sentence's code is emotion and number. By the corpus's web page three of the 15 are the same for
all emotions, and the neutral ones repeat two of each emotion; which, the names do not tell, so that
sentences with different codes may be the same. The men were 27 to 31 years old.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, warn_of_missing
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = "AudioData/DC/a01.wav or DC_a01.wav and the like (speakers DC, JE, JK, KL; 480 clips)"
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
LICENCE = "University of Surrey: for research, on registration"
CITATION = (
    "S. Haq, P. J. B. Jackson (2009), Speaker-dependent audio-visual emotion recognition, AVSP 2009"
)
# Test speakers of EmoBox's four folds (Z. Ma et al. 2024, arXiv 2406.07162).
OFFICIAL_FOLDS = (("JE",), ("KL",), ("DC",), ("JK",))
EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fear",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprise",
}
CLIPS = dict.fromkeys(("DC", "JE", "JK", "KL"), 120)

EXAMPLE = Example(
    audio=("AudioData/DC/a01.wav", "AudioData/KL/su15.wav", "ALL/JE_n30.wav"),
    ignored=("AudioData/DC/a16.wav", "AudioData/XY/d03.wav", "ALL/JK_n31.wav", "ALL/XY_d03.wav"),
    expected={
        "a01": {
            "path": "AudioData/DC/a01.wav",
            "speaker": "DC",
            "gender": "male",
            "language": "en",
            "sentence": "a01",
            "label": "angry",
        },
        "su15": {"speaker": "KL", "sentence": "su15", "label": "surprise"},
        "JE_n30": {"speaker": "JE", "sentence": "n30", "label": "neutral"},
    },
)

_NAME = re.compile(
    r"(?:(?P<speaker>[a-z]{2})_)?(?P<emotion>sa|su|[adfhn])(?P<number>\d\d)", re.IGNORECASE
)


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name, or folder and name, follow the grammar."""
    found = clips_by_name("savee", root, describe)
    warn_of_missing("savee", (u.speaker for u in found), CLIPS)
    return found


def describe(path: Path) -> Utterance | None:
    """A clip by its name and, where the name does not tell the speaker, its folder."""
    match = _NAME.fullmatch(path.stem)
    if not match:
        return None
    speaker = (match["speaker"] or path.parent.name).upper()
    emotion = match["emotion"].lower()
    sentences = 30 if emotion == "n" else 15
    if speaker not in CLIPS or not 1 <= int(match["number"]) <= sentences:
        return None
    return Utterance(
        id=path.stem,
        path=path,
        speaker=speaker,
        gender="male",
        language="en",
        sentence=f"{emotion}{match['number']}",
        label=EMOTIONS[emotion],
    )
