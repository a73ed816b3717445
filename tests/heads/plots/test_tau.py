"""The distribution of tau: bars are its counts, lines its quartiles, labels can be read."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from heads.analysis.ambiguity import tau_distribution
from heads.plots.tau import plot_tau

RNG = np.random.default_rng(0)
SHAPES = {
    "high": RNG.beta(8, 2, (2, 300)) * 2 - 1,
    "low": RNG.beta(2, 8, (1, 300)) * 2 - 1,
    "even": RNG.uniform(-1, 1, (5, 900)),
    "both ends": np.where(RNG.random((1, 300)) < 0.4, -0.9, 0.8),
    "constant": np.ones((1, 3)),
    "negative": np.array([[-1.0, -0.95, -0.9, np.nan]]),
}


@pytest.fixture(params=SHAPES)
def taus(request):
    return SHAPES[request.param]


def test_bars_are_counts_and_lines_quartiles(taus):
    found = tau_distribution(taus)
    (axes,) = plot_tau(found, "title").axes
    heights = [bar.get_height() for bar in axes.patches]
    assert sum(heights) * len(taus) == pytest.approx((~np.isnan(taus)).sum())
    centers = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    np.testing.assert_allclose(centers, np.linspace(-1, 1, 21), atol=1e-12)
    lines = sorted(line.get_xdata()[0] for line in axes.lines)
    np.testing.assert_allclose(lines, np.nanquantile(taus, [0.25, 0.5, 0.75]))
    assert len({line.get_linestyle() for line in axes.lines}) == 3


def test_labels_are_inside_and_on_no_line_bar_or_other_label(taus):
    figure = plot_tau(tau_distribution(taus), "title")
    (axes,) = figure.axes
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    inside = axes.get_window_extent(renderer)
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    for number, box in enumerate(boxes):
        assert inside.x0 <= box.x0
        assert box.x1 <= inside.x1 + 1
        assert box.y1 <= inside.y1
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        for line in axes.lines:
            x, top = axes.transData.transform(line.get_xydata()[1])
            assert not (box.x0 < x < box.x1 and top > box.y0 + 1)
        for bar in axes.patches:
            assert not (bar.get_height() and box.overlaps(bar.get_window_extent(renderer)))


def test_clips_without_a_tau_are_told():
    (axes,) = plot_tau(tau_distribution(SHAPES["negative"]), "a run").axes
    assert axes.get_title() == "a run\n3 clips, 1 more without tau"
    assert axes.get_ylabel() == "clips"
    (axes,) = plot_tau(tau_distribution(SHAPES["high"]), "a run").axes
    assert axes.get_title() == "a run\n300 clips"
    assert axes.get_ylabel() == "clips, mean over seeds"


def test_no_tau_is_said():
    (axes,) = plot_tau(tau_distribution(np.full((2, 3), np.nan)), "a run").axes
    assert [text.get_text() for text in axes.texts] == ["no clip defines tau"]
    assert not axes.patches
