"""MELD: utterances of the TV series Friends with seven emotions, in dialogues.

Layout, from the corpus's repository (github.com/declare-lab/MELD) and EmoBox's parser: three tables
`train_sent_emo.csv`, `dev_sent_emo.csv` and `test_sent_emo.csv`, and clips `dia0_utt0` in a folder
per split, `train_splits`, `dev_splits_complete` and `output_repeated_splits_test` as unpacked. The
corpus publishes video; extract the sound under the same names, or in folders called `train`, `dev`
and `test`. Names occur in each split, so an utterance's id begins with its split.

Known faults of the release: `dia125_utt3` of train cannot be decoded (issue 39) and `dia110_utt7`
of dev is not there (issue 22), so that 13706 of 13708 utterances have sound. Some clips are cut
wrongly and last minutes (issue 20). The test folder holds further clips `final_videos_testdia...`,
which users report to fit the texts better where both are there; the authors say to ignore them
(issue 22), and so does this parser.

The same speakers appear in all splits, under the names of the series; `All` and the like stand for
several. Counts per split and emotion are those of the repository's README.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedcache.corpora import (
    Example,
    audio_files,
    files_below,
    warn_of_left_out,
    warn_of_missing,
)
from embedcache.corpora._tables import read_table
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYOUT = (
    "train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv, and the extracted sound as "
    "train_splits/dia0_utt0.wav, dev_splits_complete/... and output_repeated_splits_test/..., or "
    "in folders train, dev and test"
)
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
LICENCE = "GPL-3.0 for the annotations; the clips are of a TV series"
CITATION = (
    "S. Poria, D. Hazarika, N. Majumder, G. Naik, E. Cambria, R. Mihalcea (2019), MELD: A "
    "Multimodal Multi-Party Dataset for Emotion Recognition in Conversations, ACL 2019, arXiv "
    "1810.02508"
)
SPLITS = {"train": 9989, "dev": 1109, "test": 2610}
CLASSES = {
    "angry": 1607,
    "disgust": 361,
    "fear": 358,
    "happy": 2308,
    "neutral": 6436,
    "sad": 1002,
    "surprise": 1636,
}
# Without usable sound in the release itself.
BROKEN = frozenset({"train/dia125_utt3", "dev/dia110_utt7"})

_HEAD = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,"
    "EndTime\n"
)
EXAMPLE = Example(
    audio=(
        "train_splits/dia0_utt0.wav",
        "dev_splits_complete/dia0_utt0.wav",
        "test/dia0_utt1.wav",
    ),
    ignored=(
        "output_repeated_splits_test/final_videos_testdia0_utt1.wav",
        "dev_splits_complete/dia9_utt9.wav",
        "elsewhere/dia0_utt0.wav",
    ),
    text={
        "train_sent_emo.csv": (
            f"{_HEAD}"
            '1,"Well, that is news to me!",Joey,surprise,positive,0,0,8,21,"00:16:16,059",'
            '"00:16:21,731"\n'
            '2,No sound here.,Joey,neutral,neutral,0,1,8,21,"00:16:21,940","00:16:23,442"\n'
        ),
        "dev_sent_emo.csv": f"{_HEAD}1,Stop it.,Monica,anger,negative,0,0,4,7,0:00:01,0:00:02\n",
        "test_sent_emo.csv": f"{_HEAD}1,Hooray!,All,joy,positive,0,1,3,19,0:00:01,0:00:02\n",
    },
    expected={
        "train/dia0_utt0": {
            "path": "train_splits/dia0_utt0.wav",
            "speaker": "Joey",
            "language": "en",
            "text": "Well, that is news to me!",
            "label": "surprise",
            "folds": {"official": "train"},
            "extra": {
                "sentiment": "positive",
                "dialog": "train/0",
                "season": "8",
                "episode": "21",
                "start_in_episode": "00:16:16,059",
                "end_in_episode": "00:16:21,731",
            },
        },
        "dev/dia0_utt0": {"speaker": "Monica", "label": "angry", "folds": {"official": "val"}},
        "test/dia0_utt1": {"speaker": "All", "label": "happy", "folds": {"official": "test"}},
    },
)

_PUBLISHED = "github.com/declare-lab/MELD"
_ROLES = {"train": "train", "dev": "val", "test": "test"}
_WORDS = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "joy": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprise",
}
_NEEDED = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
_EXTRA = {
    "Season": "season",
    "Episode": "episode",
    "StartTime": "start_in_episode",
    "EndTime": "end_in_episode",
}
_NAME = re.compile(r"dia(?P<dialog>\d+)_utt(?P<utterance>\d+)", re.IGNORECASE)
_UNASKED = re.compile(r"(final_videos_test)?dia\d+_utt\d+", re.IGNORECASE)
_FOLDER = re.compile(
    r"(?P<split>train|dev|test)([_-]?(splits?|audio|wav)\w*)?|(?P<test>output_repeated_splits_test\w*)",
    re.IGNORECASE,
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a table: the utterance's name, as `train/dia0_utt0`, and its columns."""

    name: str
    split: str
    cells: dict[str, str]


