"""Speakers as dots."""

from __future__ import annotations

import numpy as np
import pytest

from heads.plots import to_png
from heads.plots.speakers import plot_speakers


def dots(axes):
    """Offsets of each group's dots by its name."""
    return {c.get_label(): c.get_offsets() for c in axes.collections if len(c.get_offsets()) and not
            c.get_label().startswith("_")}  # fmt: skip


def test_speakers_stand_highest_first_with_a_mark_for_each_group():
    ua = [0.2, 0.9, 0.5]
    (axes,) = plot_speakers(["a", "b", "c"], ua, ["male", "female", None], "", 0.5).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "c", "a"]
    found = dots(axes)
    np.testing.assert_allclose(found["female"], [[0.9, 0]])
    np.testing.assert_allclose(found["not known"], [[0.5, 1]])
    np.testing.assert_allclose(found["male"], [[0.2, 2]])
    low, high = axes.get_ylim()
    assert low > high  # the first row is on top


def test_groups_differ_without_colour():
    (axes,) = plot_speakers(["a", "b"], [0.2, 0.9], ["male", "female"], "").axes
    marks = [c.get_paths()[0].vertices.tolist() for c in axes.collections if c.get_label() in
             ("male", "female")]  # fmt: skip
    assert marks[0] != marks[1]


def test_the_whole_run_is_a_line():
    (axes,) = plot_speakers(["a", "b"], [0.2, 0.9], [None, None], "", 0.625).axes
    assert "all 62.5" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("count", [1, 2, 24, 200])
def test_any_number_of_speakers_is_a_picture(count):
    names = [f"corpus/speaker {n}" for n in range(count)]
    figure = plot_speakers(names, np.linspace(0, 1, count), ["x"] * count, "a title", 0.5)
    named = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert ("corpus/speaker 0" in named) == (count <= 60)
    assert to_png(figure)
