"""The reliability diagram."""

from __future__ import annotations

import numpy as np

from heads.plots import to_png
from heads.plots.calibration import plot_calibration

CURVE = {
    "edges": [0.0, 0.25, 0.5, 0.75, 1.0],
    "count": [0.0, 4.0, 0.0, 16.0],
    "confidence": [None, 0.4, None, 0.9],
    "accuracy": [None, 0.5, None, 0.75],
}


def test_each_bin_that_holds_something_is_a_dot_of_its_accuracy():
    upper, _ = plot_calibration(CURVE, "").axes
    dots = upper.collections[1]
    np.testing.assert_allclose(dots.get_offsets(), [[0.4, 0.5], [0.9, 0.75]])
    small, large = dots.get_sizes()
    assert small < large


def test_a_line_shows_each_bin_s_error():
    upper, _ = plot_calibration(CURVE, "").axes
    lines = [line.tolist() for line in upper.collections[0].get_segments()]
    assert lines == [[[0.4, 0.4], [0.4, 0.5]], [[0.9, 0.9], [0.9, 0.75]]]


def test_counts_stand_below():
    _, lower = plot_calibration(CURVE, "").axes
    assert [bar.get_height() for bar in lower.patches] == CURVE["count"]


def test_a_curve_without_predictions_is_a_picture():
    empty = CURVE | {"count": [0.0] * 4, "confidence": [None] * 4, "accuracy": [None] * 4}
    assert to_png(plot_calibration(empty, "a title"))
