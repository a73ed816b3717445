"""Files of a corpus: finding them, and naming clips after them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3"})


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
    """All audio files under a folder, sorted by path; see `files_below`."""
    return files_below(root, AUDIO_SUFFIXES)


def files_below(root: Path, suffixes: frozenset[str]) -> list[Path]:
    """All files under a folder with one of some suffixes (in lower case), sorted by path.

    Symbolic links to folders are followed, but for one that leads back to a folder above itself.
    AppleDouble leftovers (`._name.wav`) and hidden folders are left out.
    """
    found: list[Path] = []
    _walk(str(root), frozenset(), suffixes, found)
    return found


def _walk(folder: str, above: frozenset[str], suffixes: frozenset[str], found: list[Path]) -> None:
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.name.startswith("."):
            continue
        if _leads_to_folder(entry):
            _walk(entry.path, above | {real}, suffixes, found)
        elif os.path.splitext(entry.name)[1].lower() in suffixes:  # noqa: PTH122 - a thousand times
            found.append(Path(entry.path))


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link to itself is a file that has gone."""
    try:
        return entry.is_dir()
    except OSError:
        return False
