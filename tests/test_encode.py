from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile
import torch

from embedcache.batches import EncodeConfig, make_batches
from embedcache.encode import Clip, encode_clips
from embedcache.encoders import load_encoder
from embedcache.errors import ClipError, SerError
from embedcache.utterance import Utterance
from tests.material import noise


def clip(folder: Path, seconds: float, seed: int) -> Clip:
    path = folder / f"{seed}.wav"
    soundfile.write(path, noise(seconds, seed), 16_000, subtype="FLOAT")
    return Clip(Utterance(id=str(seed), path=path), seconds)


def test_windows_do_not_show_where_frames_are_local(tmp_path: Path) -> None:
    encoder = load_encoder("logmel", "last", "cpu", "auto")
    clips = [clip(tmp_path, 3.3, 0)]
    ((_, whole),) = encode_clips(encoder, clips, EncodeConfig())
    ((_, cut),) = encode_clips(encoder, clips, EncodeConfig(max_seconds=0.7))
    assert isinstance(whole, np.ndarray)
    np.testing.assert_allclose(cut, whole, atol=1e-5)


def test_a_clip_is_normalised_whole_and_not_window_by_window(tmp_path: Path) -> None:
    """A loud half and one 10,000 times quieter stay that far apart when they are cut."""
    heard: list[float] = []

    class Listening:
        spec = load_encoder("random:wav2vec2-tiny", "last", "cpu", "float32").spec

        def __init__(self) -> None:
            self._encoder = load_encoder("random:wav2vec2-tiny", "last", "cpu", "float32")
            self.prepare = self._encoder.prepare

        def encode(self, clips: list[np.ndarray]) -> list[np.ndarray]:
            heard.extend(float(clip.std()) for clip in clips)
            return self._encoder.encode(clips)

    path = tmp_path / "a.wav"
    samples = noise(4.0, 0)
    samples[32_000:] *= 1e-4
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    clips = [Clip(Utterance(id="a", path=path), 4.0)]
    ((_, frames),) = encode_clips(Listening(), clips, EncodeConfig(max_seconds=1.0))
    assert isinstance(frames, np.ndarray) and frames.shape[1] == 199
    assert len(heard) == 5  # 199 frames are too many for four windows of 1 s
    assert max(heard[3:]) < 1e-3 * min(heard[:2])


def test_a_batch_that_does_not_fit_the_memory_is_halved(tmp_path: Path) -> None:
    class Small:
        spec = load_encoder("logmel", "last", "cpu", "auto").spec
        sizes: ClassVar[list[int]] = []

        def prepare(self, clip: np.ndarray) -> np.ndarray:
            return clip

        def encode(self, clips: list[np.ndarray]) -> list[np.ndarray]:
            self.sizes.append(len(clips))
            if len(clips) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return load_encoder("logmel", "last", "cpu", "auto").encode(clips)

        most = 2

    clips = [clip(tmp_path, 0.3, n) for n in range(7)]
    found = dict(encode_clips(Small(), clips, EncodeConfig(max_clips=8)))
    assert found.keys() == set(range(7))
    assert Small.sizes == [7, 3, 1, 2, 4, 2, 2]
    Small.sizes.clear()
    twelve = [clip(tmp_path, 0.3, n) for n in range(12)]
    assert len(dict(encode_clips(Small(), twelve, EncodeConfig(max_clips=4)))) == 12
    assert Small.sizes == [4, 2, 2, 2, 2, 2, 2]  # only the first was too large
    Small.most = 0
    with pytest.raises(SerError, match="does not hold 0 s of audio at once; give a smaller --max"):
        list(encode_clips(Small(), clips[:1], EncodeConfig()))


class Limited:
    """An encoder that takes two seconds at most, and notes what it is given."""

    def __init__(self) -> None:
        self._encoder = load_encoder("logmel", "last", "cpu", "auto")
        self.spec = replace(self._encoder.spec, longest=32_000)
        self.heard: list[int] = []

    def prepare(self, clip: np.ndarray) -> np.ndarray:
        return clip

    def encode(self, clips: list[np.ndarray]) -> list[np.ndarray]:
        self.heard += [len(clip) for clip in clips]
        return self._encoder.encode(clips)


