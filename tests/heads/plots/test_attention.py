"""Weights stand above the moments that they belong to."""

from __future__ import annotations

import numpy as np
import pytest

from heads.plots import to_png
from heads.plots.attention import AttentionPanel, plot_attention


def panel(heads=2, frames=40, audio=True, **changes):
    rng = np.random.default_rng(0)
    parts = {
        "told": "a clip\nangry, recognised (90 %)",
        "weights": rng.dirichlet(np.ones(frames), heads),
        "frame_hz": 20.0,
        "spectrogram": rng.standard_normal((100, 80)) if audio else None,
        "reason": "" if audio else "the audio is not near",
    }
    return AttentionPanel(**parts | changes)


def test_weights_and_spectrogram_share_their_time():
    clip = panel()
    upper, lower = plot_attention([clip], "a title").axes
    assert upper.get_title() == clip.told
    assert upper.get_xlim() == lower.get_xlim() == (0, 2.0)
    (image,) = lower.images
    assert image.get_extent() == [0, 2.0, 0, 80]
    np.testing.assert_allclose(image.get_array(), clip.spectrogram.T)


def test_weights_are_per_second_and_add_up_to_one():
    clip = panel()
    upper = plot_attention([clip], "").axes[0]
    filled, *lines, mean = upper.patches
    for drawn, own in zip(lines, clip.weights, strict=True):
        values, edges, _ = drawn.get_data()
        np.testing.assert_allclose(values, own * 20)
        assert (values * np.diff(edges)).sum() == pytest.approx(1)
    for drawn in (filled, mean):
        np.testing.assert_allclose(drawn.get_data().values, clip.weights.mean(axis=0) * 20)
    (even,) = upper.lines
    np.testing.assert_allclose(even.get_ydata(), 0.5)  # of a clip of two seconds


def test_heads_differ_without_colour():
    upper = plot_attention([panel(heads=4)], "").axes[0]
    styles = {str(patch.get_linestyle()) for patch in upper.patches[1:-1]}
    assert len(styles) == 4
    names = [text.get_text() for text in upper.get_legend().get_texts()]
    assert names == ["head 1", "head 2", "head 3", "head 4"]


def test_one_weighting_needs_no_legend():
    assert plot_attention([panel(heads=1)], "").axes[0].get_legend() is None


def test_without_audio_the_weights_stand_alone_and_say_why():
    (axes,) = plot_attention([panel(audio=False)], "").axes
    assert axes.get_xlabel() == "seconds; no spectrogram: the audio is not near"


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_number_of_clips_is_a_picture(count):
    clips = [panel(heads=1 + n % 3, frames=5 + 100 * n, audio=n % 2 == 0) for n in range(count)]
    assert to_png(plot_attention(clips, "title"))[:4] == b"\x89PNG"
