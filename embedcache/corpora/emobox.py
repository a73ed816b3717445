"""EmoBox's lists: any of its 32 corpora by its metadata, with its official folds.

`emobox:NAME` reads `NAME.jsonl`, the fold lists `fold_<n>/NAME_{train,valid,test}_fold_<n>.jsonl`
and `label_map.json` of EmoBox's folder `data/NAME` (github.com/emo-box/EmoBox), found anywhere
under the root together with the audio that they name; the root is best a checkout of EmoBox with
its folder `downloads`. Where a fold lists no training part, that is all that it does not test.

Speaker, gender and the like come from the plug-in of the same name where there is one: for IEMOCAP
EmoBox's own speaker is the side of the motion-capture markers, which is the wrong one for half of
the utterances. For other corpora it is taken from EmoBox's `data.seg.wrd.stm`, where that is there.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

from embedcache.corpora import Example, audio_files, files_below, load_corpus, warn_of_left_out
from embedcache.corpora._tables import read_text
from embedcache.errors import SerError, UsageError
from embedcache.plugins import plugins
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

NAMED = True
LAYOUT = (
    "EmoBox's data/NAME/NAME.jsonl with its fold_1 and so on, and the audio files that it names, "
    "such as downloads/NAME/...; give the folder that holds both"
)
LABELS: tuple[str, ...] = ()
# The folders of its `data/`, github.com/emo-box/EmoBox.
DATA_SETS = (
    "aesdd", "ased", "asvpesd", "cafe", "casia", "cremad", "emns", "emodb", "emovdb", "emovo",
    "emozionalmente", "enterface", "esd", "iemocap", "jlcorpus", "m3ed", "mead", "meld", "mer2023",
    "mesd", "msppodcast", "oreau", "pavoque", "polish", "ravdess", "resd", "savee", "shemo",
    "subesco", "tess", "turevdb", "urdu",
)  # fmt: skip
# EmoBox's IEMOCAP has the four classes, excited as happy; other lists have words of their own.
SHARED_LABEL_SETS = {"iemocap": ("iemocap-4",)}
LICENCE = "the lists: MIT by their README's badge; each corpus keeps its own"
CITATION = (
    "Z. Ma, M. Chen, H. Zhang, Z. Zheng, W. Chen, X. Li, J. Ye, X. Chen, T. Hain (2024), EmoBox: "
    "Multilingual Multi-corpus Speech Emotion Recognition Toolkit and Benchmark, Interspeech 2024, "
    "arXiv 2406.07162"
)

_META = "data/ravdess"
_ROWS = (
    '{"key": "ravdess-03-01-05-01-02-01-11", "dataset": "ravdess", "wav": "downloads/ravdess/'
    'Actor_11/03-01-05-01-02-01-11.wav", "length": 1.0, "emo": "Angry", "channel": 1}\n',
    '{"key": "ravdess-03-01-06-01-02-01-04", "dataset": "ravdess", "wav": "downloads/ravdess/'
    'Actor_04/03-01-06-01-02-01-04.wav", "length": 1.0, "emo": "Fearful", "channel": 1}\n',
)
EXAMPLE = Example(
    name="ravdess",
    audio=(
        "downloads/ravdess/Actor_11/03-01-05-01-02-01-11.wav",
        "downloads/ravdess/Actor_04/03-01-06-01-02-01-04.wav",
    ),
    ignored=("downloads/ravdess/Actor_04/03-01-06-01-02-02-04.wav", "downloads/urdu/x.wav"),
    text={
        f"{_META}/ravdess.jsonl": "".join(_ROWS),
        f"{_META}/label_map.json": '{"Angry": "Angry", "Fearful": "Fear"}',
        f"{_META}/fold_1/ravdess_test_fold_1.jsonl": _ROWS[0],
        f"{_META}/fold_1/ravdess_train_fold_1.jsonl": _ROWS[1],
        # An old twin of a list, in another grammar.
        f"{_META}/fold_1/ravdess_test_fold1.jsonl": '{"key": "ravdess-x", "audio": "x.wav"}\n',
    },
    expected={
        "03-01-05-01-02-01-11": {
            "path": "downloads/ravdess/Actor_11/03-01-05-01-02-01-11.wav",
            "speaker": "11",
            "gender": "male",
            "language": "en",
            "label": "angry",
            "folds": {"1": "test"},
        },
        "03-01-06-01-02-01-04": {"speaker": "04", "label": "fear", "folds": {"1": "train"}},
    },
)

# The levels of a path from the file upwards, and its name with suffix where these do not suffice.
_Key = tuple[tuple[str, ...], str]
_ROLES = {"train": "train", "valid": "val", "test": "test"}
_FOLD = re.compile(r"fold_[0-9]+")
_SPEAKER = re.compile(r"<id=(?P<key>.*?),.*?\bspk=(?P<speaker>[^,>]*)")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a list.

    Attributes:
        key: EmoBox's own name of the utterance.
        wav: The audio file's path in EmoBox's layout.
        emotion: The corpus's code of the emotion.
        line: Where it stands in the list, from 1.
    """

    key: str
    wav: PurePosixPath
    emotion: str
    line: int


