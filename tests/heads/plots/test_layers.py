"""The layer profile shows the record."""

from __future__ import annotations

import numpy as np
import pytest

from heads.plots import to_png
from heads.plots.layers import plot_layers


def target(classes, layers, known=True):
    rng = np.random.default_rng(layers)

    def rows():
        ua = rng.uniform(0.3, 0.8, layers)
        return [
            {"layer": str(n), "ua": float(u), "ci95": [u - 0.1, u + 0.1] if known else None,
             "shuffled": 1 / classes}
            for n, u in enumerate(ua)
        ]  # fmt: skip

    return {"classes": ["x"] * classes, "chance": 1 / classes, "raw": rows(), "normalised": rows()}


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def test_each_target_has_a_panel_with_its_numbers():
    targets = {"emotion": target(4, 6), "speaker": target(10, 6)}
    figure = plot_layers(targets, "a title")
    assert figure.get_suptitle() == "a title"
    for axes, (name, own) in zip(figure.axes, targets.items(), strict=True):
        assert axes.get_title() == f"{name}, {len(own['classes'])} classes"
        drawn = lines(axes)
        for label, version in (("as they are", "raw"), ("normalised by speaker", "normalised")):
            np.testing.assert_allclose(
                drawn[label].get_ydata(), [row["ua"] for row in own[version]]
            )
            np.testing.assert_allclose(drawn[label].get_xdata(), np.arange(6), atol=0.2)
        np.testing.assert_allclose(drawn["chance"].get_ydata(), own["chance"])
        np.testing.assert_allclose(drawn["shuffled labels"].get_ydata(), own["chance"])
        edges = [segment[:, 1].tolist() for segment in axes.collections[0].get_segments()]
        np.testing.assert_allclose(edges, [row["ci95"] for row in own["raw"]])


def test_versions_differ_without_colour():
    raw, normalised, *_ = plot_layers({"emotion": target(4, 3)}, "").axes[0].lines
    assert raw.get_linestyle() != normalised.get_linestyle()
    assert raw.get_marker() != normalised.get_marker()
    assert (raw.get_xdata() < normalised.get_xdata()).all()


@pytest.mark.parametrize("layers", [1, 13, 26])
def test_the_last_layer_is_named_and_ticks_leave_room(layers):
    (axes,) = plot_layers({"emotion": target(4, layers)}, "").axes
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names[-1] == str(layers - 1)
    assert len(names) <= 14


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_any_number_of_targets_is_a_picture(count):
    targets = {f"target {n}": target(3, 2, known=False) for n in range(count)}
    assert to_png(plot_layers(targets, "title"))[:4] == b"\x89PNG"
