from __future__ import annotations

import os
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from embedcache.audio.decode import probe, read_clip
from embedcache.errors import ClipError
from tests.material import noise, real_data

CLIP = noise(1.0, 0)
LONG = noise(10.0, 1)


def write(path: Path, samples: np.ndarray = CLIP, rate_hz: int = 16_000, **options: str) -> Path:
    soundfile.write(path, samples, rate_hz, **options)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_lossless_formats_give_the_samples_back(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", subtype="PCM_16")
    np.testing.assert_allclose(read_clip(path, 0, None, 16_000), CLIP, atol=2**-15)


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_lossy_formats_give_nearly_the_same_sound(tmp_path: Path, suffix: str) -> None:
    time = np.arange(16_000) / 16_000
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    decoded = read_clip(write(tmp_path / f"a.{suffix}", tone), 0, None, 16_000)
    spectrum = np.abs(np.fft.rfft(decoded[2000:14_000]))
    assert spectrum.argmax() * 16_000 / 12_000 == pytest.approx(440, abs=2)
    assert decoded[2000:14_000].std() == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate_hz", [8_000, 24_414, 44_101, 48_000])
def test_any_rate_and_channel_count(tmp_path: Path, channels: int, rate_hz: int) -> None:
    sound = np.stack([CLIP * (c + 1) / 3.5 for c in range(channels)], axis=1)
    path = write(tmp_path / "a.wav", sound, rate_hz, subtype="FLOAT")
    decoded = read_clip(path, 0, None, 16_000)
    assert len(decoded) == -(-16_000 * 16_000 // rate_hz)
    mono = write(tmp_path / "mono.wav", sound.mean(axis=1), rate_hz, subtype="FLOAT")
    np.testing.assert_allclose(decoded, read_clip(mono, 0, None, 16_000), atol=1e-6)


def test_bounds_cut_the_same_samples_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", subtype="FLOAT")
    np.testing.assert_array_equal(read_clip(path, 0.25, 0.5, 16_000), CLIP[4000:8000])
    np.testing.assert_array_equal(read_clip(path, 0.25, None, 16_000), CLIP[4000:])


def test_an_end_that_was_rounded_up_is_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", subtype="FLOAT")
    np.testing.assert_array_equal(read_clip(path, 0.5, 1.01, 16_000), CLIP[8000:])


def broken(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """One file of each kind of fault, and the words that must name it."""
    nan = CLIP.copy()
    nan[7] = np.nan
    infinite = CLIP.copy()
    infinite[7] = np.inf
    files = {
        "empty": (tmp_path / "empty.wav", r"empty \(0 bytes\)"),
        "text": (tmp_path / "text.wav", "not audio that can be decoded"),
        "header": (write(tmp_path / "header.wav", CLIP[:0]), "holds no samples"),
        "silent": (write(tmp_path / "silent.wav", CLIP * 0), "silent: all 16000 samples are 0"),
        "nan": (write(tmp_path / "nan.wav", nan, subtype="FLOAT"), "1 of 16000 samples are NaN"),
        "inf": (write(tmp_path / "inf.wav", infinite, subtype="FLOAT"), "samples are NaN or inf"),
        "loud": (write(tmp_path / "l.wav", CLIP * 1e20, subtype="FLOAT"), "full scale is 1"),
        "one hertz": (write(tmp_path / "hz.wav", CLIP, 1), "its sample rate is 1 Hz"),
        "wav cut": (cut(write(tmp_path / "c.wav")), "truncated: its header promises"),
        "aiff cut": (cut(write(tmp_path / "c.aiff", format="AIFF")), "truncated: its header prom"),
        "flac cut": (cut(write(tmp_path / "c.flac")), "truncated|decoded"),
        "ogg cut": (cut(write(tmp_path / "c.ogg", LONG), 0.5), "truncated: its last Ogg page does"),
        "ogg end": (cut(write(tmp_path / "e.ogg", LONG), 0.9), "truncated: its last Ogg page does"),
        "mp3 cut": (cut(write(tmp_path / "c.mp3", LONG)), "truncated"),
    }
    files["empty"][0].write_bytes(b"")
    files["text"][0].write_text("this is no audio")
    return files


def cut(path: Path, share: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


FAULTS = ("empty", "text", "header", "silent", "nan", "inf", "loud", "one hertz", "wav cut",
          "flac cut", "ogg cut", "ogg end", "mp3 cut")  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_file_is_named_and_final(tmp_path: Path, fault: str) -> None:
    path, words = broken(tmp_path)[fault]
    with pytest.raises(ClipError, match=words) as caught:
        read_clip(path, 0, None, 16_000)
    assert caught.value.kind == "content"


def test_a_file_that_is_gone_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="cannot be read") as caught:
        read_clip(tmp_path / "gone.wav", 0, None, 16_000)
    assert caught.value.kind == "io"


def test_a_disk_that_fails_while_reading_is_no_fault_of_the_audio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: object) -> None:
        raise soundfile.LibsndfileError(2)  # SF_ERR_SYSTEM

    monkeypatch.setattr("embedcache.audio.decode._open_sound", fail)
    with pytest.raises(ClipError, match="cannot be read") as caught:
        read_clip(write(tmp_path / "a.flac"), 0, None, 16_000)
    assert caught.value.kind == "io"


def test_a_pipe_or_a_device_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    for path in (tmp_path / "a.wav", Path("/dev/zero"), tmp_path):
        with pytest.raises(ClipError, match="cannot be read .no regular file."):
            read_clip(path, 0, None, 16_000)
        with pytest.raises(OSError, match="no regular file"):
            probe(path)


def test_an_mp3_whose_length_cannot_be_told_is_refused(tmp_path: Path) -> None:
    """libsndfile guesses it from the bit rate and stops at its guess: the rest would be lost."""
    path = write(tmp_path / "a.mp3", LONG)
    assert len(read_clip(path, 0, None, 16_000)) == pytest.approx(160_000, abs=3_000)
    data = path.read_bytes()
    mark = max(data.find(b"Xing"), data.find(b"Info"))
    assert mark > 0
    pairs = enumerate(pairwise(data[mark:]), start=mark)
    first = next(i for i, (a, b) in pairs if a == 0xFF and b & 0xE0 == 0xE0)
    path.write_bytes(data[first:])  # without the frame that holds the count
    with pytest.raises(ClipError, match="its length cannot be told.*convert it to wav or flac"):
        read_clip(path, 0, None, 16_000)
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x02\x00" + b"\x00" * 256 + data)  # behind a tag
    assert len(read_clip(path, 0, None, 16_000)) == pytest.approx(160_000, abs=3_000)


def test_bounds_past_the_end_say_where_the_end_is(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"from 2 s to 3 s lies past the file's end at 1\.000 s"):
        read_clip(write(tmp_path / "a.wav"), 2, 3, 16_000)


def test_more_than_an_hour_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 1_000, 1, "PCM_U8") as file:
        for _ in range(37):
            file.write(noise(100, 0, 1_000))
    with pytest.raises(ClipError, match="over 1 h"):
        read_clip(path, 0, None, 16_000)


def test_a_stream_without_sizes_is_read_to_its_end(tmp_path: Path) -> None:
    """A WAV written through a pipe carries 2^32 - 1 for the sizes it did not know."""
    path = write(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFF_FFFF)
    path.write_bytes(data)
    assert len(read_clip(path, 0, None, 16_000)) == 16_000


def test_probe_reads_the_header(tmp_path: Path) -> None:
    info = probe(write(tmp_path / "a.wav", np.stack([CLIP, CLIP], axis=1), 8_000))
    assert info is not None
    assert (info.rate_hz, info.channels, info.seconds) == (8_000, 2, 2.0)


def test_probe_of_what_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no")
    assert probe(tmp_path / "a.wav") is None


def test_real_stereo_with_equal_channels_is_the_mono_recording() -> None:
    path = real_data("ravdess-original") / "Actor_01" / "03-01-02-01-01-02-01.flac"
    both, rate_hz = soundfile.read(path, dtype="float32")
    assert both.shape[1] == 2
    np.testing.assert_allclose(read_clip(path, 0, None, rate_hz), both[:, 0], atol=1e-7)
