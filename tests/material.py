"""What tests are made of: real corpora where they are present, small ones that are written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from embedcache.encoders import Encoder

RATE_HZ = 16_000
REPOSITORY = Path(__file__).parents[1]


def real_data(name: str) -> Path:
    """A real corpus beside the repository or in $SER_TEST_DATA; without it the test is skipped."""
    folder = Path(os.environ.get("SER_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"the real corpus {name} is not there ($SER_TEST_DATA)")
    return folder


def real_specs(name: str) -> Path:
    """A specification beside the repository or in $SER_TEST_SPECS; without it, a skipped test."""
    file = Path(os.environ.get("SER_TEST_SPECS", REPOSITORY.parent / "shared" / "specs")) / name
    if not file.is_file():
        pytest.skip(f"the specification {name} is not there ($SER_TEST_SPECS)")
    return file


def noise(seconds: float, seed: int, rate_hz: int = RATE_HZ) -> np.ndarray:
    """A clip of noise with a slow swell, float32."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    swell = 0.5 + 0.5 * np.sin(np.arange(count) * 2 * np.pi * 3 / rate_hz)
    return (0.1 * rng.standard_normal(count) * swell).astype(np.float32)


def encoded(encoder: Encoder, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Frames of clips that share a batch, float32 [L, T, D] each, NaN or not."""
    frames = encoder.encode(clips)
    return [np.asarray(one.float() if isinstance(one, torch.Tensor) else one) for one in frames]


def tone(hz: float, seconds: float = 1.0, rate_hz: int = RATE_HZ, peak: float = 0.3) -> np.ndarray:
    """A sine, float32."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return (peak * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def write_clips(root: Path, count: int, labels: tuple[str, ...] = ("angry", "sad")) -> Path:
    """A corpus for `folder`: clips of 0.2 to 0.9 s by six speakers."""
    for n in range(count):
        folder = root / labels[n % len(labels)] / f"s{n // len(labels) % 6}"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"clip{n:03}.wav", noise(0.2 + 0.1 * (n % 8), n), RATE_HZ)
    return root


def write_iemocap(root: Path, utterances: Sequence[tuple[str, str]] = ()) -> Path:
    """A release of IEMOCAP in its own layout: annotation text, and empty files for audio.

    Args:
        root: Where it goes.
        utterances: Names and codes; none makes as many as the real release has, per session and
            code.
    """
    from embedcache.corpora._emoevaluation import CODES
    from embedcache.corpora.iemocap import CLASSES, SESSIONS

    if not utterances:
        codes = [code for code, x in CODES.items() for _ in range(CLASSES[x or "no majority"])]
        sessions = [session for session, count in SESSIONS.items() for _ in range(count)]
        # A stride that shares no factor with their number deals the codes over all sessions.
        dealt = [codes[i * 7919 % len(codes)] for i in range(len(codes))]
        utterances = [
            (f"Ses0{s}F_impro{n // 80:02}_{'FM'[n % 2]}{n % 80:03}", code)
            for n, (s, code) in enumerate(zip(sessions, dealt, strict=True))
        ]
    words = {"ang": "Anger", "hap": "Happiness", "sad": "Sadness", "neu": "Neutral"}
    dialogues: dict[Path, list[str]] = {}
    for name, code in utterances:
        dialogue, session = name.rpartition("_")[0], root / f"Session{name[4]}"
        text = session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt"
        word = words.get(code, "Other")
        dialogues.setdefault(
            text, ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"]
        ).append(
            f"[6.2901 - 8.2357]\t{name}\t{code}\t[2.5000, 2.0000, 3.5000]\n"
            f"C-E1:\t{word};\t()\nC-E2:\t{word}; Surprise;\t()\nC-E3:\tNeutral;\t(so, so)\n"
            f"C-F1:\t{word};\t()\nA-E1:\tval 3; act 2; dom  3;\t()\n"
            "A-E2:\tval 2; act 2; dom  4;\t()\nA-F1:\tval 3; act 2; dom  ;\t()\n"
        )
        audio = session / "sentences" / "wav" / dialogue / f"{name}.wav"
        audio.parent.mkdir(parents=True, exist_ok=True)
        audio.touch()
    for path, blocks in dialogues.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(blocks), encoding="utf-8")
    return root
