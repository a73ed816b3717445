"""TurEV-DB: six speakers say 82 Turkish words with four emotions.

Layout, from the corpus's repository (github.com/Xeonen/TurEV-DB) and EmoBox's list:
`Sound Source/Angry/1157_kz_beste.wav` is speaker, emotion in Turkish (kz, sk, mt, hl) and word. The
label is the folder's. Words are written without the letters that only Turkish has, so they are
codes of sentences and not texts.

A checkout also holds filtered copies of some clips under the same names, in folders such as
`testEmotions500HighPass`; they are left out. Who the speakers are, the repository does not say.
Clips per emotion are counted in EmoBox's list; its single fold shares speakers and is not taken
over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, warn_of_missing
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = "'Sound Source/Angry/1157_kz_beste.wav' and the like (6 speakers, 1735 clips)"
LABELS = ("angry", "calm", "happy", "sad")
LICENCE = "CC BY-NC-ND 4.0"
CITATION = (
    "S. F. Canpolat, Z. Ormanoğlu, D. Zeyrek (2020), Turkish Emotion Voice Database (TurEV-DB), "
    "SLTU-CCURL 2020, 368-375, aclanthology.org/2020.sltu-1.52"
)
CLIPS = {"angry": 487, "calm": 408, "happy": 357, "sad": 483}

EXAMPLE = Example(
    audio=("Sound Source/Angry/1157_kz_beste.wav", "Sound Source/Calm/6783_sk_igde.wav"),
    ignored=(
        "Model Output for Test Data/testEmotions500HighPass/sound/Angry/1157_kz_beste.wav",
        "Sound Source/Angry/kz_beste.wav",
        "Sound Source/1157_kz_beste.wav",
    ),
    expected={
        "1157_kz_beste": {
            "path": "Sound Source/Angry/1157_kz_beste.wav",
            "speaker": "1157",
            "language": "tr",
            "sentence": "beste",
            "label": "angry",
        },
        "6783_sk_igde": {"speaker": "6783", "sentence": "igde", "label": "calm"},
    },
)

_NAME = re.compile(r"(?P<speaker>\d{4})_[a-z]+_(?P<word>.+)")
_FILTERED = re.compile(r"testemotions.*", re.IGNORECASE)


def parse(root: Path) -> list[Utterance]:
    """Every unfiltered clip under `root` whose name and folder follow the grammar."""
    found = clips_by_name("turevdb", root, describe, {"filtered copies": _is_filtered})
    warn_of_missing("turevdb", (u.label for u in found), CLIPS)
    return found


def describe(path: Path) -> Utterance | None:
    """A clip by its name and the folder that names its emotion."""
    match = _NAME.fullmatch(path.stem.lower())
    label = path.parent.name.lower()
    if not match or label not in LABELS or _is_filtered(path):
        return None
    return Utterance(
        id=path.stem,
        path=path,
        speaker=match["speaker"],
        language="tr",
        sentence=match["word"],
        label=label,
    )


def _is_filtered(path: Path) -> bool:
    return any(map(_FILTERED.fullmatch, path.parts[-4:-1]))
