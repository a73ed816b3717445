"""EMO-DB: ten German actors speak ten sentences with seven emotions.

File-name grammar, from the corpus's pages (emodb.bilderbar.info): two digits for the speaker, three
characters for the sentence, one letter for the German word of the emotion (W Wut, L Langeweile, E
Ekel, A Angst, F Freude, T Trauer, N neutral), and a letter that tells takes apart. The pages also
give the speakers' sex and age, and the sentences.

The 535 clips are those of some 800 that listeners recognised and found natural: speakers have
unequal numbers of clips, and only 9 of the 70 pairs of sentence and emotion are there by all ten.
Clips per speaker are counted in EmoBox's list of the whole corpus. EmoBox's folds share speakers
and are not taken over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, warn_of_missing
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = "wav/03a01Fa.wav and the like (10 speakers, 535 clips)"
LABELS = ("angry", "bored", "disgust", "fear", "happy", "sad", "neutral")
LICENCE = "free to download; audEERING's edition of it states CC0 1.0"
CITATION = (
    "F. Burkhardt, A. Paeschke, M. Rolfes, W. F. Sendlmeier, B. Weiss (2005), A database of German "
    "emotional speech, Interspeech 2005, 1517-1520, doi 10.21437/Interspeech.2005-446"
)
SPEAKERS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": ("Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter."),
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
EMOTIONS = {
    "W": "angry",
    "L": "bored",
    "E": "disgust",
    "A": "fear",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
CLIPS = {
    "03": 49,
    "08": 58,
    "09": 43,
    "10": 38,
    "11": 55,
    "12": 35,
    "13": 61,
    "14": 69,
    "15": 56,
    "16": 71,
}

EXAMPLE = Example(
    audio=("wav/03a01Fa.wav", "wav/16b10Wb.wav", "wav/11b02Nd.wav"),
    ignored=("wav/04a01Fa.wav", "wav/03a03Fa.wav", "wav/03a01Xa.wav"),
    expected={
        "03a01Fa": {
            "path": "wav/03a01Fa.wav",
            "speaker": "03",
            "gender": "male",
            "age": 31,
            "language": "de",
            "sentence": "a01",
            "text": "Der Lappen liegt auf dem Eisschrank.",
            "label": "happy",
            "extra": {"take": "a"},
        },
        "16b10Wb": {"speaker": "16", "gender": "female", "age": 31, "label": "angry"},
        "11b02Nd": {"speaker": "11", "label": "neutral", "extra": {"take": "d"}},
    },
)

_NAME = re.compile(
    r"(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[WLEAFTN])(?P<take>[a-z]?)", re.IGNORECASE
)


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name follows the grammar."""
    found = clips_by_name("emodb", root, describe)
    warn_of_missing("emodb", (u.speaker for u in found), CLIPS)
    return found


def describe(path: Path) -> Utterance | None:
    """A clip by its name."""
    match = _NAME.fullmatch(path.stem)
    if not match:
        return None
    speaker, sentence = match["speaker"], match["sentence"].lower()
    if speaker not in SPEAKERS or sentence not in SENTENCES:
        return None
    gender, age = SPEAKERS[speaker]
    return Utterance(
        id=path.stem,
        path=path,
        speaker=speaker,
        gender=gender,
        age=age,
        language="de",
        sentence=sentence,
        text=SENTENCES[sentence],
        label=EMOTIONS[match["emotion"].upper()],
        extra={"take": match["take"].lower()} if match["take"] else {},
    )
