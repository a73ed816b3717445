"""CREMA-D: 91 actors speak 12 sentences with six emotions; listeners voted on every clip.

File-name grammar, from the corpus's README (github.com/CheyneyComputerScience/CREMA-D):
`1001_IEO_HAP_LO` is actor, sentence, emotion and intensity. The label is the emotion that the actor
was asked for. The actors' age, sex, race and ethnicity come from `VideoDemographics.csv`, the votes
from `processedResults/tabulatedVotes.csv`.

Every clip was judged three times, by the voice alone, by the face alone, and by both; the first
digit of a row's number tells which (1, 2, 3: the README's query types). `votes` are those by voice:
the others are of what a model of speech cannot hear, and are kept apart as `votes_face` and
`votes_audio_visual`. By voice, most clips are not heard as the emotion that was acted.

A checkout holds each clip as WAV and as MP3, which are copies: the WAV files are read.
Five actors have fewer than 82 clips, as in the corpus's list of files and in EmoBox's. EmoBox's
single fold shares the actors and is not taken over.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from embedcache.corpora import (
    Example,
    clips_by_name,
    files_below,
    first_names,
    warn_of_missing,
)
from embedcache.corpora._tables import read_table
from embedcache.utterance import Utterance
from embedcache.votes import format_votes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LAYOUT = (
    "AudioWAV/1001_IEO_HAP_LO.wav and the like (91 actors, 7442 clips), with VideoDemographics.csv "
    "and processedResults/tabulatedVotes.csv in the same checkout"
)
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad")
LICENCE = "Open Database License 1.0, contents under the Database Contents License 1.0"
CITATION = (
    "H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova, R. Verma (2014), CREMA-D: "
    "Crowd-sourced Emotional Multimodal Actors Dataset, IEEE Transactions on Affective Computing "
    "5(4), 377-390, doi 10.1109/TAFFC.2014.2336244"
)
SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
CLIPS = {str(actor): 82 for actor in range(1001, 1092)} | {
    "1002": 81,
    "1008": 76,
    "1009": 76,
    "1019": 76,
    "1076": 81,
}

_VOTES_HEAD = '"","A","D","F","H","N","S","fileName","numResponses"\n'
EXAMPLE = Example(
    audio=("AudioWAV/1001_IEO_HAP_LO.wav", "AudioWAV/1091_WSI_NEU_XX.wav"),
    ignored=("AudioWAV/1092_IEO_HAP_LO.wav", "AudioWAV/1001_ABC_HAP_LO.wav"),
    text={
        "processedResults/tabulatedVotes.csv": (
            f"{_VOTES_HEAD}"
            '"100002",0,0,0,3,6,0,"1001_IEO_HAP_LO",9\n'
            '"200002",1,0,0,8,0,0,"1001_IEO_HAP_LO",9\n'
            '"300002",0,0,0,9,1,0,"1001_IEO_HAP_LO",10\n'
            '"107442",0,0,0,0,7,0,"1091_WSI_NEU_XX",7\n'
        ),
        "VideoDemographics.csv": (
            "ActorID,Age,Sex,Race,Ethnicity\n"
            '1001,20,"Female","Asian","Hispanic"\n1091,74,"Male","Caucasian","Not Hispanic"\n'
        ),
    },
    expected={
        "1001_IEO_HAP_LO": {
            "path": "AudioWAV/1001_IEO_HAP_LO.wav",
            "speaker": "1001",
            "gender": "female",
            "age": 20.0,
            "language": "en",
            "sentence": "IEO",
            "text": "It's eleven o'clock",
            "label": "happy",
            "votes": {"happy": 3.0, "neutral": 6.0},
            "extra": {
                "intensity": "low",
                "race": "Asian",
                "ethnicity": "Hispanic",
                "votes_face": "angry=1;happy=8",
                "votes_audio_visual": "happy=9;neutral=1",
            },
        },
        "1091_WSI_NEU_XX": {
            "speaker": "1091",
            "label": "neutral",
            "votes": {"neutral": 7.0},
            "gender": "male",
            "age": 74.0,
        },
    },
)

_PUBLISHED = "github.com/CheyneyComputerScience/CREMA-D"
_CODES = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), LABELS, strict=True))
_LETTERS = dict(zip("ADFHNS", LABELS, strict=True))
# How a clip was presented: the first digit of a row's number.
_VOICE = "1"
_UNHEARD = {"2": "votes_face", "3": "votes_audio_visual"}
# Each table: its folder in a checkout, and the columns of ours that it fills.
_ACTORS, _VOTES = "VideoDemographics.csv", "tabulatedVotes.csv"
_TABLES = {
    _ACTORS: ("", "gender, age, race and ethnicity"),
    _VOTES: ("processedResults", "votes, votes_face and votes_audio_visual"),
}
_NAME = re.compile(
    r"(?P<actor>10\d\d)_(?P<sentence>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<intensity>[A-Z]{2})"
)
_log = logging.getLogger(__name__)


def parse(root: Path) -> list[Utterance]:
    """Every clip under `root` whose name follows the grammar, with what the tables add.

    The tables are looked for anywhere below the root and in the folder that holds it, so that the
    root may be the checkout or its folder AudioWAV. Without them there is a warning.

    Raises:
        SerError: A table is damaged.
    """
    found = clips_by_name("cremad", root, describe)
    if not found:
        return []
    warn_of_missing("cremad", (u.speaker for u in found), CLIPS)
    tables = _find_tables(root)
    missing = [name for name in _TABLES if name not in tables]
    if missing:
        _log.warning(
            "cremad: no %s in %s or in the folder that holds it: %s stay empty; the tables are "
            "published at %s",
            " and no ".join(missing),
            root,
            ", ".join(_TABLES[name][1] for name in missing),
            _PUBLISHED,
        )
    if _ACTORS in tables:
        found = _add_actors(found, tables[_ACTORS])
    return _add_votes(found, tables[_VOTES]) if _VOTES in tables else found


def describe(path: Path) -> Utterance | None:
    """A clip by its name; who the actors are, names do not tell."""
    match = _NAME.fullmatch(path.stem.upper())
    if not match:
        return None
    actor, sentence = match["actor"], match["sentence"]
    label, intensity = _CODES.get(match["emotion"]), INTENSITIES.get(match["intensity"])
    if actor not in CLIPS or sentence not in SENTENCES or label is None or intensity is None:
        return None
    return Utterance(
        id=path.stem,
        path=path,
        speaker=actor,
        language="en",
        sentence=sentence,
        text=SENTENCES[sentence],
        label=label,
        extra={"intensity": intensity},
    )


def _find_tables(root: Path) -> dict[str, Path]:
    """The tables that are there: the one nearest to the root, else one beside the root."""
    below = sorted(files_below(root, frozenset({".csv"})), key=lambda p: (len(p.parts), p))
    found = {}
    for name, (folder, _) in _TABLES.items():
        beside = [home / folder / name for home in (root.absolute().parent, root.resolve().parent)]
        candidates = [p for p in below if p.name.lower() == name.lower()]
        candidates += [p for p in beside if p.is_file()]
        if candidates:
            found[name] = candidates[0]
    return found


def _add_actors(found: Sequence[Utterance], path: Path) -> list[Utterance]:
    actors: dict[str | None, dict[str, str]] = {}
    columns = ("ActorID", "Age", "Sex", "Race", "Ethnicity")
    for row in read_table(path, columns, source=_PUBLISHED):
        name, age, sex = (row.cells[column] for column in columns[:3])
        if name in actors:
            raise row.fault(f"actor {name} has a row already")
        if not age.isdecimal():
            raise row.fault(f"the age is '{age}', not a whole number")
        if sex.lower() not in ("female", "male"):
            raise row.fault(f"the sex is '{sex}', not Female or Male")
        actors[name] = row.cells
    _warn_of_gaps(path, "actors", {str(u.speaker) for u in found if u.speaker not in actors})
    return [
        replace(
            u,
            gender=actor["Sex"].lower(),
            age=float(actor["Age"]),
            extra={**u.extra, "race": actor["Race"], "ethnicity": actor["Ethnicity"]},
        )
        if (actor := actors.get(u.speaker))
        else u
        for u in found
    ]


def _add_votes(found: Sequence[Utterance], path: Path) -> list[Utterance]:
    votes = _read_votes(path)
    judged = []
    for utterance in found:
        own = votes.get(utterance.path.stem.upper(), {})
        texts = {
            column: format_votes(own[kind]) for kind, column in _UNHEARD.items() if kind in own
        }
        extra = {**utterance.extra, **texts}
        judged.append(replace(utterance, votes=own.get(_VOICE, {}), extra=extra))
    _warn_of_gaps(path, "clips", {u.id for u in judged if not u.votes})
    return judged


def _read_votes(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """By clip and kind of presentation, the emotions that were chosen and how often."""
    votes: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    columns = ("", *_LETTERS, "fileName", "numResponses")
    for row in read_table(path, columns, source=_PUBLISHED):
        number, *texts, clip, total = (row.cells[column] for column in columns)
        if not re.fullmatch(r"[123]\d{5}", number):
            raise row.fault(f"the row's number is '{number}', not like 100001")
        if not all(text.isdecimal() for text in (*texts, total)):
            raise row.fault(f"the votes {', '.join(texts)} are not all whole numbers")
        counts = [int(text) for text in texts]
        if sum(counts) != int(total):
            raise row.fault(f"the votes {', '.join(texts)} do not sum to {total}")
        kind = number[0]
        if kind in votes[clip.upper()]:
            raise row.fault(f"clip {clip} has a row {kind}xxxxx already")
        chosen = {x: float(n) for x, n in zip(LABELS, counts, strict=True) if n}
        votes[clip.upper()][kind] = chosen
    return votes


def _warn_of_gaps(path: Path, what: str, names: set[str]) -> None:
    if names:
        shown = first_names(sorted(names))
        _log.warning("cremad: %s has no row for %d %s: %s", path, len(names), what, shown)
