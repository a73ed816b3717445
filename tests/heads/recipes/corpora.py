"""Small corpora in the real ones' layouts: the pitch of a tone is the emotion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from embedcache.corpora.ravdess import LABELS as EMOTIONS
from tests.material import RATE_HZ, noise, tone, write_iemocap

SECONDS = 0.3


def write_clip(path: Path, number: int, seed: int) -> None:
    """A tone whose pitch tells the number of the emotion, in noise of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = tone(200 + 150 * number, SECONDS) + 0.3 * noise(SECONDS, seed)
    soundfile.write(path, wave.astype(np.float32), RATE_HZ)


def write_ravdess(root: Path) -> Path:
    """One clip of each of 24 actors and eight emotions."""
    for actor in range(1, 25):
        for number in range(len(EMOTIONS)):
            name = f"03-01-0{number + 1}-01-01-01-{actor:02}.wav"
            write_clip(root / f"Actor_{actor:02}" / name, number, 100 * actor + number)
    return root


def select_ravdess(root: Path, real: Path, emotions: Sequence[int]) -> Path:
    """One clip of each actor and of some emotions of the real corpus, linked."""
    for number in emotions:
        for path in sorted(real.rglob(f"03-01-0{number}-01-01-01-*.flac")):
            link = root / path.relative_to(real)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return root


def write_sessions(root: Path) -> Path:
    """IEMOCAP's five sessions: two speakers each, with three clips of four emotions."""
    codes = ("ang", "hap", "sad", "neu")
    named = [
        (f"Ses0{session}F_impro01_{speaker}{n:03}", codes[n % len(codes)])
        for session in range(1, 6)
        for speaker in "FM"
        for n in range(3 * len(codes))
    ]
    write_iemocap(root, named)
    of_name = dict(named)
    for seed, path in enumerate(sorted(root.rglob("*.wav"))):
        write_clip(path, codes.index(of_name[path.stem]), seed)
    return root


def write_cremad(root: Path) -> Path:
    """CREMA-D with ten actors, twelve clips of each, ages and listeners' votes; some are tied."""
    codes, letters = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), "ADFHNS"
    votes = ['"","A","D","F","H","N","S","fileName","numResponses"']
    actors = ["ActorID,Age,Sex,Race,Ethnicity"]
    for actor in range(1001, 1011):
        sex = "Female" if actor % 2 else "Male"
        actors.append(f'{actor},{20 + 4 * (actor - 1001)},"{sex}","Asian","Hispanic"')
        for sentence in ("IEO", "TIE"):
            for number, code in enumerate(codes):
                name = f"{actor}_{sentence}_{code}_XX"
                write_clip(root / "AudioWAV" / f"{name}.wav", number, len(votes))
                heard = [4 if x == letters[number] else 0 for x in letters]
                heard[(number + 1) % len(letters)] = 4 if len(votes) % 7 == 0 else 1
                row = ",".join(map(str, heard))
                votes.append(f'"{100_000 + len(votes)}",{row},"{name}",{sum(heard)}')
    for path, lines in {
        "processedResults/tabulatedVotes.csv": votes,
        "VideoDemographics.csv": actors,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
