"""Audio files that are not what they should be, by the thousand, from a seed.

Each kind of fault is a function that takes the generator and gives a file's bytes. What is mutated
is a short clip in each container that libsndfile knows, for it goes by a file's bytes and not by
its name.
"""

from __future__ import annotations

import io
import os
import random
import struct
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from tests.material import noise

CONTAINERS = {
    "wav": ("WAV", "PCM_16"), "wav float": ("WAV", "FLOAT"), "wav double": ("WAV", "DOUBLE"),
    "wav 8 bit": ("WAV", "PCM_U8"), "wav adpcm": ("WAV", "MS_ADPCM"), "wavex": ("WAVEX", "PCM_24"),
    "rf64": ("RF64", "PCM_16"), "w64": ("W64", "PCM_16"), "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"), "alac": ("CAF", "ALAC_16"), "au": ("AU", "PCM_16"),
    "nist": ("NIST", "PCM_16"), "voc": ("VOC", "PCM_16"), "flac": ("FLAC", "PCM_16"),
    "vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III"),
}  # fmt: skip
_RATE_HZ = 16_000
_HEAD = 200
_EXTREMES = (
    0,
    1,
    2,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFE,
    0xFFFF_FFFF,
)
_CHANNELS = (0, 1, 2, 3, 255, 256, 1024, 1025, 32_768, 65_535)
_RATES_HZ = (0, 1, 2, 999, 1_000, 1_001, 44_101, 767_999, 768_000, 768_001, 2**31, 2**32 - 1)
_BITS = (0, 1, 7, 8, 16, 24, 32, 33, 64, 128, 65_535)
_NOT_NUMBERS = (np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 1e7)


@cache
def whole(container: str, seed: int = 0) -> bytes:
    """A sound clip of a quarter of a second in a container."""
    file = io.BytesIO()
    kind, subtype = CONTAINERS[container]
    soundfile.write(file, noise(0.25, seed), _RATE_HZ, format=kind, subtype=subtype)
    return file.getvalue()


def truncated(container: str, share: float) -> bytes:
    """The first part of a sound clip."""
    data = whole(container)
    return data[: int(len(data) * share)]


def _any(draw: random.Random) -> bytes:
    return whole(draw.choice(list(CONTAINERS)), draw.randrange(3))


def _cut(draw: random.Random) -> bytes:
    return truncated(draw.choice(list(CONTAINERS)), draw.random())


def _cut_in_its_head(draw: random.Random) -> bytes:
    return _any(draw)[: draw.randrange(_HEAD)]


def _flipped(draw: random.Random) -> bytes:
    data = bytearray(_any(draw))
    for _ in range(draw.choice((1, 1, 2, 8, 100))):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def _flipped_in_its_head(draw: random.Random) -> bytes:
    data = bytearray(_any(draw))
    for _ in range(draw.choice((1, 1, 2, 4))):
        data[draw.randrange(min(_HEAD, len(data)))] = draw.randrange(256)
    return bytes(data)


def _another_number_in_its_head(draw: random.Random) -> bytes:
    """Chunk lengths, counts of samples, sizes of blocks: whatever stands there."""
    data = bytearray(_any(draw))
    size, code = draw.choice(((2, "H"), (4, "I"), (8, "Q")))
    value = draw.choice((*_EXTREMES, len(data), len(data) - 1, draw.randrange(1 << 8 * size)))
    at = draw.randrange(4, min(_HEAD, len(data)) - size)
    data[at : at + size] = struct.pack(draw.choice("<>") + code, value % (1 << 8 * size))
    return bytes(data)


def _shuffled(draw: random.Random) -> bytes:
    """A stretch is zeroed, doubled, left out, or taken from another file."""
    data, other = _any(draw), _any(draw)
    start = draw.randrange(len(data))
    end = min(len(data), start + draw.randrange(1, 4000))
    at = draw.randrange(len(other))
    middle = draw.choice(
        (bytes(end - start), data[start:end] * 2, b"", other[at : at + end - start])
    )
    return data[:start] + middle + data[end:]


def _behind_or_before_something(draw: random.Random) -> bytes:
    rest = draw.randbytes(draw.choice((1, 7, 128, 5000)))
    return draw.choice((_any(draw) + rest, rest + _any(draw), _any(draw) + _any(draw)))


def _no_numbers(draw: random.Random) -> bytes:
    dtype = draw.choice(("<f4", "<f8"))
    samples = noise(0.25, draw.randrange(3)).astype(dtype)
    with np.errstate(over="ignore"):
        for _ in range(draw.choice((1, 10, 4000))):
            samples[draw.randrange(len(samples))] = draw.choice(_NOT_NUMBERS)
    bits = samples.itemsize * 8
    return wav(samples.tobytes(), tag=3, bits=bits)