def parse_named(root: Path, name: str) -> list[Utterance]:
    """Every utterance of EmoBox's list whose audio is there, in the list's order.

    Raises:
        UsageError: No list of that name is there.
        SerError: A list is damaged, or a fold names an utterance that the list does not.
    """
    home = _find_list(root, name)
    if home is None:
        return []
    rows = _read_rows(home / f"{name}.jsonl")
    folds = _read_folds(home, name, rows)
    labels = _read_labels(home)
    speakers = _read_speakers(home)
    paths = _find_audio(rows, root)
    silent = [row.key for row, path in zip(rows, paths, strict=True) if path is None]
    warn_of_left_out(f"emobox:{name}", "listed utterances without an audio file", silent)
    names = Counter(row.wav.stem for row in rows)
    describe = _grammar(name)
    found = []
    for row, path in zip(rows, paths, strict=True):
        if path is None:
            continue
        bare = Utterance(id=row.key, path=path, speaker=speakers.get(row.key))
        told = describe(Path(row.wav)) or bare
        found.append(
            replace(
                told,
                id=row.wav.stem if names[row.wav.stem] == 1 else row.key,
                path=path,
                label=labels.get(row.emotion.lower(), row.emotion.lower()),
                folds=folds[row.key],
            )
        )
    return found


def _find_list(root: Path, name: str) -> Path | None:
    """The folder that holds a corpus's list; the one nearest to the root, where there are more."""
    lists = files_below(root, frozenset({".jsonl"})) if root.is_dir() else []
    homes = [path.parent for path in lists if path.name == f"{name}.jsonl"]
    if homes:
        return min(homes, key=lambda home: len(home.parts))
    others = sorted({p.stem for p in lists if p.stem == p.parent.name})
    if others:
        raise UsageError(
            f"emobox:{name}: {root} holds no list {name}.jsonl; it has {', '.join(others)}"
        )
    return None


def _read_rows(path: Path) -> list[_Row]:
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record: dict[str, Any] = json.loads(line)
            wav = PurePosixPath(record["wav"])
            rows.append(_Row(str(record["key"]), wav, str(record["emo"]), number))
        except (ValueError, KeyError, TypeError) as error:
            raise SerError(
                f"{path} line {number} is no EmoBox row with key, wav and emo ({error!r})"
            ) from error
    return rows


def _read_folds(home: Path, name: str, rows: Sequence[_Row]) -> dict[str, dict[str, str]]:
    """Each utterance's role in each fold, by its key."""
    folds: dict[str, dict[str, str]] = {row.key: {} for row in rows}
    for folder in _fold_folders(home, name):
        fold = folder.name.removeprefix("fold_")
        lists = {r: folder / f"{name}_{p}_fold_{fold}.jsonl" for p, r in _ROLES.items()}
        roles = _read_roles(name, lists, folds)
        if "test" not in roles.values():
            _log.warning(
                "emobox:%s: left out: %s, whose test list %s %s",
                name,
                folder.name,
                lists["test"].name,
                "is empty" if lists["test"].is_file() else "is missing",
            )
            continue
        whole = lists["train"].is_file()
        for key, own in folds.items():
            if key in roles or not whole:
                own[fold] = roles.get(key, "train")
        if whole and len(roles) < len(folds):
            counts = Counter(roles.values())
            _log.warning(
                "emobox:%s: %s lists %s of %d utterances; the other %d are in no part of it",
                name,
                folder.name,
                ", ".join(f"{counts[role]} {role}" for role in lists if counts[role]),
                len(folds),
                len(folds) - len(roles),
            )
    return folds


def _fold_folders(home: Path, name: str) -> list[Path]:
    """The folders `fold_<number>` by their number."""
    folders = sorted(path for path in home.glob("fold_*") if path.is_dir())
    numbered = [path for path in folders if _FOLD.fullmatch(path.name)]
    strange = [path.name for path in folders if not _FOLD.fullmatch(path.name)]
    warn_of_left_out(f"emobox:{name}", "folders that are no fold_<number>", strange)
    return sorted(numbered, key=lambda path: int(path.name.removeprefix("fold_")))


def _read_roles(name: str, lists: Mapping[str, Path], known: Collection[str]) -> dict[str, str]:
    """The role of each utterance that a fold's lists name, by its key.

    Args:
        name: The corpus.
        lists: The file of each role; it need not be there.
        known: The keys of the corpus's own list.

    Raises:
        SerError: A list names an utterance that is not known, or that has a role already.
    """
    roles: dict[str, str] = {}
    for role, path in lists.items():
        lines: dict[str, int] = {}
        for row in _read_rows(path) if path.is_file() else ():
            if row.key not in known:
                raise SerError(
                    f"{path} names '{row.key}', which {name}.jsonl does not list; the lists "
                    "are of different versions"
                )
            if row.key in lines:
                raise SerError(
                    f"{path} names '{row.key}', which stands there twice: in lines "
                    f"{lines[row.key]} and {row.line}"
                )
            if row.key in roles:
                raise SerError(f"{path} names '{row.key}', which stands in another part too")
            lines[row.key] = row.line
        roles.update(dict.fromkeys(lines, role))
    return roles


