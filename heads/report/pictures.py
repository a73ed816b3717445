"""`ser pictures`: every picture of a run as a file, for papers and slides."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedcache.atomic import write_whole
from embedcache.errors import SerError, UsageError, disk_errors, unknown_name
from heads.analysis.leaderboard import about_run
from heads.analysis.projection import require_method
from heads.group_columns import group_of
from heads.plots import to_bytes
from heads.plots.agreement import plot_agreement
from heads.plots.bars import plot_per_class
from heads.plots.calibration import plot_calibration
from heads.plots.confusion import plot_confusion
from heads.plots.gaps import plot_gaps
from heads.plots.history import plot_history
from heads.plots.layers import plot_layers
from heads.plots.predicted import plot_predicted
from heads.plots.projection import plot_projection
from heads.plots.speakers import plot_speakers
from heads.plots.tau import plot_tau
from heads.report.records import Making, record_of
from heads.report.sections.bias import drawn_gaps
from heads.report.tested import read_tested

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from matplotlib.figure import Figure

    from heads.results import Run

FORMS = ("png", "svg", "pdf")
_COLOURED_BY = ("gender", "speaker")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What is drawn, and where it goes.

    Attributes:
        only: Names of pictures; empty for all that can be drawn.
        clips: Ids of the clips on which attention is shown; empty for a choice.
        form: `png`, `svg` or `pdf`.
        method: Of the map of the clips: `t-sne` or `umap`.
        folder: Where the files go; None for `pictures/` in the run's folder.
    """

    only: Sequence[str] = ()
    clips: Sequence[str] = ()
    form: str = "png"
    method: str = "t-sne"
    folder: Path | None = None

    def __post_init__(self) -> None:
        for name in self.only:
            if name not in _DRAWN:
                raise unknown_name("--only", name, _DRAWN)
        if self.form not in FORMS:
            raise unknown_name("--format", self.form, FORMS)
        require_method(self.method)


def write_pictures(run: Run, asked: Pictures) -> list[Path]:
    """Draw a run's pictures; what cannot be drawn is told with its reason.

    Reports that a picture needs are read, or made and written beside the run.

    Returns:
        The files.

    Raises:
        UsageError: None of the pictures can be drawn.
        SerError: The disk refused.
    """
    folder = asked.folder or run.path / "pictures"
    files, reasons = [], []
    for name, draw in _DRAWN.items():
        if asked.only and name not in asked.only:
            continue
        try:
            figure = draw(run, asked, about_run(run.results))
        except SerError as error:
            reasons.append(f"{name}: {error}")
            continue
        file = folder / f"{name}.{asked.form}"
        with disk_errors(file):
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(file, to_bytes(figure, asked.form))
        files.append(file)
    for reason in reasons:
        _log.warning("not drawn: %s", reason)
    if not files:
        raise UsageError(f"{run.id}: none of the pictures can be drawn; {reasons[-1]}")
    return files


def _confusion(run: Run, asked: Pictures, title: str) -> Figure:
    _require_emotions(run)
    return plot_confusion(np.array(run.results["confusion_matrix"], float), run.labels, title)


def _history(run: Run, asked: Pictures, title: str) -> Figure:
    if not len(run.history):
        raise UsageError(f"the head {run.results['head']['name']} has no epochs")
    return plot_history(run.history, title)


def _per_class(run: Run, asked: Pictures, title: str) -> Figure:
    _require_emotions(run)
    return plot_per_class(run.results["per_class"], title)


def _calibration(run: Run, asked: Pictures, title: str) -> Figure:
    _require_emotions(run)
    if not run.results.get("calibration"):
        raise UsageError("results.json of an earlier version holds no calibration")
    return plot_calibration(run.results["calibration"], title)


def _speakers(run: Run, asked: Pictures, title: str) -> Figure:
    _require_emotions(run)
    tested = read_tested(run)
    if not tested.speakers.all():
        raise UsageError("speakers are not known")
    genders = {u.speaker: u.gender for u in run.utterances.values()}
    ua = tested.scores(tested.by_speaker)["ua"].mean(axis=0)
    names = tested.speaker_names
    mean = run.results["metrics"]["ua"]["mean"]
    return plot_speakers(names, ua.tolist(), [genders.get(n) for n in names], title, mean)


def _predicted(run: Run, asked: Pictures, title: str) -> Figure:
    if run.target == "emotion":
        raise UsageError("the run has learned emotions, and no values")
    return plot_predicted(run.predictions, run.labels, title)


def _gaps(run: Run, asked: Pictures, title: str) -> Figure:
    record = _record(run, "bias", asked)
    gaps = [gap for gap in record["gaps"] if gap["ci95"] is not None]
    if not gaps:
        raise UsageError("bias.json holds no gap with an interval")
    first = gaps[0]["by"]
    _, drawn = drawn_gaps([gap for gap in gaps if gap["by"] == first])
    legend = "orange: the interval leaves out zero; grey ticks: the smallest gap to be seen"
    return plot_gaps(drawn, f"{title}\nby {first}; {legend}")


def _agreement(run: Run, asked: Pictures, title: str) -> Figure:
    return plot_agreement(_of_votes(run, asked), title)


def _tau(run: Run, asked: Pictures, title: str) -> Figure:
    return plot_tau(_of_votes(run, asked)["tau"], title)


def _layers(run: Run, asked: Pictures, title: str) -> Figure:
    return plot_layers(_record(run, "probes", asked)["targets"], title)


def _projection(run: Run, asked: Pictures, title: str) -> Figure:
    record = _record(run, "projection", asked)
    known = [run.utterances.get(name) for name in record["ids"]]
    columns: dict[str, list[str | None]] = {}
    if run.target == "emotion":
        tested = read_tested(run)
        truth = [run.labels[code] for code in tested.targets.argmax(axis=1)]
        emotions: dict[str, str] = dict(zip(tested.ids.tolist(), truth, strict=True))
        columns["emotion"] = [emotions.get(name) for name in record["ids"]]
    for column in _COLOURED_BY:
        values = [group_of(own, column) if own else None for own in known]
        if any(values):
            columns[column] = values
    told = f"{record['method']} of layer {record['layer']}: {title}"
    return plot_projection(record["x"], record["y"], columns, told)


def _attention(run: Run, asked: Pictures, title: str) -> Figure:
    from heads.report.attention import attention_picture

    return attention_picture(run, asked.clips)


_DRAWN: dict[str, Callable[[Run, Pictures, str], Figure]] = {
    "confusion": _confusion,
    "predicted": _predicted,
    "history": _history,
    "per-class": _per_class,
    "calibration": _calibration,
    "speakers": _speakers,
    "gaps": _gaps,
    "agreement": _agreement,
    "tau": _tau,
    "layers": _layers,
    "projection": _projection,
    "attention": _attention,
}


def _record(run: Run, name: str, asked: Pictures) -> dict[str, Any]:
    record, reason = record_of(run, name, Making(runs={run.id}, method=asked.method))
    if record is None:
        raise UsageError(reason)
    return record


def _of_votes(run: Run, asked: Pictures) -> dict[str, Any]:
    record = _record(run, "ambiguity", asked)
    if not record["votes"]:
        raise UsageError(str(record["reason"]))
    return record


def _require_emotions(run: Run) -> None:
    if run.target != "emotion":
        raise UsageError(f"the run has learned {', '.join(run.labels)}, and no emotions")
