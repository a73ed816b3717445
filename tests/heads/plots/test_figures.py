"""Figures say what their data say."""

from __future__ import annotations

import io
import re
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from heads.plots import to_png
from heads.plots.confusion import plot_confusion
from heads.plots.history import plot_history
from heads.plots.style import CELL
from heads.report import page

LABELS = ("angry", "happy", "sad")
MATRIX = np.array([[8.0, 2.0, 0.0], [1.5, 2.5, 1.0], [0.0, 0.0, 0.0]])


def make_history():
    """Nine models; those with higher numbers stop earlier, and are worse."""
    rows = [
        {"fold": k // 3, "seed": k % 3, "epoch": epoch, "train_loss": 2.0 / epoch + k,
         "val_loss": 3.0 / epoch + k, "val_ua": (9 - k) / 10}
        for k in range(9)
        for epoch in range(1, 12 - k)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def pixels(figure):
    return matplotlib.image.imread(io.BytesIO(to_png(figure)))


# Confusion


def test_each_cell_holds_its_share_of_the_row_and_its_count():
    (axes,) = plot_confusion(MATRIX, LABELS, "title").axes
    found = {text.get_position(): text.get_text() for text in axes.texts}
    assert found == {
        (0, 0): "80%\n8", (1, 0): "20%\n2", (2, 0): "0%\n0",
        (0, 1): "30%\n1.5", (1, 1): "50%\n2.5", (2, 1): "20%\n1",
        (0, 2): "0%\n0", (1, 2): "0%\n0", (2, 2): "0%\n0",
    }  # fmt: skip


def test_rows_are_the_truth_and_columns_the_prediction():
    (axes,) = plot_confusion(MATRIX, LABELS, "a title").axes
    assert axes.get_ylabel() == "true"
    assert axes.get_xlabel().replace("\n", " ").startswith("predicted: share of the true emotion")
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert tuple(label.get_text() for label in labels) == LABELS
    assert axes.get_title() == "a title"
    np.testing.assert_allclose(axes.collections[0].get_array()[0, :, 3], [0.8, 0.2, 0])


@pytest.mark.parametrize("theme", ["print", "light", "dark"])
def test_text_stands_out_from_its_cell(theme):
    """WCAG 2.1 asks for a contrast of 4.5, on paper and in both themes of the page."""
    ink, paper, cell = theme_colours(theme)
    (axes,) = plot_confusion(np.array([[1.0, 0.0], [1.0, 1.0]]), ["a", "b"], "").axes
    cells = axes.collections[0].get_array()
    assert {text.get_color() for text in axes.texts} == {"black"}
    for share in cells[..., 3].ravel():
        ground = share * np.array(to_rgb(cell)) + (1 - share) * np.array(to_rgb(paper))
        light, dark = sorted(map(luminance, (ground, to_rgb(ink))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, share


def theme_colours(theme):
    """Ink, paper and a full cell of the PNG, or as the page's style has them."""
    if theme == "print":
        return "#000000", "#ffffff", CELL
    style = (Path(page.__file__).parent / "templates/page.css").read_text()
    block = style.split(f"macro {theme}()")[1].split("endmacro")[0]
    return tuple(re.search(rf"--{name}: (#\w+);", block)[1] for name in ("ink", "paper", "cell"))


def luminance(colour):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("classes", [2, 12])
def test_a_confusion_matrix_of_any_size_is_a_picture(classes):
    labels = [f"emotion number {n}" for n in range(classes)]
    image = pixels(plot_confusion(10 * np.eye(classes), labels, "title"))
    assert image.shape[0] > 300
    assert image[..., 0].min() < 0.1
    assert image[..., 0].max() == 1


# History


def test_the_history_shows_median_and_middle_half_and_keeps_stopped_models():
    history = make_history()
    losses, accuracy = plot_history(history, "title").axes
    for line, column in (
        (losses.lines[0], "train_loss"),
        (losses.lines[1], "val_loss"),
        (accuracy.lines[0], "val_ua"),
    ):
        models = history.pivot(index="epoch", columns=["fold", "seed"], values=column)
        assert models.isna().any(axis=None)  # some have stopped
        expected = models.ffill().median(axis=1)
        np.testing.assert_array_equal(line.get_xdata(), expected.index)
        np.testing.assert_allclose(line.get_ydata(), expected)
    band = losses.collections[0].get_paths()[0].vertices
    first = history[history["epoch"] == 1]["train_loss"]
    np.testing.assert_allclose(
        [band[band[:, 0] == 1, 1].min(), band[band[:, 0] == 1, 1].max()],
        first.quantile([0.25, 0.75]),
    )


def test_the_history_says_what_it_shows():
    figure = plot_history(make_history(), "a title")
    losses, accuracy = figure.axes
    assert figure.get_suptitle().startswith("a title\nmedian and middle half of 9 models; one that")
    assert (losses.get_ylabel(), losses.get_xlabel()) == ("loss", "epoch")
    assert (accuracy.get_ylabel(), accuracy.get_xlabel()) == (
        "unweighted accuracy (validation)",
        "epoch",
    )
    legend = [text.get_text() for text in losses.get_legend().get_texts()]
    assert legend == ["training", "validation"]
    assert accuracy.get_ylim() == (0, 1)


def test_the_worst_group_is_a_line_of_its_own():
    history = make_history()
    history["val_worst_loss"], history["val_worst_ua"] = history["val_loss"] + 1, 0.1
    for axes in plot_history(history, "").axes:
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels[-2:] == ["validation", "worst group"]
        assert len({line.get_linestyle() for line in axes.lines}) == len(axes.lines)
    np.testing.assert_allclose(axes.lines[1].get_ydata(), 0.1)


def test_lines_differ_without_colour():
    losses, _ = plot_history(make_history(), "").axes
    assert losses.lines[0].get_linestyle() != losses.lines[1].get_linestyle()


def test_one_epoch_of_one_model_is_a_picture():
    image = pixels(plot_history(make_history()[:1], "title"))
    assert image[..., 0].min() < 0.5


# PNG


def test_the_same_figure_gives_the_same_bytes():
    once, again = (to_png(plot_confusion(MATRIX, LABELS, "title")) for _ in range(2))
    assert once[:8] == b"\x89PNG\r\n\x1a\n"
    assert once == again
