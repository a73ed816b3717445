"""Accuracy against agreement: marks, intervals, names and counts are those of the record."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from heads.analysis.agreed import held_out
from heads.analysis.ambiguity import agreement_levels, by_entropy
from heads.analysis.judged import clip_scores
from heads.plots.agreement import plot_agreement
from tests.heads.analysis.judged_tables import make_judged


def make_record(**changes):
    judged = make_judged(**changes)
    scores = clip_scores(judged)
    return {
        "agreement": agreement_levels(judged, scores["wa"]),
        "by_entropy": by_entropy(judged, scores),
        "held_out": held_out(judged),
    }


def drawn(axes):
    """Positions of the marks, and the intervals by their place."""
    lines = [line.get_xydata() for line in axes.lines if line.get_linestyle() != ":"]
    marks = [xy[0].tolist() for xy in lines if len(xy) == 1]
    return marks, {xy[0][0]: xy[:, 1].tolist() for xy in lines if len(xy) == 2}


@pytest.mark.parametrize("speakers", [2, 24])
def test_marks_and_intervals_are_the_records(speakers):
    record = make_record(speakers=speakers, clips=40)
    levels = [row for row in record["agreement"] if row["n"]]
    left, right = plot_agreement(record, "title").axes
    for axes, rows in ((left, levels), (right, record["by_entropy"])):
        marks, intervals = drawn(axes)
        assert marks == [[place, row["wa"]] for place, row in enumerate(rows)]
        expected = {n: row["wa_ci95"] for n, row in enumerate(rows) if row["wa_ci95"]}
        assert intervals == expected


def test_each_place_has_its_name_and_its_number_of_clips():
    record = make_record(clips=40)
    left, right = plot_agreement(record, "title").axes
    names = [label.get_text() for label in left.get_xticklabels()]
    rows = [row for row in record["agreement"] if row["n"]]
    assert names[0] == f"all\nagree\n{rows[0]['n']} clips"
    assert len(names) == len(rows)
    bins = [label.get_text() for label in right.get_xticklabels()]
    assert [text.split("\n")[-1] for text in bins] == [
        f"{row['n']} clips" for row in record["by_entropy"]
    ]
    assert bins[0].startswith(f"{record['by_entropy'][0]['low']:.2f}")


def test_levels_without_clips_are_left_out_and_unscored_ones_say_so():
    row = {"told": "all agree", "n": 1, "wa": 1.0, "wa_ci95": None, "low": 0.0, "high": 0.0}
    none = row | {"told": "a plurality", "n": 0, "wa": None}
    tied = row | {"told": "a tie", "n": 2, "wa": None}
    record = {"agreement": [row, none, tied], "by_entropy": [row], "held_out": [{"wa": None}]}
    left, right = plot_agreement(record, "title").axes
    names = [label.get_text() for label in left.get_xticklabels()]
    assert names == ["all\nagree\n1 clip", "a\ntie\n2 clips"]
    assert "not\nscored" in [text.get_text() for text in left.texts]
    assert drawn(left)[0] == [[0, 1.0]]
    assert not right.texts[-1].get_text().startswith("all clips")


def test_panels_differ_by_mark_and_by_lightness():
    left, right = plot_agreement(make_record(), "title").axes
    marks = [
        next(line for line in axes.lines if len(line.get_xdata()) == 1) for axes in (left, right)
    ]
    assert marks[0].get_marker() != marks[1].get_marker()
    grey = [np.dot(to_rgb(mark.get_color()), (0.2126, 0.7152, 0.0722)) for mark in marks]
    assert abs(grey[0] - grey[1]) > 0.2


@pytest.mark.parametrize(("speakers", "labels"), [(2, 4), (24, 9)])
def test_names_below_the_axis_stay_apart(speakers, labels):
    names = tuple(f"emotion number {n}" for n in range(labels))
    figure = plot_agreement(make_record(speakers=speakers, labels=names), "a long title " * 8)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    for axes in figure.axes:
        boxes = [label.get_window_extent(renderer) for label in axes.get_xticklabels()]
        assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))
