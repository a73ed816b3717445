"""What an encoder's weights were fitted to, so that nobody tests on it unawares.

`ser finetune` writes it beside a checkpoint's weights, `ser.json`; `ser extract` copies it into the
caches that it makes with them, `encoder.json`, since heads are trained where no checkpoint is. Of
some published encoders it is known which corpora they were fitted to.

CHECKPOINT/ser.json           format, seen, and how it was trained
CACHE/encoder.json            format, seen; or null where a checkpoint does not tell
FOLDS/folds.json              format, of: a name; count: checkpoints fold0, fold1 and so on
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from embedcache.atomic import write_whole
from embedcache.corpora import speakers_of
from embedcache.errors import SerError, UsageError, disk_errors, unknown_name

FORMAT = 1
CHECKPOINT_FILE, CACHE_FILE, FOLDS_FILE = "ser.json", "encoder.json", "folds.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldOf:
    """Which of the checkpoints of a protocol's folds this is.

    Attributes:
        name: Of the set of them.
        fold: Its number.
        count: How many there are.
        protocol: The options of `ser train-head` that make the same folds.
    """

    name: str
    fold: int
    count: int
    protocol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What weights were fitted to, or chosen by.

    Attributes:
        corpora: Their names.
        speakers: Names of speakers; none where they are not known.
        contents: Content ids of recordings; none where they are not known.
        unlisted: Corpora of which only the name is known, so that any speaker and recording of
            theirs may be among it: all of them where neither speakers nor contents are given.
        source: Where this is known from: a checkpoint's name, or an address.
        base: The encoder that fine-tuning began with; empty where nothing is known of one.
        pretrained: Whether that was trained before; None where nothing is known of it.
        complete: Whether that is all: false where fine-tuning began with a folder that did not
            tell what it had seen.
        fold: Where it is one of a protocol's folds.
        conditioning: What was done to clips after decoding, as a cache's key has it; None where
            nothing is known of it.
    """

    corpora: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    source: str = ""
    base: str = ""
    pretrained: bool | None = None
    complete: bool = True
    fold: FoldOf | None = None
    conditioning: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not (self.speakers or self.contents):
            object.__setattr__(self, "unlisted", self.corpora)

    def __or__(self, other: Seen) -> Seen:
        """Both; weights that were trained further have seen what they were trained on before."""
        return replace(
            other,
            corpora=_union(self.corpora, other.corpora),
            speakers=_union(self.speakers, other.speakers),
            contents=_union(self.contents, other.contents),
            unlisted=_union(self.unlisted, other.unlisted),
            complete=self.complete and other.complete,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Seen:
        """The inverse of `to_json`."""
        known: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in record.items()
        }
        fold = known.pop("fold", None)
        return cls(**known, fold=FoldOf(**fold) if fold else None)


# Published encoders of which it is known that emotional speech has changed their weights, by hub
# id: the corpora, as `ser corpora` calls them, and where that is written.
PUBLISHED: dict[str, tuple[tuple[str, ...], str]] = {
    "AreejB/wav2vec2-xlsr-english-speech-emotion-recognition": (
        ("ravdess",),
        "https://huggingface.co/AreejB/wav2vec2-xlsr-english-speech-emotion-recognition",
    ),
    "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": (
        ("msppodcast",),
        "https://huggingface.co/audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
    ),
    "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition": (
        ("ravdess",),
        "https://huggingface.co/ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition",
    ),
}


def published(encoder_id: str) -> Seen | None:
    """What is known of a published encoder; None where nothing is."""
    wanted = encoder_id.removeprefix("hub:").lower()
    found = next((facts for name, facts in PUBLISHED.items() if name.lower() == wanted), None)
    return Seen(corpora=found[0], source=found[1]) if found else None


def seen_by_checkpoint(encoder_id: str) -> Seen | None:
    """What an encoder has seen, by the file beside its weights or by what is published.

    None where nothing is known.

    Raises:
        SerError: The file is damaged, or of another format version.
    """
    file = _folder(encoder_id) / CHECKPOINT_FILE
    return _read(file) if file.is_file() else published(encoder_id)


def is_silent(encoder_id: str) -> bool:
    """Whether an encoder is a local folder that does not tell what it was trained on.

    Raises:
        SerError: What it tells is damaged.
    """
    folder = _folder(encoder_id)
    file = folder / CHECKPOINT_FILE
    return folder.is_dir() and not (file.is_file() and _read(file))