def _read_labels(home: Path) -> dict[str, str]:
    """The corpus's codes of emotions, in lower case, to EmoBox's words."""
    for file in ("label_map.json", "label_dict.json"):
        path = home / file
        if path.is_file():
            try:
                record: Mapping[str, str] = json.loads(read_text(path))
                return {code.lower(): word.lower() for code, word in record.items()}
            except (ValueError, AttributeError) as error:
                raise SerError(f"{path} is no JSON object of labels ({error})") from error
    return {}


def _read_speakers(home: Path) -> dict[str, str]:
    path = home / "data.seg.wrd.stm"
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    matches = (_SPEAKER.search(line) for line in text.split("\n"))
    return {match["key"]: match["speaker"] for match in matches if match}


def _find_audio(rows: Sequence[_Row], root: Path) -> list[Path | None]:
    """The file of each row, or None; no file is given to two rows.

    Where the list has a name once, the folders are free: of the files with that name, the one whose
    path agrees best with the list's is taken, so that `ravdess/Actor_01/x.flac` is found for
    `downloads/ravdess/audio/Actor_01/x.wav`. Where several rows share a name, a file must lie in
    the folders that tell its row from the others.
    """
    wanted = [_levels(row.wav) for row in rows]
    keys = _distinguishing(rows, wanted)
    depths: dict[str, set[tuple[int, bool]]] = defaultdict(set)
    for levels, file in keys:
        depths[levels[0]].add((len(levels), bool(file)))
    by_key: dict[_Key, list[tuple[Path, tuple[str, ...]]]] = defaultdict(list)
    for path in audio_files(root):
        whole, levels = _levels(path.absolute()), _levels(path.relative_to(root))
        for depth, exact in depths.get(levels[0], ()):
            by_key[whole[:depth], path.name if exact else ""].append((path, levels))
    found: list[Path | None] = [None] * len(rows)
    taken: set[Path] = set()
    candidates: dict[_Key, Iterator[Path]] = {}
    # Those that ask for most come first: `b/x` must not take the file of `a/b/x`.
    for n in sorted(range(len(rows)), key=lambda n: (len(keys[n][0]), keys[n][1]), reverse=True):
        key = keys[n]
        if key not in candidates:  # rows with equal keys have equal folders, so the same order
            candidates[key] = iter(_by_agreement(by_key.get(key, []), wanted[n]))
        best = next((path for path in candidates[key] if path not in taken), None)
        if best:
            found[n] = best
            taken.add(best)
    return found


def _levels(path: PurePath) -> tuple[str, ...]:
    """A path from the file upwards: its name without suffix, then its folders, in lower case."""
    return tuple(part.lower() for part in (path.stem, *reversed(path.parts[:-1])))


def _distinguishing(rows: Sequence[_Row], wanted: Sequence[tuple[str, ...]]) -> list[_Key]:
    """What tells each row from all others: its name and the fewest folders above it.

    Where no folder does, it is the file's name with its suffix, as it is written.
    """
    keys: list[_Key] = [(levels, row.wav.name) for row, levels in zip(rows, wanted, strict=True)]
    alike = list(range(len(rows)))
    for depth in range(1, max(map(len, wanted), default=0) + 1):
        counts = Counter(wanted[n][:depth] for n in alike)
        for n in alike:
            if counts[wanted[n][:depth]] == 1:
                keys[n] = (wanted[n][:depth], "")
        alike = [n for n in alike if counts[wanted[n][:depth]] > 1]
    return keys


def _by_agreement(
    files: Iterable[tuple[Path, tuple[str, ...]]], wanted: tuple[str, ...]
) -> list[Path]:
    """Files from the one whose path agrees best with the wanted one."""
    ordered = sorted(files, key=lambda file: _agreement(file[1], wanted), reverse=True)
    return [path for path, _ in ordered]


def _agreement(levels: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[int, int, int]:
    """How many levels agree from the file upwards, then at all; then the shorter path."""
    same = 0
    for mine, theirs in zip(levels, wanted, strict=False):
        if mine != theirs:
            break
        same += 1
    return same, len(set(levels) & set(wanted)), -len(levels)


def _grammar(name: str) -> Callable[[Path], Utterance | None]:
    """The grammar of names of the plug-in of the same name, where there is one."""
    if name in plugins("embedcache.corpora"):
        describe: Callable[[Path], Utterance | None] | None = getattr(
            load_corpus(name), "describe", None
        )
        if describe:
            return describe
    return lambda path: None
