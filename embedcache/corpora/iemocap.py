"""IEMOCAP: ten actors in improvised and scripted dialogues, judged by several annotators.

Read from the release's own folders: `Session<n>/dialog/EmoEvaluation/<dialog>.txt` names every
utterance, its code, its mean dimensions, and what each evaluator wrote; the audio lies in
`Session<n>/sentences/wav/<dialog>/<utterance>.wav`. The label is the release's own code, which is
the evaluators' majority or null. Votes are recounted from the evaluators' lines: one evaluator has
one vote, shared by the categories that he or she chose; what the actors said of themselves is kept
apart. The speaker is the session and the last field of the utterance's name: the letter after the
session number tells who wore motion-capture markers, not who speaks.

Counts per class and session: C. Busso et al. (2008), and EmoBox's list for four classes.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from embedcache.corpora import Example, audio_files, files_below, warn_of_missing
from embedcache.errors import SerError
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

LAYOUT = (
    "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt and "
    "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav, for sessions 1 to 5"
)
LABELS = (
    "angry",
    "frustrated",
    "happy",
    "excited",
    "sad",
    "neutral",
    "fear",
    "disgust",
    "surprise",
    "other",
)
LICENCE = "University of Southern California: on request, for research"
CITATION = (
    "C. Busso, M. Bulut, C.-C. Lee, A. Kazemzadeh, E. Mower, S. Kim, J. N. Chang, S. Lee, S. S. "
    "Narayanan (2008), IEMOCAP: interactive emotional dyadic motion capture database, Language "
    "Resources and Evaluation 42, 335-359"
)
# Leave one session out: two speakers, who appear in no other session.
OFFICIAL_FOLDS = (("1F", "1M"), ("2F", "2M"), ("3F", "3M"), ("4F", "4M"), ("5F", "5M"))
LABEL_SETS = {
    "iemocap-4": {
        "version": 1,
        "classes": {
            "angry": "angry",
            "happy": "happy",
            "excited": "happy",
            "sad": "sad",
            "neutral": "neutral",
        },
    },
    "iemocap-5": {
        "version": 1,
        "classes": {
            "angry": "angry",
            "frustrated": "frustrated",
            "happy": "happy",
            "excited": "happy",
            "sad": "sad",
            "neutral": "neutral",
        },
    },
    "iemocap-9": {
        "version": 1,
        "classes": {
            "angry": "angry",
            "frustrated": "frustrated",
            "happy": "happy",
            "excited": "excited",
            "sad": "sad",
            "neutral": "neutral",
            "fear": "fear",
            "disgust": "disgust",
            "surprise": "surprise",
        },
    },
}
SESSIONS = {"1": 1819, "2": 1811, "3": 2136, "4": 2103, "5": 2170}
CLASSES = {
    "angry": 1103,
    "frustrated": 1849,
    "happy": 595,
    "excited": 1041,
    "sad": 1084,
    "neutral": 1708,
    "fear": 40,
    "disgust": 2,
    "surprise": 107,
    "other": 3,
    "no majority": 2507,
}
# The code of a summary line, and what evaluators' lines call the same.
_CODES = {
    "ang": "angry",
    "fru": "frustrated",
    "hap": "happy",
    "exc": "excited",
    "sad": "sad",
    "neu": "neutral",
    "fea": "fear",
    "dis": "disgust",
    "sur": "surprise",
    "oth": "other",
    "xxx": None,
}
_WORDS = {
    "anger": "angry",
    "frustration": "frustrated",
    "happiness": "happy",
    "excited": "excited",
    "sadness": "sad",
    "neutral": "neutral",
    "neutral state": "neutral",
    "fear": "fear",
    "disgust": "disgust",
    "surprise": "surprise",
    "other": "other",
}

_EVALUATION = "Session2/dialog/EmoEvaluation"
_WAV = "Session2/sentences/wav/Ses02F_impro09"
EXAMPLE = Example(
    audio=(f"{_WAV}/Ses02F_impro09_M000.wav", f"{_WAV}/Ses02F_impro09_F000.wav"),
    text={
        f"{_EVALUATION}/Ses02F_impro09.txt": (
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
            "[3.1000 - 5.4750]\tSes02F_impro09_M000\tfru\t[2.5000, 4.0000, 3.5000]\n"
            "C-E1:\tFrustration;\t()\n"
            "C-E2:\tAnger; Frustration;\t()\n"
            "C-E4:\tFrustration;\t(tired of waiting; not shouting)\n"
            "C-M1:\tAnger;\t()\n"
            "A-E1:\tval 2; act 4; dom  4;\t()\n"
            "A-E2:\tval 3; act 4; dom  3;\t(flat, then louder)\n"
            "A-M1:\tval 1; act 5; dom  ;\t()\n\n"
            "[6.0200 - 7.9000]\tSes02F_impro09_F000\txxx\t[3.0000, 2.5000, 3.0000]\n"
            "C-E1:\tNeutral;\t()\n"
            "C-E2:\tOther;\t(puzzled)\n"
            "C-E4:\tSurprise;\t()\n"
            "C-F1:\tNeutral;\t()\n"
            "A-E1:\tval 3; act 2; dom  3;\t()\n"
            "A-F1:\tval 3; act 2; dom  2;\t()\n\n"
        ),
        f"{_EVALUATION}/Self-evaluation/Ses02F_impro09_f.txt": "Ses02F_impro09_F000 :Neutral; ()\n",
    },
    expected={
        "Ses02F_impro09_M000": {
            "path": f"{_WAV}/Ses02F_impro09_M000.wav",
            "speaker": "2M",
            "gender": "male",
            "session": "2",
            "language": "en",
            "label": "frustrated",
            "votes": {"angry": 0.5, "frustrated": 2.5},
            "self_votes": {"angry": 1.0},
            "dimensions": {"valence": 2.5, "arousal": 4.0, "dominance": 3.5},
            "extra": {
                "dialog": "Ses02F_impro09",
                "scenario": "improvised",
                "start_in_dialog_s": "3.1000",
                "end_in_dialog_s": "5.4750",
                "annotations": "E1=frustrated; E2=angry+frustrated; E4=frustrated; M1=angry",
                "self_valence": "1",
                "self_arousal": "5",
            },
        },
        "Ses02F_impro09_F000": {
            "speaker": "2F",
            "gender": "female",
            "label": None,
            "votes": {"neutral": 1.0, "other": 1.0, "surprise": 1.0},
            "self_votes": {"neutral": 1.0},
            "dimensions": {"valence": 3.0, "arousal": 2.5, "dominance": 3.0},
        },
    },
)

_NAME = re.compile(
    r"Ses0(?P<session>[1-5])[FM]_(?P<part>impro|script)\w+_(?P<who>[FM])\d+", re.IGNORECASE
)
_SUMMARY = re.compile(
    r"\[(?P<start>\d+\.?\d*) - (?P<end>\d+\.?\d*)\]\s+(?P<name>\S+)\s+(?P<code>[a-z]{3})\s+"
    r"\[(?P<valence>\d+\.?\d*), (?P<arousal>\d+\.?\d*), (?P<dominance>\d+\.?\d*)\]\s*"
)
_CATEGORY = re.compile(r"C-(?P<rater>[EFM]\d+):\s*(?P<words>[^()]*)(\(.*)?")
_ATTRIBUTE = re.compile(
    r"A-(?P<rater>[EFM]\d+):\s*val\s*(?P<valence>\d?)\s*;\s*act\s*(?P<arousal>\d?)\s*;"
    r"\s*dom\s*(?P<dominance>\d?)\s*;?.*"
)
_MOST_NAMED = 5
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Block:
    """One utterance's lines: the summary, then what each evaluator wrote."""

    summary: re.Match[str]
    votes: dict[str, float] = field(default_factory=dict)
    self_votes: dict[str, float] = field(default_factory=dict)
    raters: list[str] = field(default_factory=list)
    self_dimensions: dict[str, str] = field(default_factory=dict)


