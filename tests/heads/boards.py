"""Leaderboards as `ser compare` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heads.report.compare import Comparison, compare
from heads.report.contenders import Chosen


def board_text(
    runs: Sequence[Path], corpus: str | None = None, metric: str | None = None, form: str = "table"
) -> str:
    """The leaderboards of these runs, each corpus, labels and protocol for itself."""
    chosen = Chosen(names=list(map(str, runs)), results_dir=runs[0].parent, corpus=corpus)
    return compare(Comparison(chosen=chosen, metric=metric, format=form))
