"""Runs as they enter a leaderboard: their results, and predictions that agree with them."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedcache.errors import SerError, UsageError
from heads.analysis.ranking import Contender
from heads.metrics import confusion_matrix, f1_scores
from heads.report.tested import read_tested
from heads.results import find_run, list_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from heads.analysis.tested import Tested
    from heads.results import Run

_ROUNDING = 1e-4  # of predictions with seven digits, and of ties between them
_ROUNDED_BINS = 0.02  # of ECE: a clip whose confidence is rounded over an edge changes its bin

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which runs are looked at.

    Attributes:
        names: Folders or ids of runs; none is all in `results_dir`.
        results_dir: Folder of runs.
        corpus: Only runs on this corpus, or on just these, joined with commas or `+`.
        head: Only runs of these heads, joined with commas.
        encoder: Only runs on frames of these encoders.
        protocol: Only runs under these protocols.
    """

    names: Sequence[str] = ()
    results_dir: Path
    corpus: str | None = None
    head: str | None = None
    encoder: str | None = None
    protocol: str | None = None


def choose_runs(chosen: Chosen) -> list[Run]:
    """The runs, each once.

    Raises:
        UsageError: One is named that does not exist, or none is left.
        SerError: One that is named is damaged.
    """
    if chosen.names:
        found = [find_run(name, chosen.results_dir) for name in chosen.names]
    else:
        found = list_runs(chosen.results_dir)
    runs = each_once(found)
    left = [run for run in runs if _matches(run, chosen)]
    if left:
        return left
    asked = {
        "--corpus": chosen.corpus,
        "--head": chosen.head,
        "--encoder": chosen.encoder,
        "--protocol": chosen.protocol,
    }
    filters = ", ".join(f"{name} {value}" for name, value in asked.items() if value)
    if runs and filters:
        raise UsageError(
            f"none of the {len(runs)} runs in {chosen.results_dir} fits {filters}; see "
            "`ser compare` without filters"
        )
    raise UsageError(
        f"there is no run in {chosen.results_dir}; make one with `ser train-head`, or give the "
        "folder of runs with --results-dir"
    )


def each_once(runs: Sequence[Run]) -> list[Run]:
    """Each run once: by its folder, and by its id, which is a hash of all that it depends on."""
    found: dict[str, Run] = {}
    for run in runs:
        first = found.setdefault(run.id, run)
        if first.path.resolve() != run.path.resolve():
            _log.warning("left out: %s is the same run as %s", run.path, first.path)
    return list(found.values())


def contenders_of(runs: Sequence[Run], strict: bool = False) -> list[Contender]:
    """Runs with their predictions.

    A run whose predictions cannot be read stays, without them, and a warning says so. One whose
    predictions contradict its results was edited, or half-written: no number of it can be believed.

    Args:
        runs: Those that take part.
        strict: Whether such a run is an error; else it is left out with a warning.

    Raises:
        SerError: A run was edited, and `strict`.
    """
    found = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # most of the time goes into reading tables
        entries = list(pool.map(_enter, runs))
    for run, (contender, told) in zip(runs, entries, strict=True):
        if contender is None and strict:
            raise SerError(told)
        if contender is None:
            _log.warning("left out: %s", told)
            continue
        if told:
            _log.warning("%s: its numbers stand without a test: %s", run.id, told)
        found.append(contender)
    return found


def _enter(run: Run) -> tuple[Contender | None, str]:
    """A run as a contender, if it can be one, and what is wrong with it."""
    try:
        tested = read_tested(run)
    except SerError as error:
        return Contender(results=run.results, tested=None, why="no predictions"), str(error)
    told = _contradiction(run, tested)
    if told:
        return None, told
    results = _with_own_intervals(run.results, tested)
    return Contender(results=results, tested=tested, size_bytes=run.model_bytes), ""


def _contradiction(run: Run, tested: Tested) -> str:
    """How predictions contradict `results.json`; empty where they do not."""
    found = tested.scores(tested.by_speaker.sum(axis=1))
    pairs = [
        (name, run.results["metrics"][name]["mean"], float(np.mean(found[name])))
        for name in found
        if name in run.results["metrics"]
    ]
    if run.target == "emotion":
        confusion = confusion_matrix(tested.by_speaker.sum(axis=1), len(run.labels))
        for label, f1 in zip(run.labels, f1_scores(confusion).T, strict=True):
            told = run.results["per_class"].get(label, {}).get("f1")
            pairs.append((f"F1 of {label}", told, float(np.mean(f1))))
    for name, said, own in pairs:
        allowed = _ROUNDED_BINS if name == "ece" else _ROUNDING
        if said is not None and not isinstance(said, int | float):
            return (
                f"{run.path}: results.json says {name} {said!r}, which is no number; it was edited"
            )
        if said is not None and not abs(said - own) <= allowed:
            return (
                f"{run.path}: results.json says {name} {said:.4f}, and predictions.csv gives "
                f"{own:.4f}; one of them was edited or half-written; train the head again"
            )
    return ""


def _with_own_intervals(results: Mapping[str, Any], tested: Tested) -> dict[str, Any]:
    """Results with intervals over speakers that are made anew from the predictions.

    So runs of an earlier version have the same ones, and nobody's hand is in them.
    """
    if not tested.speakers.all():
        return dict(results)
    metrics = dict(results["metrics"])
    for name, edges in tested.intervals().items():
        if name in metrics and metrics[name]["mean"] is not None:
            metrics[name] = metrics[name] | {"ci95": edges}
    return {**results, "metrics": metrics}


def _matches(run: Run, chosen: Chosen) -> bool:
    results = run.results
    corpora = set(results["corpus"]["name"].split("+"))
    if chosen.corpus and set(chosen.corpus.replace(",", "+").split("+")) != corpora:
        return False
    of = {
        results["head"]["name"]: chosen.head,
        results["cache"]["encoder"]["id"]: chosen.encoder,
        results["protocol"]["name"]: chosen.protocol,
    }
    return all(asked is None or value in asked.split(",") for value, asked in of.items())