def parse(root: Path) -> list[Utterance]:
    """Every utterance that is annotated and whose audio is there, by session and dialogue."""
    blocks = _read_annotations(root)
    audio = {path.stem.lower(): path for path in audio_files(root) if _NAME.fullmatch(path.stem)}
    found = []
    silent = []
    for block in blocks:
        path = audio.pop(block.summary["name"].lower(), None)
        if path:
            found.append(_utterance(block, path))
        else:
            silent.append(block.summary["name"])
    _report("annotated utterances have no audio file and are left out", silent)
    _report("audio files have no annotation and are left out", sorted(p.stem for p in audio.values()))
    warn_of_missing("iemocap", (u.session for u in found), SESSIONS)
    if len(found) >= sum(SESSIONS.values()):
        warn_of_missing("iemocap", (u.label or "no majority" for u in found), CLASSES)
    return found


def describe(path: Path) -> Utterance | None:
    """What an utterance's name tells: session, speaker, improvised or scripted."""
    match = _NAME.fullmatch(path.stem)
    if not match:
        return None
    who = match["who"].upper()
    return Utterance(
        id=path.stem,
        path=path,
        speaker=f"{match['session']}{who}",
        gender="female" if who == "F" else "male",
        session=match["session"],
        language="en",
        extra={
            "dialog": path.stem.rpartition("_")[0],
            "scenario": "improvised" if match["part"].lower() == "impro" else "scripted",
        },
    )


