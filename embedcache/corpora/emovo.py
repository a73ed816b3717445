"""EMOVO: six Italian actors speak 14 sentences with seven emotions.

File-name grammar, from the corpus's document "La struttura di EMOVO", as public readers of it cite
it, and from EmoBox's list: `dis-f1-b1` is the emotion (dis, gio, pau, rab, sor, tri, neu: Italian
words), the actor (f women, m men) and the sentence. The same document gives the sentences; EmoBox's
reader of the corpus gives the actors' ages. Every actor speaks every sentence once with every
emotion, 588 clips, most of them in stereo.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, warn_of_missing
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = "f1/dis-f1-b1.wav and the like (actors f1, f2, f3, m1, m2, m3; 98 clips each)"
LABELS = ("disgust", "happy", "fear", "angry", "surprise", "sad", "neutral")
LICENCE = "none stated; free to download, for research"
CITATION = (
    "G. Costantini, I. Iaderola, A. Paoloni, M. Todisco (2014), EMOVO Corpus: an Italian Emotional "
    "Speech Database, LREC 2014"
)
# Test actors of EmoBox's six folds (Z. Ma et al. 2024, arXiv 2406.07162).
OFFICIAL_FOLDS = (("f2",), ("m3",), ("m2",), ("f3",), ("f1",), ("m1",))
AGES = {"f1": 28, "f2": 23, "f3": 25, "m1": 30, "m2": 27, "m3": 30}
EMOTIONS = {
    "dis": "disgust",
    "gio": "happy",
    "pau": "fear",
    "rab": "angry",
    "sor": "surprise",
    "tri": "sad",
    "neu": "neutral",
}
SENTENCES = {
    "b1": "Gli operai si alzano presto.",
    "b2": "I vigili sono muniti di pistola.",
    "b3": "La cascata fa molto rumore.",
    "l1": "L'autunno prossimo Tony partirà per la Spagna nella prima metà di ottobre.",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata.",
    "l3": "Un attimo dopo s'è incamminato... ed è inciampato.",
    "l4": "Vorrei il numero telefonico del Signor Piatti.",
    "n1": "La casa forte vuole col pane.",
    "n2": "La forza trova il passo e l'aglio rosso.",
    "n3": "Il gatto sta scorrendo nella pera.",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello.",
    "n5": "Uno quarantatré dieci mille cinquantasette venti.",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
}
CLIPS = dict.fromkeys(AGES, 98)

EXAMPLE = Example(
    audio=("EMOVO/f1/dis-f1-b1.wav", "EMOVO/m2/rab-m2-d2.wav"),
    ignored=("EMOVO/f1/dis-f4-b1.wav", "EMOVO/f1/dis-f1-b4.wav", "EMOVO/f1/cal-f1-b1.wav"),
    expected={
        "dis-f1-b1": {
            "path": "EMOVO/f1/dis-f1-b1.wav",
            "speaker": "f1",
            "gender": "female",
            "age": 28,
            "language": "it",
            "sentence": "b1",
            "text": "Gli operai si alzano presto.",
            "label": "disgust",
        },
        "rab-m2-d2": {"speaker": "m2", "gender": "male", "age": 27, "label": "angry"},
    },
)

_NAME = re.compile(r"(?P<emotion>[a-z]{3})-(?P<speaker>[fm]\d)-(?P<sentence>[a-z]\d)")


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name follows the grammar."""
    found = clips_by_name("emovo", root, describe)
    warn_of_missing("emovo", (u.speaker for u in found), CLIPS)
    return found


def describe(path: Path) -> Utterance | None:
    """A clip by its name."""
    match = _NAME.fullmatch(path.stem.lower())
    if not match:
        return None
    label, speaker = EMOTIONS.get(match["emotion"]), match["speaker"]
    text = SENTENCES.get(match["sentence"])
    if label is None or text is None or speaker not in AGES:
        return None
    return Utterance(
        id=path.stem,
        path=path,
        speaker=speaker,
        gender="female" if speaker.startswith("f") else "male",
        age=AGES[speaker],
        language="it",
        sentence=match["sentence"],
        text=text,
        label=label,
    )
