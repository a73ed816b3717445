"""Your own clips: one folder per emotion, sub-folders (where there are any) name speakers.

Write `folder:NAME` to give a data set its own name, and so its own cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedcache.corpora import Example, audio_files, relative_ids, warn_of_left_out
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from pathlib import Path

NAMED = True
LAYOUT = (
    "one folder per emotion with wav, flac, ogg or mp3 files in it, such as angry/clip1.wav, "
    "or angry/SPEAKER/clip1.wav where speakers are known"
)
LABELS: tuple[str, ...] = ()
LICENCE = "the user's own"
CITATION = "the user's own"

EXAMPLE = Example(
    audio=("Angry/clip 1.wav", "sad/anna/take1.flac"),
    ignored=("loose.wav", "sad/._take1.wav"),
    expected={
        "Angry/clip 1": {"path": "Angry/clip 1.wav", "label": "angry", "speaker": None},
        "sad/anna/take1": {"label": "sad", "speaker": "anna"},
    },
)


def parse(root: Path) -> list[Utterance]:
    """Every audio file in a folder below `root`; the first folder is the emotion."""
    if not root.is_dir():
        return []
    paths = audio_files(root)
    found, loose = [], []
    for name, path in zip(relative_ids(paths, root), paths, strict=True):
        emotion, *speakers = path.relative_to(root).parts[:-1] or ("",)
        if not emotion:
            loose.append(path.name)
            continue
        found.append(
            Utterance(
                id=name,
                path=path,
                speaker=speakers[0] if speakers else None,
                label=emotion.strip().lower(),
            )
        )
    if found:
        warn_of_left_out("folder", "audio files that lie in no folder of an emotion", loose)
    return found