def write_checkpoint_record(folder: Path, seen: Seen, trained: Mapping[str, Any]) -> None:
    """Write what a checkpoint has seen, and how it was trained."""
    write_whole(folder / CHECKPOINT_FILE, _json({"seen": seen.to_json(), **trained}))


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds what `ser finetune` writes."""
    return all((folder / name).is_file() for name in ("config.json", CHECKPOINT_FILE))


def write_cache_record(cache: Path, seen: Seen | None) -> None:
    """Write what the encoder of a cache has seen; None where its checkpoint does not tell."""
    file = cache / CACHE_FILE
    with disk_errors(file):
        write_whole(file, _json({"seen": seen.to_json() if seen else None}))


def seen_by_cache(cache: Path, encoder_id: str, recorded: bool = False) -> tuple[Seen | None, bool]:
    """What the encoder of a cache has seen, and whether its checkpoint left that open.

    Args:
        cache: Its folder.
        encoder_id: The encoder as the user named it.
        recorded: Whether the cache was made with such a record.

    Raises:
        SerError: The file is missing, damaged, or of another format version.
    """
    file = cache / CACHE_FILE
    if not file.is_file():
        if recorded:
            raise _damaged(file, FileNotFoundError(file.name))
        return published(encoder_id), False
    found = _read(file)
    return found, found is None


def write_folds(folder: Path, name: str, count: int) -> None:
    """Say that a folder holds one checkpoint for each fold, `fold0` and so on."""
    file = folder / FOLDS_FILE
    with disk_errors(file):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, _json({"of": name, "count": count}))


def encoders_of(encoder_id: str) -> list[str]:
    """The encoders that an id stands for: one, or the checkpoints of all folds of a folder.

    Raises:
        UsageError: The checkpoint of a fold is missing.
        SerError: The list of folds is damaged.
    """
    folder = _folder(encoder_id)
    file = folder / FOLDS_FILE
    if not file.is_file():
        return [encoder_id]
    count = _load(file).get("count")
    if not isinstance(count, int) or count < 1:
        raise SerError(
            f"{file} is damaged (count {count!r}), so that nobody knows how many checkpoints there "
            "should be; the same `ser finetune` writes it anew"
        )
    missing = [k for k in range(count) if not is_checkpoint(folder / f"fold{k}")]
    if missing:
        told = ", ".join(map(str, missing))
        raise UsageError(
            f"--encoder {encoder_id} lacks the checkpoint of fold {told} of {count}; make it with "
            f"the same `ser finetune` and --fold {missing[0]} or --all-folds, or name the folder "
            "of one fold"
        )
    return [str(Path(encoder_id.rstrip("/")) / f"fold{k}") for k in range(count)]


def _folder(encoder_id: str) -> Path:
    return Path(encoder_id.removeprefix("folder:")).expanduser()


def _read(file: Path) -> Seen | None:
    record = _load(file)
    try:
        seen = record["seen"]
        if seen is None:
            return None
        _check(seen)
        return Seen.from_json({"unlisted": _without_speakers(seen), **seen})
    except (KeyError, TypeError, AttributeError, SerError) as error:
        raise _damaged(file, error) from error


def _check(seen: Mapping[str, Any]) -> None:
    """See that a record, which people may write, has no key but known ones, and lists of names."""
    known = {field.name for field in fields(Seen)}
    for key, value in seen.items():
        if key not in known:
            raise unknown_name("key", key, known)
        named = isinstance(value, list) and all(isinstance(name, str) for name in value)
        if key in ("corpora", "speakers", "contents", "unlisted") and not named:
            raise TypeError(f"{key} is no list of names")


def _without_speakers(seen: Mapping[str, Any]) -> list[str]:
    """Corpora of a record none of whose speakers it names, though it names no recordings either."""
    if seen.get("contents"):
        return []
    homes = {name.partition("/")[0].lower() for name in seen.get("speakers", ())}
    return [corpus for corpus in seen.get("corpora", ()) if home_of(corpus) not in homes]


def home_of(corpus: str) -> str:
    """What names of a corpus's speakers begin with, in small letters; it need not be known here.

    >>> home_of("emobox:ravdess"), home_of("RAVDESS"), home_of("LibriSpeech")
    ('ravdess', 'ravdess', 'librispeech')
    """
    try:
        return speakers_of(corpus.lower()).lower()
    except UsageError:
        return corpus.lower()


def _load(file: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        found = record["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(file, error) from error
    if found != FORMAT:
        raise SerError(
            f"{file} has format {found}; this ser reads {FORMAT}: use the ser that wrote it"
        )
    return record


def _damaged(file: Path, error: Exception) -> SerError:
    return SerError(
        f"{file} is damaged ({error!r}), so that nobody knows what the encoder was trained on; "
        "restore it, or make the folder again"
    )


def _json(record: Mapping[str, Any]) -> bytes:
    return (json.dumps({"format": FORMAT, **record}, indent=1) + "\n").encode()


def _union(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
