"""Bias: how well each group of speakers is recognised, and how far the groups lie apart.

Predictions of all folds and seeds are pooled before a metric is taken, and uncertainty is over
speakers: clips of one speaker are no independent witnesses.

Letters: N utterances, G speakers, C classes, K values of a tally, P permutations of the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from heads.metrics import confusion_matrix, confusion_scores, recalls, scores, sum_by

Array = npt.NDArray[np.float64]

GAP_METRICS = ("ua", "wa", "macro_f1")
PERMUTATIONS = 9999
MIN_SPEAKERS = 2
_ROUNDING = 1e-9
_CHUNK = 500  # permutations at once: [500, G, C, C] in memory


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

    `n` counts those that are scored: where votes are tied there is no label to compare with.

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
            "n": int((table.tallies[rows, : len(table.labels) ** 2].sum(axis=1) > 0).sum()),
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
    speakers = {name: _by_speaker(table, [v == name for v in values]) for name in names}
    gaps = []
    for a, b in combinations(names, 2):
        gaps += _pair(by, a, b, speakers[a], speakers[b], rng)
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
    """The confusion matrix [C, C] of each speaker over some of the utterances."""
    rows = [i for i, inside in enumerate(chosen) if inside]
    speakers = np.array([table.speakers[i] for i in rows], str)
    names, codes = np.unique(speakers, return_inverse=True)
    summed = sum_by(table.tallies[rows], codes, len(names))
    confusions = confusion_matrix(summed, len(table.labels))
    return dict(zip(names.tolist(), confusions, strict=True))


def _pair(
    by: str,
    a: str,
    b: str,
    first: dict[str, Array],
    second: dict[str, Array],
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """The gaps between two groups, given each one's speakers' confusion matrices."""
    x, y = np.array(list(first.values())), np.array(list(second.values()))
    observed = _gap(x.sum(axis=0), y.sum(axis=0))
    crossed = len(first.keys() & second.keys())
    errors: dict[str, tuple[float, float]] = {}
    p_values: dict[str, float | None] = dict.fromkeys(GAP_METRICS)
    reason = ""
    if min(len(first), len(second)) < MIN_SPEAKERS:
        reason = f"a group has fewer than {MIN_SPEAKERS} speakers"
    elif crossed:
        everyone = sorted(first.keys() | second.keys())
        nothing = np.zeros_like(x[0])
        errors = _crossed_errors(
            np.array([first.get(s, nothing) for s in everyone]),
            np.array([second.get(s, nothing) for s in everyone]),
        )
        reason = f"{crossed} speakers stand in both groups: no permutation"
    else:
        errors = _welch_errors(x, y)
        p_values = _permutation_p(x, y, rng)
    return [
        {
            "by": by,
            "metric": metric,
            "a": a,
            "b": b,
            "gap": _number(observed[metric]),
            "ci95": _around(observed[metric], *errors[metric]) if errors else None,
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


def _gap(first: Array, second: Array) -> dict[str, Array]:
    x, y = confusion_scores(first), confusion_scores(second)
    return {metric: x[metric] - y[metric] for metric in GAP_METRICS}


def _welch_errors(x: Array, y: Array) -> dict[str, tuple[float, float]]:
    """Standard error of a gap between groups that share no speaker, and its degrees of freedom.

    sqrt(u + v) with u, v the jackknife variances of the two groups, and Welch and Satterthwaite's
    (u + v)^2 / (u^2 / (n - 1) + v^2 / (m - 1)).
    """
    pooled = np.concatenate([x, y])
    inside = np.arange(len(pooled)) < len(x)
    u, v = (
        {metric: float(value[0]) for metric, value in variances.items()}
        for variances in _jackknife_variances(pooled, inside[None])
    )
    errors = {}
    for metric in GAP_METRICS:
        weight = u[metric] ** 2 / (len(x) - 1) + v[metric] ** 2 / (len(y) - 1)
        total = u[metric] + v[metric]
        errors[metric] = (float(np.sqrt(total)), total**2 / weight if weight > 0 else np.inf)
    return errors


def _crossed_errors(x: Array, y: Array) -> dict[str, tuple[float, float]]:
    """The same where speakers stand in both groups: each is left out of both at once."""
    count = len(x)
    without = _gap(x.sum(axis=0) - x, y.sum(axis=0) - y)
    return {
        metric: (float(np.sqrt((count - 1) / count * ((v - v.mean()) ** 2).sum())), count - 1)
        for metric, v in without.items()
    }


def _around(center: Any, error: float, freedom: float) -> list[float] | None:
    half = float(stats.t.ppf(0.975, freedom)) * error
    if not np.isfinite(center + half):
        return None
    return [float(max(-1.0, center - half)), float(min(1.0, center + half))]


def _permutation_p(x: Array, y: Array, rng: np.random.Generator) -> dict[str, float | None]:
    """Share of permutations of the speakers' groups with a Welch t at least as large as observed.

    The gap is divided by its standard error in every permutation: a permuted gap alone rejects far
    too often where the smaller group varies more (Janssen 1997, doi 10.1016/S0167-7152(97)00043-6).
    """
    pooled = np.concatenate([x, y])
    inside = np.arange(len(pooled)) < len(x)
    observed = _welch_t(pooled, inside[None])
    larger = dict.fromkeys(GAP_METRICS, 0)
    for start in range(0, PERMUTATIONS, _CHUNK):
        rows = min(_CHUNK, PERMUTATIONS - start)
        shuffled = _welch_t(pooled, rng.permuted(np.tile(inside, (rows, 1)), axis=1))
        for metric, t in shuffled.items():
            # A permutation in which the metric is undefined counts as one with a larger t.
            larger[metric] += int((~(t < observed[metric] * (1 - _ROUNDING))).sum())
    return {
        metric: None if np.isnan(observed[metric]) else (1 + count) / (1 + PERMUTATIONS)
        for metric, count in larger.items()
    }


def _welch_t(pooled: Array, inside: npt.NDArray[np.bool_]) -> dict[str, Array]:
    """|gap| / standard error for each assignment of speakers to two groups.

    Shape:
        pooled: [G, C, C], inside: [P, G]. Output: [P] each.
    """
    first = np.tensordot(inside.astype(float), pooled, axes=1)
    gaps = _gap(first, pooled.sum(axis=0) - first)
    u, v = _jackknife_variances(pooled, inside)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            metric: np.where(gap == 0, 0.0, np.abs(gap) / np.sqrt(u[metric] + v[metric]))
            for metric, gap in gaps.items()
        }


def _jackknife_variances(
    pooled: Array, inside: npt.NDArray[np.bool_]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """(n - 1) / n sum (theta_without_g - mean)^2 of each metric, inside and outside a group.

    Shape:
        pooled: [G, C, C], inside: [P, G]. Output: [P] each.
    """
    first = np.tensordot(inside.astype(float), pooled, axes=1)[:, None]  # [P, 1, C, C]
    own = np.where(inside[:, :, None, None], first, pooled.sum(axis=0) - first)
    without = confusion_scores(own - pooled)  # [P, G]: its own group less each speaker

    def variance(metric: str, group: npt.NDArray[np.bool_]) -> Array:
        count = group.sum(axis=1)
        values = without[metric]
        mean = (values * group).sum(axis=1) / count
        spread = (((values - mean[:, None]) ** 2) * group).sum(axis=1)
        jackknife: Array = (count - 1) / count * spread
        return jackknife

    return (
        {metric: variance(metric, inside) for metric in GAP_METRICS},
        {metric: variance(metric, ~inside) for metric in GAP_METRICS},
    )


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