@pytest.mark.parametrize("seconds", [(3.0, 3.0, 3.0), (1.5, 3.0, 3.0), (0.5, 1.0, 1.9), (7.0,)])
def test_an_encoders_own_limit_holds_in_batches_and_loses_no_clip(
    tmp_path: Path, seconds: tuple[float, ...]
) -> None:
    encoder = Limited()
    clips = [clip(tmp_path, length, n) for n, length in enumerate(seconds)]
    found = dict(encode_clips(encoder, clips, EncodeConfig(max_clips=64)))
    whole = dict(encode_clips(load_encoder("logmel", "last", "cpu", "auto"), clips, EncodeConfig()))
    assert sorted(found) == list(range(len(seconds)))
    assert max(encoder.heard) <= 32_000
    for index, frames in found.items():
        np.testing.assert_allclose(frames, whole[index], atol=1e-5)


def test_clips_within_the_limit_are_not_cut_where_a_frame_needs_less_than_a_hop(
    tmp_path: Path,
) -> None:
    """Whisper's grid: one sample makes a frame. Two clips share a batch that is nearly too long."""

    class Grid(Limited):
        def __init__(self) -> None:
            super().__init__()
            self.spec = replace(self.spec, receptive=1, hop=320, longest=None)

        def encode(self, clips: list[np.ndarray]) -> list[np.ndarray]:
            self.heard += [len(clip) for clip in clips]
            return [np.ones((1, -(-len(clip) // 320), 2), np.float32) for clip in clips]

    encoder = Grid()
    clips = [clip(tmp_path, 40_200 / 16_000, n) for n in range(2)]
    found = dict(encode_clips(encoder, clips, EncodeConfig(max_seconds=2.513, max_clips=64)))
    assert [frames.shape[1] for frames in found.values()] == [126, 126]
    assert encoder.heard == [40_200, 40_200]


def test_clips_of_unknown_length_do_not_crowd_a_batch(tmp_path: Path) -> None:
    encoder = Limited()
    unknown = [replace(clip(tmp_path, 0.5, n), seconds=0.0) for n in range(5)]
    assert len(dict(encode_clips(encoder, unknown, EncodeConfig(60, 8, 120)))) == 5
    batches = make_batches([16_000 * 60] * 5, EncodeConfig(60, 8, 120), 16_000, pads=True)
    assert [len(batch) for batch in batches] == [2, 2, 1]


@pytest.mark.parametrize("name", ["random:wav2vec2-tiny", "logmel"])
def test_frames_do_not_depend_on_the_batch(tmp_path: Path, name: str) -> None:
    encoder = load_encoder(name, "last", "cpu", "float32")
    clips = [clip(tmp_path, 0.3 + 0.17 * n, n) for n in range(6)]
    alone = dict(encode_clips(encoder, clips, EncodeConfig()))
    together = dict(encode_clips(encoder, clips, EncodeConfig(max_clips=4)))
    assert alone.keys() == together.keys() == set(range(6))
    for index, frames in alone.items():
        assert np.abs(frames - together[index]).max() <= 1e-5 * np.abs(frames).max()


def test_a_length_that_the_header_had_wrong_does_not_spoil_the_batch(tmp_path: Path) -> None:
    """Expected lengths only group clips: an encoder that does not pad still gets equal ones."""
    encoder = load_encoder("random:wav2vec2-tiny", "last", "cpu", "float32")
    encoder.spec = replace(encoder.spec, pads=False)
    clips = [replace(clip(tmp_path, 0.3 + 0.1 * n, n), seconds=1.0) for n in range(3)]
    found = dict(encode_clips(encoder, clips, EncodeConfig(max_clips=4)))
    assert all(isinstance(frames, np.ndarray) for frames in found.values())


def test_one_bad_clip_does_not_stop_its_batch(tmp_path: Path) -> None:
    encoder = load_encoder("logmel", "last", "cpu", "auto")
    clips = [clip(tmp_path, 0.5, 0), clip(tmp_path, 0.5, 1), clip(tmp_path, 0.01, 2)]
    clips[1].utterance.path.unlink()
    found = dict(encode_clips(encoder, clips, EncodeConfig(max_clips=8)))
    assert isinstance(found[0], np.ndarray)
    assert isinstance(found[1], ClipError) and found[1].kind == "io"
    assert isinstance(found[2], ClipError) and "shorter than one frame: 160 samples" in str(
        found[2]
    )
