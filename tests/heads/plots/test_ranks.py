"""The critical-difference diagram shows every run at its mean rank."""

from __future__ import annotations

import numpy as np
import pytest

from heads.analysis.ranks import Ranks, groups_alike
from heads.plots.ranks import plot_ranks


def ranks(count, alike=()):
    mean = np.linspace(1.2, count - 0.3, count).tolist()
    order = list(reversed(range(count)))
    return Ranks(order=order, mean=mean, alike=frozenset(alike), speakers=5)


@pytest.mark.parametrize("count", [2, 3, 20])
def test_every_run_stands_at_its_rank_with_its_name(count):
    found = ranks(count)
    names = [f"run {n}" for n in range(count)]
    (axes,) = plot_ranks(found, names, "title").axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert sorted(line.get_xdata()[0] for line in dots) == pytest.approx(sorted(found.mean))
    texts = [text.get_text().strip() for text in axes.texts]
    for place, run in enumerate(found.order):
        told = {names[run], f"{found.mean[place]:.2f}"}
        assert any(set(text.split("  ")) == told for text in texts)


def test_lines_join_those_that_are_alike():
    found = ranks(4, {(2, 3), (0, 1)})  # the first two places, and the last two
    (axes,) = plot_ranks(found, list("abcd"), "title").axes
    lines = [line.get_xdata() for line in axes.lines if line.get_linewidth() == 4]
    assert len(lines) == len(groups_alike(found)) == 2
    for line, stretch in zip(lines, groups_alike(found), strict=True):
        low, high = found.mean[stretch[0]], found.mean[stretch[-1]]
        assert line[0] < low < high < line[1]