def _utterance(block: _Block, path: Path) -> Utterance:
    told = describe(path)
    assert told  # the path's name has matched
    summary = block.summary
    extra = {
        **told.extra,
        "start_in_dialog_s": summary["start"],
        "end_in_dialog_s": summary["end"],
        "annotations": "; ".join(block.raters),
        **block.self_dimensions,
    }
    return replace(
        told,
        id=summary["name"],
        label=_CODES[summary["code"]],
        votes=block.votes,
        self_votes=block.self_votes,
        dimensions={n: float(summary[n]) for n in ("valence", "arousal", "dominance")},
        extra=extra,
    )


def _read_annotations(root: Path) -> list[_Block]:
    """The blocks of all dialogues, in the order of their files; a dialogue is read once."""
    blocks: list[_Block] = []
    seen: set[str] = set()
    for path in files_below(root, frozenset({".txt"})):
        # Folders beside these files hold each evaluator's own lists, in another grammar.
        if path.parent.name.lower() == "emoevaluation" and path.stem.lower() not in seen:
            seen.add(path.stem.lower())
            blocks += _read_dialogue(path)
    return blocks


def _read_dialogue(path: Path) -> list[_Block]:
    blocks: list[_Block] = []
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("["):
            summary = _SUMMARY.fullmatch(line.rstrip("\r"))
            if not summary or summary["code"] not in _CODES or not _NAME.fullmatch(summary["name"]):
                raise SerError(
                    f"{path} line {number}: not a summary like '[6.2 - 8.2]<tab>"
                    f"Ses01F_impro01_F000<tab>neu<tab>[2.5, 2.5, 2.5]': {line.strip()[:80]!r}"
                )
            blocks.append(_Block(summary))
        elif blocks and line.startswith(("C-", "A-")):
            if not _add_line(blocks[-1], line.rstrip()):
                _log.warning("%s line %d is not understood: %s", path, number, line.strip()[:80])
    return blocks


def _add_line(block: _Block, line: str) -> bool:
    """Count an evaluator's line; False where it follows no known grammar."""
    if match := _CATEGORY.fullmatch(line):
        words = [word.strip().lower() for word in match["words"].split(";") if word.strip()]
        labels = list(dict.fromkeys(_WORDS[word] for word in words if word in _WORDS))
        if not labels or len(labels) < len(set(words) & set(_WORDS)):
            labels = labels or []
        votes = block.votes if match["rater"][0] == "E" else block.self_votes
        for label in labels:
            votes[label] = votes.get(label, 0.0) + 1 / len(labels)
        block.raters.append(f"{match['rater']}={'+'.join(labels)}")
        return bool(labels) and all(word in _WORDS for word in words)
    if match := _ATTRIBUTE.fullmatch(line):
        if match["rater"][0] != "E":
            told = {n: match[n] for n in ("valence", "arousal", "dominance") if match[n]}
            block.self_dimensions = {f"self_{name}": value for name, value in told.items()}
        return True
    return False


def _report(what: str, names: Sequence[str]) -> None:
    if names:
        shown = ", ".join(names[:_MOST_NAMED])
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        _log.warning("iemocap: %d %s: %s%s", len(names), what, shown, more)