def parse(root: Path) -> list[Utterance]:
    """Every utterance of the tables whose sound is there, split by split in the tables' order.

    Raises:
        SerError: A table is damaged; the message holds the line.
    """
    rows = [row for split, path in _tables(root).items() for row in _read_rows(split, path)]
    audio, unasked = _find_audio(root, {row.name for row in rows})
    found = [_utterance(row, audio[row.name]) for row in rows if row.name in audio]
    if found:
        silent = [row.name for row in rows if row.name not in audio]
        broken = [name for name in silent if name in BROKEN]
        if broken:
            _log.info("meld: without usable sound in the release: %s", ", ".join(broken))
        others = [name for name in silent if name not in BROKEN]
        warn_of_left_out("meld", "utterances without an audio file", others)
        warn_of_left_out("meld", "audio files that no table names", unasked)
        warn_of_missing("meld", (row.split for row in rows), SPLITS)
        warn_of_missing("meld", (_label(row) for row in rows), CLASSES)
    return found


def _utterance(row: _Row, path: Path) -> Utterance:
    cells = row.cells
    further = {name: cells[column] for column, name in _EXTRA.items() if cells.get(column)}
    return Utterance(
        id=row.name,
        path=path,
        speaker=cells["Speaker"] or None,
        language="en",
        text=cells["Utterance"] or None,
        label=_label(row),
        folds={"official": _ROLES[row.split]},
        extra={
            "sentiment": cells["Sentiment"].lower(),
            "dialog": f"{row.split}/{int(cells['Dialogue_ID'])}",
            **further,
        },
    )


def _label(row: _Row) -> str:
    return _WORDS[row.cells["Emotion"].lower()]


def _tables(root: Path) -> dict[str, Path]:
    """The table of each split that is there; the one nearest to the root, where there are more."""
    below = sorted(files_below(root, frozenset({".csv"})), key=lambda p: (len(p.parts), p))
    found = {}
    for split in SPLITS:
        name = f"{split}_sent_emo.csv"
        path = next((path for path in below if path.name.lower() == name), None)
        if path:
            found[split] = path
    return found


def _find_audio(root: Path, named: set[str]) -> tuple[dict[str, Path], list[str]]:
    """The file of each utterance, and the clips that no table names."""
    found: dict[str, Path] = {}
    unasked = []
    for path in audio_files(root):
        match = _NAME.fullmatch(path.stem)
        split = _split(path, root)
        if match and split:
            name = f"{split}/dia{int(match['dialog'])}_utt{int(match['utterance'])}"
            if name in named:
                found.setdefault(name, path)
                continue
        if _UNASKED.fullmatch(path.stem):
            unasked.append(path.relative_to(root).as_posix())
    return found, unasked


def _split(path: Path, root: Path) -> str | None:
    """The split that the nearest folder names, up to the root itself."""
    for folder in reversed((root.absolute().name, *path.relative_to(root).parts[:-1])):
        if match := _FOLDER.fullmatch(folder):
            return "test" if match["test"] else str(match["split"]).lower()
    return None


def _read_rows(split: str, path: Path) -> Iterator[_Row]:
    lines: dict[str, int] = {}
    # Older copies are in a Windows code page.
    for line in read_table(path, _NEEDED, source=_PUBLISHED, old_encoding="cp1252"):
        try:
            row = _row(split, line.cells)
        except ValueError as error:
            raise line.fault(error) from error
        first = lines.setdefault(row.name, line.line)
        if first != line.line:
            raise line.fault(f"{row.name} stands in line {first} already")
        yield row


def _row(split: str, cells: dict[str, str]) -> _Row:
    dialog, utterance, emotion = (cells[x] for x in ("Dialogue_ID", "Utterance_ID", "Emotion"))
    if not (dialog.isdecimal() and utterance.isdecimal()):
        raise ValueError(
            f"Dialogue_ID is '{dialog}' and Utterance_ID is '{utterance}', not two whole numbers"
        )
    if emotion.lower() not in _WORDS:
        raise ValueError(f"the emotion is '{emotion}', not one of {', '.join(_WORDS)}")
    return _Row(f"{split}/dia{int(dialog)}_utt{int(utterance)}", split, cells)
