"""Points are told apart by colour and mark, however many groups there are."""

from __future__ import annotations

import numpy as np
import pytest

from heads.plots import to_png
from heads.plots.projection import plot_projection


def spread(count):
    rng = np.random.default_rng(0)
    return rng.random(count), rng.random(count)


def groups_of(axes):
    return {c.get_label(): np.asarray(c.get_offsets()) for c in axes.collections}


def test_each_group_has_its_points():
    x, y = spread(30)
    emotions = [("sad", "angry", None)[n % 3] for n in range(30)]
    figure = plot_projection(x, y, {"emotion": emotions, "gender": ["female"] * 30}, "a title")
    first, second = figure.axes
    assert figure.get_suptitle() == "a title"
    assert (first.get_title(), second.get_title()) == ("by emotion", "by gender")
    found = groups_of(first)
    assert set(found) == {"sad", "angry", "not known"}
    for name, start in (("sad", 0), ("angry", 1), ("not known", 2)):
        np.testing.assert_allclose(found[name], np.column_stack([x, y])[start::3])
    assert len(groups_of(second)["female"]) == 30


@pytest.mark.parametrize("count", [2, 24, 40])
def test_no_two_groups_look_alike(count):
    x, y = spread(400)
    figure = plot_projection(x, y, {"speaker": [f"c/{n % count:02}" for n in range(400)]}, "")
    (axes,) = figure.axes
    looks = {
        (tuple(c.get_facecolor()[0].round(3)), c.get_paths()[0].vertices.round(4).tobytes())
        for c in axes.collections
    }
    assert len(looks) == len(axes.collections) == count
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == [f"{n:02}" for n in range(count)]


def test_of_very_many_groups_those_with_the_most_points_are_told_apart():
    values = [f"s{n:02}" for n in range(60) for _ in range(1 + (n >= 20))]
    x, y = spread(len(values))
    (axes,) = plot_projection(x, y, {"speaker": values}, "").axes
    assert axes.get_title() == "by speaker, the 40 of 60 with the most clips"
    found = groups_of(axes)
    assert set(found) == {*(f"s{n}" for n in range(20, 60)), "others"}
    assert len(found["others"]) == 20


def test_names_that_differ_only_by_corpus_are_written_in_full():
    x, y = spread(4)
    (axes,) = plot_projection(x, y, {"speaker": ["a/1", "b/1", "a/1", "b/1"]}, "").axes
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["a/1", "b/1"]


@pytest.mark.parametrize("values", [[], [None] * 5])
def test_nothing_known_is_a_picture_too(values):
    x, y = spread(len(values))
    assert to_png(plot_projection(x, y, {"age": values}, "title"))[:4] == b"\x89PNG"
