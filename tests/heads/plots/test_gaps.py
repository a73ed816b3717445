"""The forest plot of gaps."""

from __future__ import annotations

import numpy as np
import pytest

from heads.plots import to_png
from heads.plots.gaps import metric_told, plot_gaps

MINUS = "\N{MINUS SIGN}"


def gap(value, ci95=None, exploratory=False, metric="ua", **more):
    return {"metric": metric, "a": "female", "b": "male", "gap": value, "ci95": ci95,
            "exploratory": exploratory, "smallest_detectable": None} | more  # fmt: skip


def intervals(axes):
    return [
        segment.tolist()
        for lines in axes.collections
        for segment in lines.get_segments()
        if segment[0, 1] == segment[1, 1]
    ]


def test_each_gap_has_its_mark_its_interval_and_its_words():
    (axes,) = plot_gaps([gap(0.1, [0.02, 0.18]), gap(-0.05, [-0.1, 0.01])], "").axes
    assert sorted(intervals(axes)) == [[[-0.1, 1], [0.01, 1]], [[0.02, 0], [0.18, 0]]]
    marks = {tuple(p) for line in axes.lines if line.get_marker() == "o" for p in
             np.transpose(line.get_data())}  # fmt: skip
    assert marks == {(0.1, 0), (-0.05, 1)}
    words = [text.get_text() for text in axes.texts]
    assert words == [f"UA, female {MINUS} male:  +10.0", f"UA, female {MINUS} male:  {MINUS}5.0"]


def test_what_leaves_out_zero_differs_from_what_holds_it():
    (axes,) = plot_gaps([gap(0.1, [0.02, 0.18]), gap(0.1, [-0.02, 0.22])], "").axes
    colours = {line.get_color() for line in axes.lines if line.get_marker() == "o"}
    assert len(colours) == 2


def test_exploratory_gaps_stand_apart_and_open():
    asked, apart = plot_gaps([gap(0.1), gap(0.2, exploratory=True, metric="recall:sad")], "").axes
    assert "exploratory" in apart.get_title(loc="left")
    fills = [
        line.get_markerfacecolor()
        for axes in (asked, apart)
        for line in axes.lines
        if line.get_marker() == "o"
    ]
    assert fills[0] != "white"
    assert fills[1] == "white"
    assert apart.texts[0].get_text().startswith("recall of sad")


def test_the_smallest_gap_that_would_show_is_ticked_on_both_sides():
    (axes,) = plot_gaps([gap(0.1, [-0.3, 0.3], smallest_detectable=0.2)], "").axes
    (ticks,) = [line for line in axes.lines if line.get_marker() == "|"]
    np.testing.assert_allclose(np.transpose(ticks.get_data()), [[-0.2, 0], [0.2, 0]])


def test_what_is_undefined_is_left_out():
    (axes,) = plot_gaps([gap(None), gap(0.1)], "").axes
    assert len(axes.texts) == 1


@pytest.mark.parametrize("count", [0, 1, 40])
def test_any_number_of_gaps_is_a_picture(count):
    gaps = [gap(0.01 * n, [-1.0, 1.0], n % 2 == 0, a="a" * 50, b="$") for n in range(count)]
    assert to_png(plot_gaps(gaps, "a title"))


def test_metrics_are_told_in_words():
    assert [metric_told(m) for m in ("macro_f1", "fpr:sad", "own")] == [
        "macro-F1",
        "false positives of sad",
        "own",
    ]
