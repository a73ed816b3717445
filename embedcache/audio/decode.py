"""Decode an audio file: the header at a glance, or a clip as mono samples at a given rate."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedcache.audio.containers import length_is_known, missing_part, open_regular
from embedcache.audio.resample import resample
from embedcache.errors import ClipError

if TYPE_CHECKING:
    from typing import BinaryIO

    import soundfile

Samples = npt.NDArray[np.float32]

DECODING = {"channels": "mean", "resample": "torchaudio sinc, its defaults"}
"""What a cache's key says of decoding."""
MAX_CLIP_S = 3600.0
RATE_LIMITS_HZ = (1_000, 768_000)
LARGEST_SAMPLE = 1e6
_SYSTEM_ERROR = 2  # libsndfile's SF_ERR_SYSTEM
MAX_CLIP_SAMPLES = 1 << 28  # 1 GB of float32: an hour at 74 kHz
_BLOCK_VALUES = 1 << 20
_UNKNOWN_FRAMES = 1 << 60  # libsndfile's count where the header does not say
_BOUND_SLACK_S = 0.02  # annotated ends are rounded: this much past the end is the end


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a file's header says.

    Attributes:
        rate_hz: Samples per second and channel.
        channels: Number of channels.
        seconds: Duration; None where the header does not say.
    """

    rate_hz: int
    channels: int
    seconds: float | None


def probe(path: Path) -> AudioInfo | None:
    """Read a file's header; None where it is not audio that can be decoded.

    Raises:
        OSError: The file cannot be opened.
    """
    with open_regular(path) as file:
        return probe_open(file)


def probe_open(file: BinaryIO) -> AudioInfo | None:
    """Read the header of an open file, as `probe` does."""
    import soundfile

    try:
        with _open_sound(file) as sound:
            known = sound.samplerate > 0 and 0 <= sound.frames < _UNKNOWN_FRAMES
            seconds = sound.frames / sound.samplerate if known else None
            return AudioInfo(sound.samplerate, sound.channels, seconds)
    except soundfile.LibsndfileError:
        return None


def read_clip(path: Path, start_s: float, end_s: float | None, rate_hz: int) -> Samples:
    """Decode a clip: channels averaged, then resampled, in float32.

    Args:
        path: wav, flac, ogg, mp3, or anything else that libsndfile decodes.
        start_s: Where the clip begins, in seconds.
        end_s: Where it ends, in seconds; None is the end of the file.
        rate_hz: The rate to resample to, see `embedcache.audio.resample`.

    Shape:
        Output: [samples].

    Raises:
        ClipError: `io` where the file cannot be read, `content` where it holds no usable clip.
    """
    samples, native_hz = read_native(path, start_s, end_s)
    return resample(samples, native_hz, rate_hz)


def read_native(path: Path, start_s: float, end_s: float | None) -> tuple[Samples, int]:
    """A clip at its file's own rate in Hz, channels averaged; arguments and errors as above."""
    try:
        with open_regular(path) as file:
            samples, native_hz = _decode(file, start_s, end_s)
    except OSError as error:
        raise ClipError("io", f"cannot be read ({error.strerror or error})") from error
    low, high = float(samples.min()), float(samples.max())  # NaN where any sample is
    if not (isfinite(low) and isfinite(high)):
        bad = int(np.count_nonzero(~np.isfinite(samples)))
        raise ClipError("content", f"{bad} of {samples.size} samples are NaN or infinite")
    if low == high:
        raise ClipError("content", f"silent: all {samples.size} samples are {low:g}")
    largest = max(-low, high)
    if largest > LARGEST_SAMPLE:
        raise ClipError("content", f"its samples reach {largest:.3g}, where full scale is 1")
    return samples, native_hz


def _decode(file: BinaryIO, start_s: float, end_s: float | None) -> tuple[Samples, int]:
    import soundfile

    if file.seek(0, 2) == 0:
        raise ClipError("content", "the file is empty (0 bytes)")
    missing = missing_part(file)
    if missing:
        raise ClipError("content", f"truncated: {missing}")
    if not length_is_known(file):
        raise ClipError(
            "content",
            "its length cannot be told: an MP3 without a Xing, Info or VBRI header; "
            "convert it to wav or flac",
        )
    try:
        with _open_sound(file) as sound:
            return _read_frames(sound, start_s, end_s), sound.samplerate
    except soundfile.LibsndfileError as error:
        if error.code == _SYSTEM_ERROR:
            raise ClipError("io", "cannot be read (the system reports an error)") from error
        text = str(error).rpartition(": ")[2].strip().rstrip(".")
        raise ClipError("content", f"not audio that can be decoded ({text})") from error


def _open_sound(file: BinaryIO) -> soundfile.SoundFile:
    """Let libsndfile read by the file's descriptor.

    Given the Python object it would read through callbacks, in which exceptions are lost: Ctrl-C,
    and errors of the disk, which would then look like faults of the audio.
    """
    import soundfile

    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return soundfile.SoundFile(file.fileno(), closefd=False)


def _read_frames(sound: soundfile.SoundFile, start_s: float, end_s: float | None) -> Samples:
    """The clip's samples at the file's own rate, channels averaged; read block by block."""
    rate, total = sound.samplerate, sound.frames
    low, high = RATE_LIMITS_HZ
    if not low <= rate <= high:
        raise ClipError("content", f"its sample rate is {rate} Hz; {low} to {high} Hz can be used")
    known = 0 <= total < _UNKNOWN_FRAMES
    start = round(start_s * rate)
    wanted = (total if end_s is None else round(end_s * rate)) - start
    if known:
        if start + wanted > total + _BOUND_SLACK_S * rate or start > total:
            span = _span(start_s, end_s)
            raise ClipError("content", f"{span} lies past the file's end at {total / rate:.3f} s")
        wanted = min(wanted, total - start)
    wanted = max(wanted, 0)
    if known or end_s is not None:
        _check_length(wanted, rate)
    if start:
        sound.seek(start)
    blocks: list[Samples] = []
    read, most = 0, max(1, _BLOCK_VALUES // sound.channels)
    while read < wanted:
        block = sound.read(min(most, wanted - read), dtype="float32", always_2d=True)
        if not len(block):
            break
        mono = sound.channels == 1  # its mean is itself
        blocks.append(block[:, 0] if mono else block.mean(axis=1, dtype=np.float32))
        read += len(block)
        _check_length(read, rate)
    if known and read < wanted:
        there, promised = read / rate, wanted / rate
        raise ClipError("content", f"truncated: {there:.3f} s of {promised:.3f} s are there")
    if not read:
        raise ClipError("content", "it holds no samples")
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _check_length(samples: int, rate_hz: int) -> None:
    how = "cut it with start_s and end_s in a manifest"
    if samples > MAX_CLIP_S * rate_hz:
        raise ClipError(
            "content", f"it lasts over {MAX_CLIP_S / 3600:g} h, the most for one clip; {how}"
        )
    if samples > MAX_CLIP_SAMPLES:
        raise ClipError(
            "content",
            f"its {samples / rate_hz:.0f} s at {rate_hz} Hz are over {MAX_CLIP_SAMPLES} samples, "
            f"the most for one clip; {how}",
        )


def _span(start_s: float, end_s: float | None) -> str:
    return f"the clip from {start_s:g} s to {'its end' if end_s is None else f'{end_s:g} s'}"
