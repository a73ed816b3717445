"""Bias: how well each group of speakers is recognised, and how far the groups lie apart.

Predictions of all folds and seeds are pooled before a metric is taken, and uncertainty is over
speakers: clips of one speaker are no independent witnesses.

Letters: N utterances, G speakers, C classes, K values of a tally, P permutations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from heads.metrics import confusion_matrix, recalls, scores, sum_by

Array = npt.NDArray[np.float64]

GAP_METRICS = ("ua", "wa", "macro_f1")
PERMUTATIONS = 9999
MIN_SPEAKERS = 2
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """Tested utterances with what they count for and whom they come from.

    Attributes:
        tallies: [N, K], summed over seeds: whole counts, whose sums and differences are exact.
        speakers: [N].
        labels: Names of the classes.
    """

    tallies: Array
    speakers: Sequence[str]
    labels: Sequence[str]


def group_scores(table: GroupTable, values: Sequence[str | None]) -> dict[str, dict[str, Any]]:
    """Accuracy, UA, macro-F1 and recalls of each group; utterances without a value are left out.

    Args:
        table: The utterances.
        values: [N], the group of each.
    """
    groups = {}
    for value in sorted({v for v in values if v is not None}):
        rows = [i for i, v in enumerate(values) if v == value]
        total = table.tallies[rows].sum(axis=0)
        found = scores(total, len(table.labels))
        recall = recalls(confusion_matrix(total, len(table.labels)))
        groups[value] = {
            "n": len(rows),
            "speakers": len({table.speakers[i] for i in rows}),
            **{name: _number(found[name]) for name in GAP_METRICS},
            "recall": {x: _number(r) for x, r in zip(table.labels, recall, strict=True)},
        }
    return groups


def group_gaps(
    table: GroupTable, by: str, values: Sequence[str | None], seed: int = 0
) -> list[dict[str, Any]]:
    """Gaps between each two groups: a minus b, with 95 % intervals and p-values over speakers.

    Where no speaker stands in both groups, the interval is Welch's over jackknife errors of the two
    groups and p comes from permuting the groups over speakers. Where speakers stand in both, the
    jackknife leaves a speaker out of both at once, and there is no p. Of single speakers, the gap
    between the best and the worst is given without either: they were chosen by looking.

    Args:
        table: The utterances.
        by: Name of the column.
        values: [N], the group of each.
        seed: Of the permutations.
    """
    names = sorted({v for v in values if v is not None})
    if by == "speaker":
        return _extremes(table, names, values)
    rng = np.random.default_rng(seed)
    gaps = []
    for a, b in combinations(names, 2):
        tallies = [_by_speaker(table, [v == name for v in values]) for name in (a, b)]
        gaps += _pair(by, a, b, tallies[0], tallies[1], len(table.labels), rng)
    return gaps


def holm(gaps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same gaps with `p_holm`, corrected over all that have a p (Holm 1979)."""
    order = sorted((g["p"], i) for i, g in enumerate(gaps) if g["p"] is not None)
    corrected: dict[int, float] = {}
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        corrected[index] = largest
    return [{**gap, "p_holm": corrected.get(i)} for i, gap in enumerate(gaps)]


def _by_speaker(table: GroupTable, chosen: Sequence[bool]) -> dict[str, Array]:
    """The tally of each speaker over some of the utterances."""
    rows = [i for i, inside in enumerate(chosen) if inside]
    speakers = np.array([table.speakers[i] for i in rows], str)
    names, codes = np.unique(speakers, return_inverse=True)
    summed = sum_by(table.tallies[rows], codes, len(names))
    return dict(zip(names.tolist(), summed, strict=True))


