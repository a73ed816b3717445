"""Clips of corpora whose file names tell all: which files are clips, and which of them are one."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedcache.corpora._files import audio_files, clip_ids
from embedcache.corpora._messages import warn_of_left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from embedcache.utterance import Utterance

_log = logging.getLogger(__name__)

# Of copies, the one that lost nothing and decodes fastest.
_PREFERRED = (".wav", ".flac")


def clips_by_name(
    corpus: str,
    root: Path,
    describe: Callable[[Path], Utterance | None],
    others: Mapping[str, Callable[[Path], object]] | None = None,
) -> list[Utterance]:
    """The clips under a folder that a grammar of names describes, sorted by path.

    Files of the same name that say the same are one clip, of which one file is read: archives that
    are unpacked twice, WAV beside FLAC. These copies, and audio files that the grammar does not
    describe, are left out with a warning that names them.

    Args:
        corpus: What messages call it.
        root: The folder.
        describe: Gives the utterance that a path stands for, or None where it is none.
        others: Files that are known not to belong to the corpus: what they are, and whether a path
            is one of them. They are counted without a warning.

    Returns:
        Their `id` is the file's name without suffix, or the relative path where clips share names.
    """
    found: list[Utterance] = []
    strange: list[Path] = []
    for path in audio_files(root):
        if told := describe(path):
            found.append(told)
        else:
            strange.append(path)
    if not found:
        return []
    for what, belongs in (others or {}).items():
        known = {path for path in strange if belongs(path)}
        strange = [path for path in strange if path not in known]
        if known:
            _log.info("%s: left out: %d %s", corpus, len(known), what)
    kept, copies = _without_copies(found)
    what = "audio files whose names or folders do not follow its grammar"
    warn_of_left_out(corpus, what, _relative(strange, root))
    warn_of_left_out(corpus, "copies of clips that are read", _relative(copies, root))
    names = clip_ids([utterance.path for utterance in kept], root)
    return [
        utterance if utterance.id == name else replace(utterance, id=name)
        for utterance, name in zip(kept, names, strict=True)
    ]


def _without_copies(found: Sequence[Utterance]) -> tuple[list[Utterance], list[Path]]:
    """One utterance for each name and what it says, in the same order, and the files left out."""
    by_name: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in found:
        by_name[utterance.path.stem.lower()].append(utterance)
    copies: set[Path] = set()
    for twins in by_name.values():
        if len(twins) == 1:
            continue
        best: set[str] = set()
        for utterance in sorted(twins, key=lambda u: preference(u.path)):
            told = repr(replace(utterance, id="", path=Path()))
            if told in best:
                copies.add(utterance.path)
            best.add(told)
    kept = [utterance for utterance in found if utterance.path not in copies]
    return kept, [utterance.path for utterance in found if utterance.path in copies]


def preference(path: Path) -> tuple[int, int, Path]:
    """Sorts files from the one to keep: by suffix, then by depth, then by name."""
    suffix = path.suffix.lower()
    rank = _PREFERRED.index(suffix) if suffix in _PREFERRED else len(_PREFERRED)
    return rank, len(path.parts), path


def _relative(paths: Sequence[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]
