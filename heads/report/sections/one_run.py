"""One run: what its emotions are taken for, how it was trained, how sure it is, whom it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heads.analysis.leaderboard import notes
from heads.plots.bars import plot_per_class
from heads.plots.calibration import plot_calibration
from heads.plots.confusion import plot_confusion
from heads.plots.history import plot_history, shown_models
from heads.plots.predicted import plot_predicted
from heads.plots.speakers import plot_speakers
from heads.report.leaderboard import name_of, value_of
from heads.report.sections.parts import (
    Badge,
    Cell,
    Column,
    Gone,
    Picture,
    Table,
    badges,
    number_cell,
    per_cent,
    percent_cell,
    picture,
)
from heads.results import target_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from heads.analysis.tested import Tested
    from heads.report.sections.naming import Named

_FIRST = {"emotion": ("ua", "wa", "macro_f1"), "dimensions": ("ccc", "pearson", "rmse")}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunShown:
    """A run for the page.

    Attributes:
        named: What it is called.
        badges: What its numbers must be read with.
        lead: What it reaches, in a sentence or two.
        pictures: Those that can be drawn.
        table: Numbers of each emotion; None for dimensions.
    """

    named: Named
    badges: Sequence[Badge]
    lead: str
    pictures: Sequence[Picture]
    table: Table | None


def run_section(
    results: Mapping[str, Any],
    named: Named,
    history: pd.DataFrame | str,
    tested: Tested | str,
    genders: Mapping[str, str | None] | str,
    attention: Figure | str | None = None,
) -> tuple[RunShown, list[Gone]]:
    """A run for the page, and what could not be shown of it.

    Args:
        results: `results.json`.
        named: What it is called.
        history: Its `history.csv`, or why there is none.
        tested: Its predictions, or why there are none.
        genders: By speaker, or why they are not known.
        attention: Where its models look, or why that is not known; None for nothing.
    """
    drawn: list[tuple[str, Picture | str]] = []
    if target_of(results) == "emotion":
        drawn += [
            ("confusion matrix", _confusion(results, named)),
            ("per-class bars", _per_class(results, named)),
            ("calibration", _calibration(results, named)),
        ]
    else:
        drawn.append(("predicted values", _predicted(tested, named)))
    drawn.append(("training history", _history(history, named)))
    if target_of(results) == "emotion":
        drawn.append(("per-speaker dots", _speakers(tested, genders, results, named)))
    if attention is not None:
        drawn.append(("attention", _attention(attention, named)))
    shown = RunShown(
        named=named,
        badges=badges(notes(results)),
        lead=_lead(results),
        pictures=[own for _, own in drawn if isinstance(own, Picture)],
        table=_class_table(results, named) if target_of(results) == "emotion" else None,
    )
    gone = [
        Gone(what=what, where=named.short, why=own) for what, own in drawn if isinstance(own, str)
    ]
    return shown, gone


def _lead(results: Mapping[str, Any]) -> str:
    parts = []
    for name in _FIRST[target_of(results)]:
        metric = results["metrics"][name]
        text = f"{name_of(name)} {value_of(metric['mean'], name)}"
        if metric["ci95"]:
            text += " (" + " to ".join(value_of(end, name) for end in metric["ci95"]) + ")"
        parts.append(text)
    told = f"{', '.join(parts)}; 95 % over speakers in brackets."
    labels = results["corpus"]["labels"]
    if target_of(results) == "emotion" and labels:
        told += f" Chance is {per_cent(1 / len(labels))} UA."
    return told


def _confusion(results: Mapping[str, Any], named: Named) -> Picture | str:
    matrix = np.array(results.get("confusion_matrix") or [], dtype=float)
    labels = results["corpus"]["labels"]
    if matrix.shape != (len(labels), len(labels)):
        return "its results.json holds no confusion matrix of its labels"
    return picture(
        plot_confusion(matrix, labels, ""),
        f"{named.anchor}-confusion",
        f"Confusion matrix of {named.short}",
        _commonest_confusion(matrix, labels),
    )


def _attention(attention: Figure | str, named: Named) -> Picture | str:
    if isinstance(attention, str):
        return attention
    return picture(
        attention,
        f"{named.anchor}-attention",
        f"Attention of {named.short}",
        "Where the model looks in clips of which it is surest, right and wrong in turn.",
        "Each clip is shown to the model that has not seen it in training.",
        wide=True,
    )


def _commonest_confusion(matrix: np.ndarray[Any, Any], labels: Sequence[str]) -> str:
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, where=totals > 0, out=np.zeros_like(matrix))
    wrong = shares - np.diag(np.diag(shares))
    row, column = divmod(int(wrong.argmax()), len(labels))
    if not wrong[row, column] > 0:
        return "Confusion matrix: every clip is taken for what it is."
    return (
        f"Confusion matrix: {labels[row]} is taken for {labels[column]} most often "
        f"({100 * wrong[row, column]:.0f} % of its clips)."
    )


def _per_class(results: Mapping[str, Any], named: Named) -> Picture | str:
    per_class = results["per_class"]
    if not per_class:
        return "its results.json holds no scores of single emotions"
    f1 = {label: own["f1"] for label, own in per_class.items() if own["f1"] is not None}
    finding = "Precision, recall and F1 of each emotion: no F1 is defined."
    if f1:
        best, worst = max(f1, key=f1.__getitem__), min(f1, key=f1.__getitem__)
        finding = (
            f"Per class: {best} is recognised best (F1 {100 * f1[best]:.0f}), {worst} worst "
            f"({100 * f1[worst]:.0f})."
        )
    return picture(
        plot_per_class(per_class, ""),
        f"{named.anchor}-classes",
        f"Precision, recall and F1 per emotion of {named.short}",
        finding,
    )


def _class_table(results: Mapping[str, Any], named: Named) -> Table | None:
    if not results["per_class"]:
        return None
    rows = [
        [
            Cell(text=label, value=label),
            *(percent_cell(own[score]) for score in ("precision", "recall", "f1")),
            number_cell(own["support"], f"{own['support']:.0f}"),
        ]
        for label, own in results["per_class"].items()
    ]
    titles = ("precision", "recall", "F1", "clips")
    return Table(
        name=f"{named.anchor}-class-table",
        caption=f"Each emotion in numbers, per cent: {named.short}",
        columns=[Column(title="emotion"), *(Column(title=t, number=True) for t in titles)],
        rows=rows,
    )


def _calibration(results: Mapping[str, Any], named: Named) -> Picture | str:
    curve = results.get("calibration")
    if not curve or not sum(curve["count"]):
        return "its results.json holds no calibration curve; train the head again to have one"
    pairs = [
        (n, c, a)
        for n, c, a in zip(curve["count"], curve["confidence"], curve["accuracy"], strict=True)
        if n
    ]
    total = sum(n for n, _, _ in pairs)
    sure, right = (sum(n * own[i] for n, *own in pairs) / total for i in (0, 1))
    how = "more" if sure > right else "less"
    finding = (
        f"Calibration: it says {100 * sure:.0f} % on average and is right in {100 * right:.0f} %"
        + (f": {how} sure than it should be." if abs(sure - right) >= 0.02 else ".")
    )
    ece = results["metrics"]["ece"]["mean"]
    caption = "" if ece is None else f"ECE {value_of(ece, 'ece')}; dots grow with their count."
    return picture(
        plot_calibration(curve, ""),
        f"{named.anchor}-calibration",
        f"Reliability diagram of {named.short}",
        finding,
        caption,
    )


def _history(history: pd.DataFrame | str, named: Named) -> Picture | str:
    if isinstance(history, str):
        return history
    if not len(history):
        return "this head has no epochs"
    score = "val_ccc" if "val_ccc" in history else "val_ua"
    if score not in history:
        return "its history.csv holds no validation score"
    told = "CCC" if score == "val_ccc" else "UA"
    best = history.groupby(["fold", "seed"])[score].max().median()
    value = f"{best:.3f}" if score == "val_ccc" else per_cent(best)
    return picture(
        plot_history(history, "", upright=True),
        f"{named.anchor}-history",
        f"Training history of {named.short}",
        f"Training: the best epoch of the median model reaches {told} {value} on validation.",
        f"{shown_models(history).capitalize()}.",
    )


def _speakers(
    tested: Tested | str,
    genders: Mapping[str, str | None] | str,
    results: Mapping[str, Any],
    named: Named,
) -> Picture | str:
    if isinstance(tested, str):
        return tested
    if not tested.speakers.all():
        return "speakers are not known; add a speaker column in a manifest"
    ua = tested.scores(tested.by_speaker)["ua"].mean(axis=0)
    scored = ~np.isnan(ua)
    names = [name for name, there in zip(tested.speaker_names, scored, strict=True) if there]
    ua = ua[scored]
    if not names:
        return "no speaker has a scored utterance"
    known = {} if isinstance(genders, str) else genders
    low, high = int(ua.argmin()), int(ua.argmax())
    finding = (
        f"Speakers: UA from {per_cent(float(ua[low]))} ({names[low]}) to "
        f"{per_cent(float(ua[high]))} ({names[high]})."
        if len(names) > 1
        else f"One speaker: UA {per_cent(float(ua[0]))} ({names[0]})."
    )
    return picture(
        plot_speakers(
            names, ua.tolist(), [known.get(name) for name in names], "",
            results["metrics"]["ua"]["mean"],
        ),
        f"{named.anchor}-speakers",
        f"UA of each speaker, {named.short}",
        finding,
        "UA of each speaker, mean over seeds; the dashed line is the whole run's.",
    )  # fmt: skip


def _predicted(tested: Tested | str, named: Named) -> Picture | str:
    if isinstance(tested, str):
        return tested
    import pandas as pd

    columns: dict[str, Any] = {"id": tested.ids, "seed": 0}
    means = tested.predictions.mean(axis=0)
    for n, label in enumerate(tested.labels):
        columns |= {f"true_{label}": tested.targets[:, n], f"pred_{label}": means[:, n]}
    ccc = {
        label: float(tested.scores(tested.by_speaker.sum(axis=1))[f"ccc_{label}"].mean())
        for label in tested.labels
        if f"ccc_{label}" in tested.scores(tested.by_speaker.sum(axis=1))
    }
    finding = "Predicted against annotated values" + (
        ": CCC " + ", ".join(f"{label} {value:.3f}" for label, value in ccc.items()) if ccc else ""
    )
    return picture(
        plot_predicted(pd.DataFrame(columns), tested.labels, ""),
        f"{named.anchor}-predicted",
        f"Predicted and annotated values of {named.short}",
        f"{finding}.",
        wide=True,
    )