def _pair(
    by: str,
    a: str,
    b: str,
    first: dict[str, Array],
    second: dict[str, Array],
    classes: int,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    crossed = sorted(first.keys() & second.keys())
    x, y = np.array(list(first.values())), np.array(list(second.values()))
    observed = _gap(x.sum(axis=0), y.sum(axis=0), classes)
    few = min(len(first), len(second)) < MIN_SPEAKERS
    if few:
        intervals, p_values = dict.fromkeys(GAP_METRICS), dict.fromkeys(GAP_METRICS)
        reason = f"a group has fewer than {MIN_SPEAKERS} speakers"
    elif crossed:
        everyone = sorted(first.keys() | second.keys())
        nothing = np.zeros(x.shape[1])
        intervals = _crossed_interval(
            np.array([first.get(s, nothing) for s in everyone]),
            np.array([second.get(s, nothing) for s in everyone]),
            observed,
            classes,
        )
        p_values = dict.fromkeys(GAP_METRICS)
        reason = f"{len(crossed)} speakers stand in both groups: no permutation"
    else:
        intervals = _welch_interval(x, y, observed, classes)
        p_values = _permutation_p(x, y, observed, classes, rng)
        reason = ""
    return [
        {
            "by": by,
            "metric": metric,
            "a": a,
            "b": b,
            "gap": _number(observed[metric]),
            "ci95": intervals[metric],
            "p": p_values[metric],
            **({"reason": reason} if reason else {}),
        }
        for metric in GAP_METRICS
    ]


def _extremes(
    table: GroupTable, names: Sequence[str], values: Sequence[str | None]
) -> list[dict[str, Any]]:
    if len(names) < 2:
        return []
    tallies = np.array([table.tallies[[v == n for v in values]].sum(axis=0) for n in names])
    found = scores(tallies, len(table.labels))
    gaps = []
    for metric in GAP_METRICS:
        if np.isnan(found[metric]).all():
            continue
        best, worst = int(np.nanargmax(found[metric])), int(np.nanargmin(found[metric]))
        gaps.append(
            {
                "by": "speaker",
                "metric": metric,
                "a": names[best],
                "b": names[worst],
                "gap": _number(found[metric][best] - found[metric][worst]),
                "ci95": None,
                "p": None,
                "reason": "best and worst speaker, chosen by looking",
            }
        )
    return gaps


def _gap(first: Array, second: Array, classes: int) -> dict[str, Array]:
    x, y = scores(first, classes), scores(second, classes)
    return {metric: x[metric] - y[metric] for metric in GAP_METRICS}


def _welch_interval(
    x: Array, y: Array, observed: dict[str, Array], classes: int
) -> dict[str, list[float] | None]:
    """Gap +- t sqrt(se_x^2 + se_y^2), with Welch and Satterthwaite's degrees of freedom."""
    errors = []
    for group in (x, y):
        without = scores(group.sum(axis=0) - group, classes)
        count = len(group)
        errors.append(
            {m: (count - 1) / count * ((v - v.mean()) ** 2).sum() for m, v in without.items()}
        )
    intervals = {}
    for metric in GAP_METRICS:
        u, v = errors[0][metric], errors[1][metric]
        weight = u**2 / (len(x) - 1) + v**2 / (len(y) - 1)
        freedom = (u + v) ** 2 / weight if weight > 0 else np.inf
        intervals[metric] = _around(observed[metric], np.sqrt(u + v), freedom)
    return intervals


def _crossed_interval(
    x: Array, y: Array, observed: dict[str, Array], classes: int
) -> dict[str, list[float] | None]:
    """Jackknife over speakers that stand in both groups: each is left out of both at once."""
    count = len(x)
    without = _gap(x.sum(axis=0) - x, y.sum(axis=0) - y, classes)
    intervals = {}
    for metric, values in without.items():
        error = np.sqrt((count - 1) / count * ((values - values.mean()) ** 2).sum())
        intervals[metric] = _around(observed[metric], error, count - 1)
    return intervals


def _around(center: Any, error: float, freedom: float) -> list[float] | None:
    half = float(stats.t.ppf(0.975, freedom)) * error
    if not np.isfinite(center + half):
        return None
    return [float(max(-1.0, center - half)), float(min(1.0, center + half))]


def _permutation_p(
    x: Array, y: Array, observed: dict[str, Array], classes: int, rng: np.random.Generator
) -> dict[str, float | None]:
    """Share of permutations of the speakers' groups with a gap at least as large as observed."""
    pooled = np.concatenate([x, y])
    ranks = rng.permuted(np.tile(np.arange(len(pooled)), (PERMUTATIONS, 1)), axis=1)
    first = (ranks < len(x)).astype(float) @ pooled  # [P, K]
    shuffled = _gap(first, pooled.sum(axis=0) - first, classes)
    p_values: dict[str, float | None] = {}
    for metric, gaps in shuffled.items():
        if np.isnan(observed[metric]):
            p_values[metric] = None
            continue
        # A permutation in which the metric is undefined counts as one with a larger gap.
        larger = ~(np.abs(gaps) < np.abs(observed[metric]) - _ROUNDING)
        p_values[metric] = float((1 + larger.sum()) / (1 + PERMUTATIONS))
    return p_values


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
