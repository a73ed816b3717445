"""What libsndfile does not tell of a file: whether all of it is there, whether its length is known.

It shortens truncated WAV, RF64, W64, AIFF, CAF, AU and Ogg files without a word, and guesses the
length of an MP3 that has no frame count.
"""

from __future__ import annotations

import errno
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_OGG_TAIL = 1 << 17  # a page is at most 65,307 bytes
_OGG_END = 4
_MP3_HEAD = 4096
_STREAMED, _STREAMED_64 = 0x7FFF_F000, 1 << 62


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; a pipe, a device or a folder is refused and never waited for.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "no regular file")
    return path.open("rb")


def missing_part(file: BinaryIO) -> str:
    """What a file's container promises and the file does not hold; empty where all is there."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(36).ljust(36, b"\0")
    end = 0
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        end = sum(_samples(file, _Chunks(12, "<4sI", b"data")))
    elif head[:4] == b"RF64" and head[8:16] == b"WAVEds64":  # EBU Tech 3306: 64 bits, in ds64
        start, _ = _samples(file, _Chunks(12, "<4sI", b"data"))
        length = int.from_bytes(head[28:36], "little")
        end = start + length if start else 0
    elif head[:4] == b"riff":  # Sony Wave64: names of 16 bytes, sizes that count the head
        end = sum(_samples(file, _Chunks(40, "<4s12xQ", b"data", counted=24, aligned=8)))
    elif head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        end = sum(_samples(file, _Chunks(12, ">4sI", b"SSND")))
    elif head[:4] == b"caff":
        end = sum(_samples(file, _Chunks(8, ">4sQ", b"data", aligned=1)))
    elif head[:4] == b".snd":
        start, length = struct.unpack(">II", head[4:12])
        end = start + length if length < _STREAMED else 0
    if end > size:
        return f"its header promises {end - size} bytes more"
    if head[:4] == b"OggS" and not _ogg_ends(file):
        return "its last Ogg page does not end the stream"
    return ""


def length_is_known(file: BinaryIO) -> bool:
    """Whether libsndfile can know how long a file is, and so reads it to its end.

    Of an MP3 it does only if the first frame, behind any ID3v2 tag, is a Xing, Info or VBRI header.
    Otherwise it guesses from the bit rate, and stops at its guess.
    """
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3":
        size = 0
        for byte in head[6:10]:  # seven bits each
            size = size << 7 | byte & 0x7F
        start = 10 + size
    file.seek(start)
    first = file.read(_MP3_HEAD)
    is_mpeg = len(first) > 1 and first[0] == 0xFF and first[1] & 0xE0 == 0xE0
    return not is_mpeg or any(name in first for name in (b"Xing", b"Info", b"VBRI"))


@dataclass(frozen=True, slots=True)
class _Chunks:
    """How a container is made of chunks.

    Attributes:
        start: Where the first begins.
        head: How `struct` reads a chunk's name and size.
        wanted: Name of the chunk that holds the samples.
        counted: Bytes of the head that the size counts in.
        aligned: Chunks begin at multiples of this, counted from the file's beginning.
    """

    start: int
    head: str
    wanted: bytes
    counted: int = 0
    aligned: int = 2


def _samples(file: BinaryIO, chunks: _Chunks) -> tuple[int, int]:
    """Where the samples begin and how many bytes of them are promised; 0, 0 where nothing is.

    A size of 0 or near the field's largest is what a stream writes before it knows better, and
    promises nothing.
    """
    size = file.seek(0, 2)
    position, width = chunks.start, struct.calcsize(chunks.head)
    streamed = _STREAMED if chunks.head.endswith("I") else _STREAMED_64
    while position + width <= size:
        file.seek(position)
        name, length = struct.unpack(chunks.head, file.read(width))
        position += width
        body = max(0, length - chunks.counted)
        if name == chunks.wanted:
            return position, body if 0 < length < streamed else 0
        position += -(-body // chunks.aligned) * chunks.aligned
    return 0, 0


def _ogg_ends(file: BinaryIO) -> bool:
    """Whether the last page carries the flag that ends a stream (RFC 3533, section 6)."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _OGG_TAIL))
    tail = file.read()
    page = tail.rfind(b"OggS")
    return page >= 0 and page + 6 <= len(tail) and bool(tail[page + 5] & _OGG_END)
