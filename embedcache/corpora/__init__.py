"""Corpora: a folder of audio in, utterances out. One module per corpus.

A corpus plug-in is a module in this folder. Its docstring's first line is its line in
`ser corpora`. It defines:

- `parse(root) -> list[Utterance]`: every clip that lies under `root`, in a fixed order; speakers
  carry the corpus's own names, and `read_corpus` makes them unique (`01` to `ravdess/01`);
- `LAYOUT`: one sentence that says where it looks for what;
- `LABELS`: the emotions that it may give, or an empty tuple where the user's data decide;
- `LICENCE`, `CITATION`: of the corpus itself;
- `EXAMPLE`: files in the corpus's layout and the utterances that `parse` finds in them.

and where they apply:

- `OFFICIAL_FOLDS`: the test speakers of each published fold;
- `SYNTHETIC = True`: not recorded from people, and said so beside every result;
- `generate(root)`: writes the corpus; an extraction calls it where the root is not there yet.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from embedcache.errors import SerError, UsageError
from embedcache.plugins import find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from embedcache.utterance import Utterance

_log = logging.getLogger(__name__)

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3"})


@dataclass(frozen=True, slots=True)
class Example:
    """A small tree in a corpus's layout, and what its parser must find there.

    Attributes:
        audio: Relative paths of audio files; what they sound like does not matter.
        text: Relative paths and contents of annotation files.
        ignored: Relative paths of audio files that the parser must leave out.
        expected: Per utterance id, the fields that the parser must fill and their values; the
            path is relative to the root.
    """

    audio: tuple[str, ...]
    expected: Mapping[str, Mapping[str, object]]
    text: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


class Corpus(Protocol):
    """What a corpus plug-in's module offers."""

    LAYOUT: str
    LABELS: tuple[str, ...]
    LICENCE: str
    CITATION: str
    EXAMPLE: Example

    def parse(self, root: Path) -> list[Utterance]:
        """Every clip under `root`, in a fixed order."""
        ...


def split_name(corpus: str) -> tuple[str, str]:
    """The plug-in's name and the data set's own name of `PLUGIN` or `PLUGIN:NAME`.

    >>> split_name("ravdess"), split_name("folder:my-clips")
    (('ravdess', 'ravdess'), ('folder', 'my-clips'))
    """
    plugin, colon, name = corpus.partition(":")
    if colon and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(
            f"corpus '{corpus}': the name after the colon may hold letters, digits, '.', '_' "
            "and '-', as in folder:my-clips"
        )
    return plugin, name or plugin


def load_corpus(corpus: str) -> Corpus:
    """The plug-in module of a corpus.

    Raises:
        UsageError: There is no such corpus.
    """
    plugin, name = split_name(corpus)
    found = find("embedcache.corpora", "corpus", plugin)
    if name != plugin and not found.constants.get("NAMED", False):
        raise UsageError(
            f"corpus '{corpus}': {plugin} is one corpus and takes no name; write '{plugin}'"
        )
    return cast("Corpus", found.load())


def is_synthetic(corpus: str) -> bool:
    """Whether a corpus is generated rather than recorded from people."""
    plugin, _ = split_name(corpus)
    return bool(find("embedcache.corpora", "corpus", plugin).constants.get("SYNTHETIC", False))


def official_folds(corpus: str) -> tuple[frozenset[str], ...]:
    """The test speakers of each of a corpus's published folds; empty where there are none."""
    plugin, name = split_name(corpus)
    folds = find("embedcache.corpora", "corpus", plugin).constants.get("OFFICIAL_FOLDS", ())
    return tuple(frozenset(f"{name}/{speaker}" for speaker in fold) for fold in folds)


def label_order(corpus: str) -> tuple[str, ...]:
    """The corpus's emotions in its own order; empty where the user's data decide."""
    plugin, _ = split_name(corpus)
    return tuple(find("embedcache.corpora", "corpus", plugin).constants.get("LABELS", ()))


def read_corpus(corpus: str, root: Path, generate: bool = False) -> list[Utterance]:
    """Parse a corpus and check what every corpus must satisfy.

    Args:
        corpus: `PLUGIN` or `PLUGIN:NAME`.
        root: The folder (or, for `manifest`, the file) that holds it.
        generate: Whether a corpus that can be generated is written to a root that is not there.

    Raises:
        UsageError: No such corpus, or `root` does not exist.
        SerError: Nothing was found there, or two utterances share an id.
    """
    module = load_corpus(corpus)
    _, name = split_name(corpus)
    if not root.exists():
        if not (generate and hasattr(module, "generate")):
            raise UsageError(f"--root {root} does not exist; {corpus} looks for {module.LAYOUT}")
        _log.info("writing the %s corpus to %s", corpus, root)
        module.generate(root)
    try:
        utterances = [_unique_speaker(u, name) for u in module.parse(root)]
    except OSError as error:
        raise SerError(f"{error.filename or root} cannot be read ({error.strerror})") from error
    if not utterances:
        raise SerError(f"no utterance found under {root}: {corpus} looks for {module.LAYOUT}")
    twins = [name for name, count in Counter(u.id for u in utterances).items() if count > 1]
    if twins:
        paths = " and ".join(str(u.path) for u in utterances if u.id == twins[0])
        raise SerError(
            f"{len(twins)} utterance ids occur twice, the first is '{twins[0]}': {paths}; "
            "give each clip an id of its own"
        )
    return utterances


def _unique_speaker(utterance: Utterance, corpus: str) -> Utterance:
    speaker = utterance.speaker
    return utterance if speaker is None else replace(utterance, speaker=f"{corpus}/{speaker}")


def clip_ids(paths: Sequence[Path], root: Path) -> list[str]:
    """Names of clips: their own without folder and suffix, where those are unique.

    Otherwise the relative path without suffix; with it, where only the suffix tells two apart.

    >>> clip_ids([Path("r/a/x.wav"), Path("r/b/y.wav")], Path("r"))
    ['x', 'y']
    >>> clip_ids([Path("r/a/x.wav"), Path("r/b/x.wav")], Path("r"))
    ['a/x', 'b/x']
    """
    names = [path.stem for path in paths]
    if len(set(names)) == len(names):
        return names
    return relative_ids(paths, root)


def relative_ids(paths: Sequence[Path], root: Path) -> list[str]:
    """Relative paths without suffix; with it, where only the suffix tells two apart.

    >>> relative_ids([Path("r/x.wav"), Path("r/x.mp3"), Path("r/y.wav")], Path("r"))
    ['x.wav', 'x.mp3', 'y']
    """
    bare = [path.relative_to(root).with_suffix("").as_posix() for path in paths]
    counts = Counter(bare)
    return [
        name if counts[name] == 1 else path.relative_to(root).as_posix()
        for name, path in zip(bare, paths, strict=True)
    ]


def audio_files(root: Path) -> list[Path]:
    """All audio files under a folder, sorted by path; symbolic links to folders are followed.

    AppleDouble leftovers (`._name.wav`) and hidden folders are left out. A link that leads back
    to a folder above itself is not followed again.
    """
    found: list[Path] = []
    _walk(root, frozenset(), found)
    return sorted(found)


def _walk(folder: Path, above: frozenset[Path], found: list[Path]) -> None:
    real = folder.resolve()
    if real in above:
        return
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            _walk(entry, above | {real}, found)
        elif entry.suffix.lower() in AUDIO_SUFFIXES:
            found.append(entry)
