"""Listening to a corpus: what an extraction would skip, and the same audio under several names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from embedcache.corpora import read_corpus
from embedcache.extract import extract
from embedcache.inspection import listen, same_audio
from embedcache.request import ExtractConfig
from embedcache.utterance import Utterance
from tests.material import noise, real_data


def heard(*utterances: Utterance):
    return listen(utterances, lambda: None)


def test_durations_rates_and_channels_are_the_files(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(0.5, 1), 16_000)
    soundfile.write(tmp_path / "b.flac", np.stack([noise(2, 2, 44_100)] * 2, axis=1), 44_100)
    a, b, part = heard(
        Utterance(id="a", path=tmp_path / "a.wav"),
        Utterance(id="b", path=tmp_path / "b.flac"),
        Utterance(id="part", path=tmp_path / "b.flac", start_s=0.5, end_s=1.25),
    )
    assert (a.seconds, a.rate_hz, a.channels, a.fault) == (0.5, 16_000, 1, "")
    assert (b.seconds, b.rate_hz, b.channels) == (2.0, 44_100, 2)
    assert part.seconds == 0.75


def test_the_same_samples_are_the_same_audio_however_they_are_stored(tmp_path: Path) -> None:
    """Another container, two equal channels, a further chunk: not another clip; a rate is."""
    samples = (noise(0.5, 1) * 32767).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    soundfile.write(tmp_path / "b.flac", samples, 16_000)
    soundfile.write(tmp_path / "c.wav", np.stack([samples] * 2, axis=1), 16_000)
    soundfile.write(tmp_path / "other-rate.wav", samples, 8_000)
    changed = samples.copy()
    changed[100] += 1
    soundfile.write(tmp_path / "one-sample.wav", changed, 16_000)
    paths = sorted(tmp_path.iterdir())
    (group,) = same_audio(heard(*(Utterance(id=p.stem, path=p) for p in paths)))
    assert sorted(u.id for u in group) == ["a", "b", "c"]


def test_what_cannot_be_used_is_what_an_extraction_skips(clips: Path, tmp_path: Path) -> None:
    (clips / "sad" / "empty.wav").write_bytes(b"")
    (clips / "sad" / "gone.wav").symlink_to("nowhere.wav")
    soundfile.write(clips / "sad" / "silent.wav", np.zeros(8000), 16_000)
    whole = (clips / "sad" / "s0" / "clip001.wav").read_bytes()
    (clips / "sad" / "cut.wav").write_bytes(whole[: len(whole) // 2])
    found = {h.utterance.id: h.fault for h in heard(*read_corpus("folder", clips)) if h.fault}
    done = extract(
        ExtractConfig(corpus="folder", root=clips, encoder="logmel", cache_dir=tmp_path / "cache")
    )
    assert found == dict(done.skips)
    assert len(found) == 4


def test_bounds_past_the_end_are_a_fault(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(0.5, 1), 16_000)
    (past,) = heard(Utterance(id="a", path=tmp_path / "a.wav", start_s=0.2, end_s=0.9))
    assert "lies past the file's end at 0.500 s" in past.fault


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_clips_that_no_encoder_has_a_frame_for_are_a_fault(tmp_path: Path, rate_hz: int) -> None:
    """At the very sample at which an extraction begins to skip them."""
    root = tmp_path / "clips"
    (root / "sad").mkdir(parents=True)
    least = rate_hz // 40
    for count in range(least - 4, least + 3):
        soundfile.write(root / "sad" / f"{count}.wav", noise(1, count, rate_hz)[:count], rate_hz)
    short = {h.utterance.id: h.fault for h in heard(*read_corpus("folder", root)) if h.fault}
    done = extract(
        ExtractConfig(corpus="folder", root=root, encoder="logmel", cache_dir=tmp_path / "cache")
    )
    assert set(short) == set(dict(done.skips))
    assert 0 < len(short) < 7
    assert all("shorter than 25 ms: no encoder has a frame for it" in x for x in short.values())


def test_every_utterance_ticks(clips: Path) -> None:
    ticks: list[int] = []
    listen(read_corpus("folder", clips), lambda: ticks.append(1))
    assert len(ticks) == 12


def test_ravdess_has_one_recording_twice(ravdess: Path) -> None:
    found = listen(read_corpus("ravdess", ravdess), lambda: None)
    (group,) = same_audio(found)
    assert [u.id for u in group] == ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]
    assert sum(h.seconds for h in found) == pytest.approx(5328.958, abs=0.01)
    assert not any(h.fault for h in found)


def test_stereo_files_of_the_original_ravdess_are_counted() -> None:
    found = listen(read_corpus("ravdess", real_data("ravdess-original")), lambda: None)
    assert sorted(h.channels for h in found)[-5:] == [1, 2, 2, 2, 2]
    assert {h.rate_hz for h in found} == {48_000}
