"""Bars of precision, recall and F1, and F1 across runs."""

from __future__ import annotations

import pytest

from heads.plots import to_png
from heads.plots.bars import plot_f1_across, plot_per_class

PER_CLASS = {
    "angry": {"precision": 0.5, "recall": 0.25, "f1": 0.33, "support": 12.0},
    "sad": {"precision": None, "recall": 0.0, "f1": None, "support": 4.0},
}


def widths(axes):
    return [[bar.get_width() for bar in group] for group in axes.containers]


def test_each_score_of_each_emotion_is_a_bar_with_its_number():
    (axes,) = plot_per_class(PER_CLASS, "").axes
    assert widths(axes) == [[0.5, 0], [0.25, 0], [0.33, 0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "angry\n12 clips",
        "sad\n4 clips",
    ]
    texts = [text.get_text() for text in axes.texts]
    assert {"50", "25", "33", "0"} <= set(texts)
    assert sum("undefined" in text for text in texts) == 2


def test_scores_differ_without_colour():
    (axes,) = plot_per_class(PER_CLASS, "").axes
    assert len({group[0].get_hatch() for group in axes.containers}) == 3


def test_runs_are_rows_emotions_columns_and_the_best_is_bold():
    scores = [{"angry": 0.9, "sad": 0.2}, {"angry": 0.5, "happy": None}]
    figure = plot_f1_across(scores, ["first", "second"], "")
    assert [axes.get_title() for axes in figure.axes] == ["angry", "sad", "happy"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["first", "second"]
    found = [[(t.get_text(), t.get_fontweight()) for t in axes.texts] for axes in figure.axes]
    dash = "\N{EN DASH}"
    assert found == [
        [("90", "bold"), ("50", "normal")],
        [("20", "bold"), (dash, "normal")],
        [(dash, "normal"), (dash, "normal")],
    ]


@pytest.mark.parametrize("count", [1, 12])
def test_any_number_of_emotions_and_long_names_are_a_picture(count):
    labels = [f"emotion number {n} with a very long name $" for n in range(count)]
    assert to_png(plot_per_class(dict.fromkeys(labels, PER_CLASS["angry"]), "a title"))
    assert to_png(plot_f1_across([dict.fromkeys(labels, 0.5)] * 20, ["run"] * 20, "a title"))