def _odd_format(draw: random.Random) -> bytes:
    """A well-formed wav file of any channels, rate, depth and kind."""
    return wav(
        noise(0.25, draw.randrange(3)).tobytes(),
        tag=draw.choice((0, 1, 1, 1, 2, 3, 6, 7, 17, 49, 85, 0xFFFE, 0xFFFF)),
        channels=draw.choice((1, 1, *_CHANNELS)),
        rate_hz=draw.choice((16_000, 16_000, *_RATES_HZ)),
        bits=draw.choice((16, 16, *_BITS)),
    )


def _long_by_its_header(draw: random.Random) -> bytes:
    """Twelve hours, or more than there is time, in a header with little behind it."""
    length = draw.choice((12 * 3600 * 32_000, 0x7FFF_EFFF, 0x7FFF_F000, 0xFFFF_FFFF, 0))
    data = bytearray(wav((noise(0.25, 0) * 32_767).astype("<i2").tobytes()))
    data[40:44] = struct.pack("<I", length)
    kind = draw.choice(("wav", "flac", "w64", "caf", "au"))
    if kind == "wav":
        return bytes(data)
    other = bytearray(whole(kind))
    if kind == "flac":  # 36 bits of samples in STREAMINFO
        other[22:26] = struct.pack(">I", draw.choice((12 * 3600 * _RATE_HZ, 0xFFFF_FFFF, 0)))
        return bytes(other)
    mark = other.find(b"data") + (16 if kind == "w64" else 4)
    code = {"w64": "<Q", "caf": ">Q", "au": ">I"}[kind]
    mark = 8 if kind == "au" else mark
    size = struct.calcsize(code)
    other[mark : mark + size] = struct.pack(code, draw.choice((length, 2**62)) % (1 << 8 * size))
    return bytes(other)


def _nothing_like_audio(draw: random.Random) -> bytes:
    return draw.choice(
        (
            b"", b"\0", b"RIFF", b"OggS", b"fLaC", b"ID3", b"\xff\xfb", b"FORM", b"caff",
            b"no audio, but text\n" * 50, b"{}", b"<html>", b"\xff\xd8\xff\xe0", b"PK\3\4",
            b"%PDF-1.7\n", b"\0" * 5000, b"\xff" * 5000, b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
            draw.randbytes(draw.randrange(6000)),
        )
    )  # fmt: skip


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "cut": _cut,
    "cut in its head": _cut_in_its_head,
    "bytes flipped": _flipped,
    "bytes of its head flipped": _flipped_in_its_head,
    "another number in its head": _another_number_in_its_head,
    "stretches shuffled": _shuffled,
    "something before or behind": _behind_or_before_something,
    "NaN, infinite, huge": _no_numbers,
    "odd channels, rate, depth": _odd_format,
    "hours by its header": _long_by_its_header,
    "no audio at all": _nothing_like_audio,
}


def wav(
    data: bytes, tag: int = 1, channels: int = 1, rate_hz: int = _RATE_HZ, bits: int = 16
) -> bytes:
    """A wav file by its fields, which need not make sense."""
    block = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", tag, channels, rate_hz, rate_hz * block % 2**32, block % 2**16, bits
    )
    chunks = struct.pack("<4sI", b"fmt ", len(form)) + form
    chunks += struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks


def write_malformed(root: Path, count: int, seed: int) -> dict[str, str]:
    """Write malformed files as a corpus for `folder`: utterance ids with the kind of fault."""
    draw = random.Random(seed)
    written: dict[str, str] = {}
    folder = root / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    for number, kind in zip(range(count), cycle(KINDS)):
        suffix = draw.choice((".wav", ".flac", ".ogg", ".mp3"))
        (folder / f"f{number:05}{suffix}").write_bytes(KINDS[kind](draw))
        written[f"fuzz/f{number:05}"] = kind
    return written


def write_no_files(root: Path) -> dict[str, str]:
    """What has an audio file's name and is none, and files with names of any bytes.

    Folders that lead back to themselves are there too, and hold nothing that is listed.
    """
    folder = root / "odd"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.wav")
    for name, target in (
        ("nowhere", "not-there.wav"), ("itself", "itself.wav"), ("memory", "/proc/self/mem"),
        ("zeros", "/dev/zero"), ("status", "/proc/self/status"),
    ):  # fmt: skip
        (folder / f"{name}.wav").symlink_to(target)
    (folder / "folder.wav").mkdir()
    (folder / "round").symlink_to("..")
    (folder / "round.wav").symlink_to(".")
    names = [b"latin-\xe9", b"\xff\xfe", "\u2028\U0001f600".encode(), b"new\nline", b"-rf ~;`$(x)`",
             b"\x1b[31m", b"a" * 240]  # fmt: skip
    for seed, name in enumerate(names):
        (folder / os.fsdecode(name + b".wav")).write_bytes(whole("wav", 10 + seed))
    listed = ["pipe", "nowhere", "itself", "memory", "zeros", "status"]
    return {f"odd/{name}": "no file" for name in listed} | {
        f"odd/{os.fsdecode(name)}": "odd name" for name in names
    }


def every_cut(steps: int) -> Iterator[tuple[str, float]]:
    """Each container, cut at evenly spaced shares of its length."""
    for container in CONTAINERS:
        for step in range(1, steps):
            yield container, step / steps
