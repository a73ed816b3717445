"""Corpora: a folder of audio in, utterances out. One module per corpus.

A corpus plug-in is a module in this folder. Its docstring's first line is its line in
`ser corpora`. It defines:

- `parse(root) -> list[Utterance]`: every clip that lies under `root`, in a fixed order; speakers
  carry the corpus's own names, and `read_corpus` makes them unique (`01` to `ravdess/01`). Where
  the name after the colon chooses what is read (`emobox:ravdess`), `parse_named(root, name)`;
- `LAYOUT`: one sentence that says where it looks for what;
- `LABELS`: the emotions that it may give, or an empty tuple where the user's data decide;
- `LICENCE`, `CITATION`: of the corpus itself;
- `EXAMPLE`: files in the corpus's layout and the utterances that `parse` finds in them.

and where they apply:

- `describe(path) -> Utterance | None`: what a clip's path alone tells, without reading anything;
- `OFFICIAL_FOLDS`: the test speakers of each published fold; `parse` fills `Utterance.folds` itself
  where folds are lists of clips;
- `LABEL_SETS`: named sets of classes, such as `{"iemocap-4": {"version": 1, "classes": {"angry":
  "angry", "excited": "happy"}}}`, from the corpus's labels to classes; others are left out;
- `NAMED = True`: it reads the user's own data sets, which have names: `folder:mine`;
- `SHARED_LABEL_SETS`: by data set, label sets of the plug-in of that name whose labels it gives in
  the same words, such as `{"iemocap": ("iemocap-4",)}` for `emobox:iemocap`;
- `NEEDS`: the package of an extra that it reads with; `write_example(root)` where the example has
  to be written by that package;
- `SPEAKERS_OF`: the corpus whose speakers and sentences it has too, under the same names;
- `SYNTHETIC = True`: not recorded from people, and said so beside every result;
- `generate(root)`: writes the corpus; an extraction calls it where the root is not there yet.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from embedcache.corpora._clips import clips_by_name
from embedcache.corpora._files import (
    AUDIO_SUFFIXES,
    audio_files,
    clip_ids,
    files_below,
    relative_ids,
)
from embedcache.corpora._messages import first_names, warn_of_left_out, warn_of_missing
from embedcache.errors import SerError, UsageError
from embedcache.plugins import find

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from embedcache.utterance import Utterance

_log = logging.getLogger(__name__)

_SURROGATE = re.compile("[\ud800-\udfff]")

__all__ = [
    "AUDIO_SUFFIXES",
    "Corpus",
    "Example",
    "audio_files",
    "clip_ids",
    "clips_by_name",
    "emobox_name",
    "files_below",
    "first_names",
    "is_synthetic",
    "label_order",
    "label_sets",
    "load_corpus",
    "read_corpus",
    "relative_ids",
    "speakers_of",
    "split_name",
    "warn_of_left_out",
    "warn_of_missing",
]


@dataclass(frozen=True, slots=True)
class Example:
    """A small tree in a corpus's layout, and what its parser must find there.

    Attributes:
        audio: Relative paths of audio files; what they sound like does not matter.
        text: Relative paths and contents of annotation files.
        ignored: Relative paths of audio files that the parser must leave out.
        expected: Per utterance id, the fields that the parser must fill and their values; the
            path is relative to the root.
        name: The data set's name after the colon, where the corpus needs one.
    """

    audio: tuple[str, ...]
    expected: Mapping[str, Mapping[str, object]]
    text: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    name: str = ""


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


def speakers_of(corpus: str) -> str:
    """The name that a corpus's speakers carry: its own, or that of a corpus with the same ones.

    >>> speakers_of("emobox:ravdess"), speakers_of("ravdess_song"), speakers_of("folder:mine")
    ('ravdess', 'ravdess', 'mine')
    """
    plugin, name = split_name(corpus)
    return str(find("embedcache.corpora", "corpus", plugin).constants.get("SPEAKERS_OF", name))


def emobox_name(corpus: str) -> str | None:
    """Under which name EmoBox's lists and folds have a corpus; None where they do not.

    >>> emobox_name("cremad"), emobox_name("folder:cremad")
    ('emobox:cremad', None)
    """
    known = find("embedcache.corpora", "corpus", "emobox").constants["DATA_SETS"]
    return f"emobox:{corpus}" if corpus in known else None


def label_order(corpus: str) -> tuple[str, ...]:
    """The corpus's emotions in its own order; empty where the user's data decide."""
    plugin, _ = split_name(corpus)
    return tuple(find("embedcache.corpora", "corpus", plugin).constants.get("LABELS", ()))


def label_sets(corpus: str) -> dict[str, dict[str, Any]]:
    """The corpus's named sets of classes: each with its `version` and `classes`."""
    plugin, name = split_name(corpus)
    constants = find("embedcache.corpora", "corpus", plugin).constants
    shared = constants.get("SHARED_LABEL_SETS", {}).get(name, ())
    theirs = label_sets(name) if shared else {}
    return {**constants.get("LABEL_SETS", {}), **{key: theirs[key] for key in shared}}


