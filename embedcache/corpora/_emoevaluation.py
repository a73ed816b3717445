"""IEMOCAP's texts: what evaluators wrote of each utterance of a dialogue, and what was said.

A dialogue's evaluation is a block of lines for each utterance: a summary with its bounds, name,
code and mean dimensions, then lines `C-E1:` with an evaluator's categories and `A-E1:` with his or
her dimensions; E is an external evaluator, F and M are the actors on themselves.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from embedcache.errors import SerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The code of a summary line, and what evaluators' lines call the same.
CODES = {
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

DIMENSIONS = ("valence", "arousal", "dominance")
# Evaluators chose 1 to 5; half a step beyond is let through, what lies further is no mean of these.
_LEAST, _MOST = 0.5, 5.5
NAME = re.compile(
    r"Ses0(?P<session>[1-5])[FM]_(?P<part>impro|script)\w+_(?P<who>[FM])\d+", re.IGNORECASE
)
_SUMMARY = re.compile(
    r"\[(?P<start>\d+\.?\d*) - (?P<end>\d+\.?\d*)\]\s+(?P<name>\S+)\s+(?P<code>[a-z]{3})\s+"
    r"\[(?P<valence>\d+\.?\d*), (?P<arousal>\d+\.?\d*), (?P<dominance>\d+\.?\d*)\]\s*"
)
_RATER = re.compile(r"[AC]-[EFM]\d", re.IGNORECASE)
_CATEGORY = re.compile(r"C-(?P<rater>[EFM]\d+)\s*:\s*(?P<words>[^()]*)(\(.*)?", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"A-(?P<rater>[EFM]\d+)\s*:\s*val\s*(?P<valence>[1-5]?)\s*;\s*act\s*(?P<arousal>[1-5]?)"
    r"\s*;\s*dom\s*(?P<dominance>[1-5]?)\s*(?:[;(].*)?",
    re.IGNORECASE,
)
_TRANSCRIPT = re.compile(r"(?P<name>\S+)\s+\[[^\]]*\]\s*:\s*(?P<text>.*?)\s*")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Block:
    """One utterance's lines: the summary, then what each evaluator wrote.

    Attributes:
        summary: The first line.
        name: The utterance's name in it, by the grammar of names.
        dimensions: The evaluators' means in it.
        path: The file.
        line: Where the summary stands in it, from 1.
        votes: Of the external evaluators.
        self_votes: Of the actors, for themselves.
        raters: Each evaluator's categories, as text.
        self_dimensions: What the actors gave themselves for valence, arousal, dominance.
    """

    summary: re.Match[str]
    name: re.Match[str]
    dimensions: dict[str, float]
    path: Path
    line: int
    votes: dict[str, float] = field(default_factory=dict)
    self_votes: dict[str, float] = field(default_factory=dict)
    raters: list[str] = field(default_factory=list)
    self_dimensions: dict[str, str] = field(default_factory=dict)


def read_blocks(path: Path, lines: Sequence[str]) -> list[Block]:
    """The utterances of one dialogue.

    Raises:
        SerError: A summary line does not follow the grammar.
    """
    blocks: list[Block] = []
    for number, line in enumerate(lines, start=1):
        fault = ""
        if line.startswith("["):
            blocks.append(_read_summary(path, number, line))
        elif blocks and line and not line.startswith("%"):
            fault = _count(blocks[-1], line)
        elif _RATER.match(line):
            fault = "stands before every summary and is not counted"
        if fault:
            _log.warning("%s line %d %s: %s", path, number, fault, line[:80])
    return blocks


def _read_summary(path: Path, number: int, line: str) -> Block:
    summary = _SUMMARY.fullmatch(line)
    name = NAME.fullmatch(summary["name"]) if summary else None
    if not summary or not name or summary["code"] not in CODES:
        raise SerError(
            f"{path} line {number} is no summary like [6.2 - 8.2]<tab>Ses01F_impro01_F000"
            f"<tab>neu<tab>[2.5, 2.5, 2.5]: {line[:80]!r}"
        )
    if float(summary["end"]) <= float(summary["start"]):
        raise SerError(
            f"{path} line {number}: '{name.string}' begins at {summary['start']} s and ends at "
            f"{summary['end']} s; it must end after it begins"
        )
    dimensions = {key: float(summary[key]) for key in DIMENSIONS}
    beyond = [f"{k} {summary[k]}" for k, x in dimensions.items() if not _LEAST <= x <= _MOST]
    if beyond:
        _log.warning(
            "%s line %d: %s of '%s' lies outside the scale of %g to %g and is left out",
            path,
            number,
            " and ".join(beyond),
            name.string,
            _LEAST,
            _MOST,
        )
    kept = {key: x for key, x in dimensions.items() if _LEAST <= x <= _MOST}
    return Block(summary, name, kept, path, number)


def _count(block: Block, line: str) -> str:
    """Take over an evaluator's line; gives what of it could not be, empty where all was."""
    if match := _ATTRIBUTE.fullmatch(line):
        if not match["rater"].upper().startswith("E"):
            told = {name: match[name] for name in DIMENSIONS if match[name]}
            block.self_dimensions = {f"self_{name}": value for name, value in told.items()}
        return ""
    match = _CATEGORY.fullmatch(line)
    words = [word.strip().lower() for word in match["words"].split(";")] if match else []
    labels = list(dict.fromkeys(_WORDS[word] for word in words if word in _WORDS))
    if not match or not labels:
        return "is not understood and not counted"
    rater = match["rater"].upper()
    votes = block.votes if rater.startswith("E") else block.self_votes
    for label in labels:
        votes[label] = votes.get(label, 0.0) + 1 / len(labels)
    block.raters.append(f"{rater}={'+'.join(labels)}")
    unknown = [word for word in words if word and word not in _WORDS]
    if not unknown or "other" in labels:  # free text may follow Other
        return ""
    counted, lost = " and ".join(labels), "; ".join(unknown)
    return f"is counted as {counted}; '{lost}' is not understood and not counted"


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; a few hold bytes that are no UTF-8."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return [line.strip() for line in text.split("\n")]


def read_transcripts(texts: Mapping[Path, Sequence[str]]) -> dict[str, str]:
    matches = (_TRANSCRIPT.fullmatch(line) for lines in texts.values() for line in lines)
    return {match["name"].lower(): match["text"] for match in matches if match and match["text"]}
