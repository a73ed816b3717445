"""ShEMO: Persian radio plays, 3000 clips by 87 speakers with six emotions.

File-name grammar, from the corpus's README (github.com/pariajm/sharif-emotional-speech-dataset):
`F03S02` is the sex (F, M) and number of the speaker, the emotion (A anger, F fear, H happiness, N
neutral, S sadness, W surprise) and the number of the clip.

The names of sound and text files do not always agree: A. Yazdani and Y. Shekofteh (2022, arXiv
2211.09956) found 163 clips whose text stands under another emotion, and found the text's emotion
to be the right one. So no text is taken from the release's own files, and the label is the name's;
but where their corrected list `modified_shemo.json` (github.com/aliyzd95/ShEMO-Modification) lies
below the root, labels and texts are taken from it, and a label that differs from the name's leaves
the name's in `label_by_name`.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from embedcache.corpora import (
    Example,
    clips_by_name,
    files_below,
    first_names,
    warn_of_missing,
)
from embedcache.errors import SerError
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYOUT = (
    "female/F01A01.wav, male/M01A01.wav and the like (87 speakers, 3000 clips), and, where it is "
    "there, modified_shemo.json"
)
LABELS = ("angry", "fear", "happy", "neutral", "sad", "surprise")
LICENCE = "free of charge for academic purposes"
CITATION = (
    "O. Mohamad Nezami, P. Jamshid Lou, M. Karami (2019), ShEMO: a large-scale validated database "
    "for Persian speech emotion detection, Language Resources and Evaluation 53(1), 1-16, doi "
    "10.1007/s10579-018-9427-x"
)
CLIPS = {"clips": 3000}
SPEAKERS = {"F": 31, "M": 56}

EXAMPLE = Example(
    audio=("female/F01A01.wav", "female/F21N05.wav", "male/M02F01.wav"),
    text={
        "modified_shemo.json": (
            '{"F21N05.wav": {"path": "shemo/F21N05.wav", "gender": "female", "speech_name": '
            '"F21N05", "text_name": "F21S37", "emotion": "sadness", "ipa": "-", "transcript": '
            '"سلام"}}'
        )
    },
    ignored=("male/M57A01.wav", "female/F01B01.wav", "female/F01A.wav"),
    expected={
        "F01A01": {
            "path": "female/F01A01.wav",
            "speaker": "F01",
            "gender": "female",
            "language": "fa",
            "text": None,
            "label": "angry",
            "extra": {},
        },
        "F21N05": {
            "speaker": "F21",
            "text": "سلام",
            "label": "sad",
            "extra": {"label_by_name": "neutral"},
        },
        "M02F01": {"speaker": "M02", "gender": "male", "label": "fear"},
    },
)

_CODES = dict(zip("AFHNSW", LABELS, strict=True))
_WORDS = {
    "anger": "angry",
    "fear": "fear",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprise",
}
_LIST = "modified_shemo.json"
_MARKS = str.maketrans("", "", "\u200e\u200f")
_NAME = re.compile(r"(?P<gender>[FM])(?P<speaker>\d\d)(?P<emotion>[AFHNSW])\d+", re.IGNORECASE)
_log = logging.getLogger(__name__)


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name follows the grammar, corrected where the list is there.

    Raises:
        SerError: The corrected list is damaged.
    """
    found = clips_by_name("shemo", root, describe)
    warn_of_missing("shemo", ("clips" for _ in found), CLIPS)
    lists = files_below(root, frozenset({".json"})) if found else []
    path = next((path for path in lists if path.name.lower() == _LIST), None)
    if path is None:
        if found:
            _log.info("shemo: without %s the labels are those of the files' names", _LIST)
        return found
    corrections = dict(_read_corrections(path))
    unknown = [u.id for u in found if u.path.stem.upper() not in corrections]
    if unknown:
        _log.warning(
            "shemo: %s has no entry for %d clips, which keep the label of their name: %s",
            path,
            len(unknown),
            first_names(unknown),
        )
    return [_corrected(u, *corrections.get(u.path.stem.upper(), (u.label, None))) for u in found]


def describe(path: Path) -> Utterance | None:
    """A clip by its name."""
    match = _NAME.fullmatch(path.stem)
    if not match:
        return None
    gender = match["gender"].upper()
    if not 1 <= int(match["speaker"]) <= SPEAKERS[gender]:
        return None
    return Utterance(
        id=path.stem,
        path=path,
        speaker=f"{gender}{match['speaker']}",
        gender="female" if gender == "F" else "male",
        language="fa",
        label=_CODES[match["emotion"].upper()],
    )


def _corrected(utterance: Utterance, label: str | None, text: str | None) -> Utterance:
    by_name = {} if label == utterance.label else {"label_by_name": str(utterance.label)}
    return replace(utterance, label=label, text=text, extra={**utterance.extra, **by_name})


def _read_corrections(path: Path) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Label and text by the name of the clip.

    Raises:
        SerError: The list is no JSON object, or an entry lacks what is needed.
    """
    try:
        record: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        for file, entry in record.items():
            name, word = file.rpartition(".")[0] or file, str(entry["emotion"]).lower()
            if word not in _WORDS:
                raise ValueError(f"{file}: emotion '{word}' is not one of {', '.join(_WORDS)}")
            text = str(entry["transcript"]).translate(_MARKS).strip()
            # An entry is of this sound only where the original file had the same name.
            if str(entry["speech_name"]).upper() == name.upper():
                yield name.upper(), (_WORDS[word], text or None)
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise SerError(
            f"{path} is no corrected list with emotion, transcript and speech_name for each clip "
            f"({error!r})"
        ) from error
