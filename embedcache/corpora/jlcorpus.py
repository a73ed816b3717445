"""JL-Corpus: four speakers of New Zealand English with five primary and five secondary emotions.

File-name grammar, from the corpus's README (kaggle.com/tli725/jl-corpus, mirrored by DagsHub) and
EmoBox's list: `female1_angry_10a_1` is speaker, emotion, sentence and take. The README gives the
rule "(Gender)(speaker.ID)_(Emotion)_(Sentence.ID)(session.ID)" and does not say whether the letter
belongs to the sentence, so the sentence's code keeps it. The five primary emotions share their
sentences; each secondary emotion has its own, and its name stands before their codes.

The 240 clips of each emotion are counted in EmoBox's list; its folds are one speaker each.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, warn_of_missing
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = (
    "'Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/female1_angry_10a_1.wav' and the like "
    "(4 speakers, 2400 clips)"
)
_PRIMARY = ("angry", "sad", "neutral", "happy", "excited")
LABELS = (
    "angry",
    "sad",
    "neutral",
    "happy",
    "excited",
    "anxious",
    "apologetic",
    "assertive",
    "concerned",
    "encouraging",
)
LICENCE = "CC0 1.0"
CITATION = (
    "J. James, L. Tian, C. Watson (2018), An Open Source Emotional Speech Corpus for Human Robot "
    "Interaction Applications, Interspeech 2018"
)
# The primary emotions, which most work on the corpus uses.
LABEL_SETS = {
    "jl-5": {
        "version": 1,
        "classes": {
            "angry": "angry",
            "sad": "sad",
            "neutral": "neutral",
            "happy": "happy",
            "excited": "excited",
        },
    },
}
CLIPS = dict.fromkeys(LABELS, 240)

_FOLDER = "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)"
EXAMPLE = Example(
    audio=(f"{_FOLDER}/female1_angry_10a_1.wav", f"{_FOLDER}/male2_anxious_15b_2.wav"),
    ignored=(f"{_FOLDER}/male3_angry_10a_1.wav", f"{_FOLDER}/male1_bored_10a_1.wav"),
    expected={
        "female1_angry_10a_1": {
            "path": f"{_FOLDER}/female1_angry_10a_1.wav",
            "speaker": "female1",
            "gender": "female",
            "language": "en",
            "sentence": "10a",
            "label": "angry",
            "extra": {"emotion_group": "primary", "take": "1"},
        },
        "male2_anxious_15b_2": {
            "speaker": "male2",
            "gender": "male",
            "sentence": "anxious-15b",
            "label": "anxious",
            "extra": {"emotion_group": "secondary", "take": "2"},
        },
    },
)

_NAME = re.compile(
    r"(?P<speaker>(?P<gender>female|male)[12])_(?P<emotion>[a-z]+)_(?P<sentence>\d{1,2}[ab])_"
    r"(?P<take>[12])"
)


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name follows the grammar."""
    found = clips_by_name("jlcorpus", root, describe)
    warn_of_missing("jlcorpus", (u.label for u in found), CLIPS)
    return found


def describe(path: Path) -> Utterance | None:
    """A clip by its name."""
    match = _NAME.fullmatch(path.stem.lower())
    if not match or match["emotion"] not in LABELS:
        return None
    emotion, sentence = match["emotion"], match["sentence"]
    primary = emotion in _PRIMARY
    return Utterance(
        id=path.stem,
        path=path,
        speaker=match["speaker"],
        gender=match["gender"],
        language="en",
        sentence=sentence if primary else f"{emotion}-{sentence}",
        label=emotion,
        extra={"emotion_group": "primary" if primary else "secondary", "take": match["take"]},
    )
