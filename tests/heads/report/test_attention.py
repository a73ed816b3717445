"""Attention above what the encoder heard, or alone, and then it says why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from heads.attention import attend
from heads.experiment import run_heads
from heads.plots.attention import AttentionPanel
from heads.report.attention import attention_picture, log_mel
from heads.results import Run
from tests.material import RATE_HZ, noise, tone


@pytest.fixture(scope="module")
def run(run_config, tmp_path_factory):
    config = replace(run_config(heads=("mha",), seeds=1), settings={"epochs": "2"})
    return Run(next(run_heads(config, tmp_path_factory.mktemp("results"))))


@pytest.fixture
def clip(run):
    return attend(run, ["s0-03"])[0]


def at(clip, path, **changes):
    return replace(clip, utterance=replace(clip.utterance, path=path, **changes))


def test_the_spectrogram_is_that_of_the_clip(clip, tmp_path):
    samples = np.concatenate([tone(500, 0.5), tone(3000, 0.5)])
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)
    found, reason = log_mel(at(clip, tmp_path / "a.wav"), {})
    assert reason == ""
    assert found.shape == (49, 80)
    loudest = found.argmax(axis=1)
    assert len(set(loudest[2:22])) == 1 and len(set(loudest[28:])) == 1
    assert loudest[30] > loudest[10]
    part, _ = log_mel(at(clip, tmp_path / "a.wav", start_s=0.5, end_s=1.0), {})
    assert set(part.argmax(axis=1)) == {loudest[30]}


def test_it_is_of_what_the_encoder_heard(clip, tmp_path):
    """With silence cut off, as the cache's key says."""
    from embedcache.audio.conditioning import Conditioning, describe

    quiet = np.zeros(RATE_HZ, np.float32)
    speech = np.concatenate([quiet, noise(1.0, 0), quiet])
    soundfile.write(tmp_path / "a.wav", speech, RATE_HZ)
    whole, _ = log_mel(at(clip, tmp_path / "a.wav"), {})
    found, _ = log_mel(at(clip, tmp_path / "a.wav"), describe(Conditioning(trim=True)))
    assert len(whole) == 149
    assert 45 < len(found) < 62


@pytest.mark.parametrize(
    ("name", "conditioning", "reason"),
    [
        ("gone.wav", {}, "the audio is not near"),
        ("text.wav", {}, "not audio that can be decoded"),
        ("short.wav", {}, "the clip is shorter than 25 ms"),
        ("good.wav", {"reverse": {}}, "which this version of ser-embedcache cannot do"),
    ],
)
def test_without_a_spectrogram_the_reason_is_said(clip, tmp_path, name, conditioning, reason):
    (tmp_path / "text.wav").write_text("nothing to hear")
    soundfile.write(tmp_path / "short.wav", noise(0.01, 0), RATE_HZ)
    soundfile.write(tmp_path / "good.wav", noise(0.5, 0), RATE_HZ)
    found, told = log_mel(at(clip, tmp_path / name), conditioning)
    assert found is None
    assert reason in told


def test_the_picture_tells_clips_and_what_became_of_them(run):
    figure = attention_picture(run, most=4)
    titles = [axes.get_title().split("\n") for axes in figure.axes]
    assert len(titles) == 4
    assert ["recognised" in told for _, told in titles] == [True, False, True, False]
    for name, told in titles:
        label = run.utterances[name].label
        assert told.startswith(f"{label}, ")
        assert told.endswith(" %)")
    assert "no spectrogram: the audio is not near" in figure.axes[0].get_xlabel()
    (axes,) = attention_picture(run, ["s1-04"]).axes
    assert axes.get_title().startswith("s1-04\n")


def test_a_panel_needs_no_audio():
    panel = AttentionPanel(told="x", weights=np.ones((1, 2)) / 2, frame_hz=50.0)
    assert panel.spectrogram is None