def read_corpus(corpus: str, root: Path, generate: bool = False) -> list[Utterance]:
    """Parse a corpus and check what every corpus must satisfy.

    Args:
        corpus: `PLUGIN` or `PLUGIN:NAME`.
        root: The folder (or, for `manifest`, the file) that holds it.
        generate: Whether a corpus that can be generated is written to a root that is not there.

    Raises:
        UsageError: No such corpus, or `root` does not exist.
        SerError: Nothing was found there, two utterances share an id, or bounds are reversed.
    """
    module = load_corpus(corpus)
    if not root.exists():
        if not (generate and hasattr(module, "generate")):
            raise UsageError(f"--root {root} does not exist; {corpus} looks for {module.LAYOUT}")
        _log.info("writing the %s corpus to %s", corpus, root)
        module.generate(root)
    try:
        found = parse(module, corpus, root)
    except OSError as error:
        raise SerError(f"{error.filename or root} cannot be read ({error.strerror})") from error
    if not found:
        raise SerError(f"no utterance found under {root}: {corpus} looks for {module.LAYOUT}")
    found = _with_plain_text(found)
    _require_unique_ids(found)
    _check_bounds(found)
    home = speakers_of(corpus)
    folds = getattr(module, "OFFICIAL_FOLDS", ())
    return [_unique_speaker(_with_folds(u, folds), home) for u in found]


def parse(module: Corpus, corpus: str, root: Path) -> list[Utterance]:
    """The utterances under `root` as the plug-in gives them, nothing checked.

    Raises:
        UsageError: The corpus needs a name after the colon.
    """
    plugin, name = split_name(corpus)
    if not hasattr(module, "parse_named"):
        return module.parse(root)
    if ":" not in corpus:
        raise UsageError(f"corpus '{corpus}': name the data set, as in {plugin}:ravdess")
    found: list[Utterance] = module.parse_named(root, name)
    return found


def _with_plain_text(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The utterances with text that can be written as UTF-8 in all fields but the path.

    Names in an old encoding hold single surrogates for the bytes that are no UTF-8; a path needs
    them to be opened.
    """
    names = [f.name for f in fields(utterances[0]) if f.name != "path"]
    plain, odd = [], []
    for utterance in utterances:
        told = {name: getattr(utterance, name) for name in names}
        changed = {name: new for name, old in told.items() if (new := _plain(old)) != old}
        plain.append(replace(utterance, **changed) if changed else utterance)
        if changed:
            odd.append(plain[-1].id)
    if odd:
        _log.info(
            "%d utterances have names or texts that are no UTF-8; their bytes are written as in "
            "lat\\xe9in, the paths of files stay as they are: %s",
            len(odd),
            first_names(odd),
        )
    return plain


def _plain(value: Any) -> Any:
    r"""Text, or a record of text, with single surrogates written out; all else as it is.

    >>> _plain("lat\udce9in"), _plain({"b\udce9": 1.0}), _plain("\ud800"), _plain("é")
    ('lat\\xe9in', {'b\\xe9': 1.0}, '\\ud800', 'é')
    """
    if isinstance(value, dict):
        return {_plain(key): _plain(cell) for key, cell in value.items()}
    if not isinstance(value, str) or value.isascii():
        return value
    return _SURROGATE.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    """As Python writes it: the byte that a surrogate stands for, or the surrogate itself."""
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _require_unique_ids(utterances: Sequence[Utterance]) -> None:
    twins = [name for name, count in Counter(u.id for u in utterances).items() if count > 1]
    if twins:
        paths = " and ".join(str(u.path) for u in utterances if u.id == twins[0])
        raise SerError(
            f"{len(twins)} utterance ids occur twice, the first is '{twins[0]}': {paths}; "
            "give each clip an id of its own"
        )


def _check_bounds(utterances: Sequence[Utterance]) -> None:
    """Refuse reversed bounds; say where clips of one file overlap."""
    by_path: dict[Path, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if utterance.start_s < 0 or (
            utterance.end_s is not None and utterance.end_s <= utterance.start_s
        ):
            raise SerError(
                f"utterance '{utterance.id}' begins at {utterance.start_s:g} s and ends at "
                f"{utterance.end_s or 0:g} s; it must begin at 0 s or later and end after that"
            )
        by_path[utterance.path].append(utterance)
    overlaps = [pair for clips in by_path.values() for pair in _overlaps(clips)]
    if overlaps:
        first, second = overlaps[0]
        _log.warning(
            "%d clips overlap one before them in the same file, the first: '%s' and '%s' in %s",
            len(overlaps),
            first.id,
            second.id,
            first.path,
        )


def _overlaps(clips: Sequence[Utterance]) -> list[tuple[Utterance, Utterance]]:
    """Clips of one file that begin before one before them ends, each after that one."""
    first, *others = sorted(clips, key=lambda u: u.start_s)
    last, pairs = first, []  # of all clips so far, the one that ends last
    for clip in others:
        if _end_s(last) > clip.start_s:
            pairs.append((last, clip))
        last = max(last, clip, key=_end_s)
    return pairs


def _end_s(utterance: Utterance) -> float:
    return math.inf if utterance.end_s is None else utterance.end_s


def _with_folds(utterance: Utterance, folds: Sequence[Collection[str]]) -> Utterance:
    """Fill in the published folds of a corpus that states them by their test speakers."""
    if not folds or utterance.folds:
        return utterance
    tests = [utterance.speaker in speakers for speakers in folds]
    if not any(tests):
        return utterance
    roles = {str(n): "test" if test else "train" for n, test in enumerate(tests, start=1)}
    return replace(utterance, folds=roles)


def _unique_speaker(utterance: Utterance, corpus: str) -> Utterance:
    speaker = utterance.speaker
    return utterance if speaker is None else replace(utterance, speaker=f"{corpus}/{speaker}")
