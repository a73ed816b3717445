"""What libsndfile does not tell of a file: whether all of it is there, whether its length is known.

It shortens truncated WAV, AIFF and Ogg files without a word, and guesses the length of an MP3 that
has no frame count.
"""

from __future__ import annotations

import errno
import stat
import struct
from pathlib import Path
from typing import BinaryIO

_OGG_TAIL = 1 << 17  # a page is at most 65,307 bytes
_OGG_END = 4
_MP3_HEAD = 4096
_STREAMED = 0x7FFF_F000


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
    file.seek(0)
    magic = file.read(12)
    missing = 0
    if magic[:4] == b"RIFF" and magic[8:12] == b"WAVE":
        missing = _missing_bytes(file, "<4sI", b"data")
    elif magic[:4] == b"FORM" and magic[8:12] in (b"AIFF", b"AIFC"):
        missing = _missing_bytes(file, ">4sI", b"SSND")
    if missing:
        return f"its header promises {missing} bytes more"
    if magic[:4] == b"OggS" and not _ogg_ends(file):
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


def _missing_bytes(file: BinaryIO, head: str, wanted: bytes) -> int:
    """How many bytes the chunk with the samples promises beyond the file's end.

    A size of 0 or near 2^32 is what a stream writes before it knows better, and promises nothing.

    Args:
        file: In chunks, from byte 12 on.
        head: How `struct` reads a chunk's name and size.
        wanted: Name of the chunk that holds the samples.
    """
    size = file.seek(0, 2)
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(head, file.read(8))
        position += 8
        if name == wanted:
            streamed = length == 0 or length >= _STREAMED
            return 0 if streamed else max(0, position + length - size)
        position += length + (length & 1)
    return 0


def _ogg_ends(file: BinaryIO) -> bool:
    """Whether the last page carries the flag that ends a stream (RFC 3533, section 6)."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _OGG_TAIL))
    tail = file.read()
    page = tail.rfind(b"OggS")
    return page >= 0 and page + 6 <= len(tail) and bool(tail[page + 5] & _OGG_END)
