"""Gaps and ratios between groups of speakers: how large, how sure, and what would have been seen.

Letters: G speakers, K values of a tally.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from embedcache.errors import UsageError, unknown_name
from heads.analysis.estimates import Contrast, contrast, edges, estimate, number
from heads.analysis.gap_tests import gap_tests
from heads.analysis.groups import large_enough
from heads.analysis.power import attainable_level, smallest_detectable
from heads.analysis.rates import WHOLE, compared_rates, family_of, speaker_weights
from heads.analysis.significance import LEVEL, holm, too_few
from heads.bootstrap import Bootstrap, bootstrap_gaps

if TYPE_CHECKING:
    from heads.analysis.groups import Grouping

Array = npt.NDArray[np.float64]

REPLICATES = 2_000
MOST_GROUPS = 20  # of a column: 190 pairs
_FEWEST_REPLICATES = 100
TOO_FEW = "too few speakers to decide"


@dataclass(frozen=True, slots=True, kw_only=True)
class GapConfig:
    """How gaps are looked at.

    Attributes:
        metric: The primary one: its gaps are confirmatory, all others exploratory.
        replicates: Of the bootstrap that stands beside the interval; 0 leaves it out.
        seed: Of all that is drawn.
    """

    metric: str = "ua"
    replicates: int = REPLICATES
    seed: int = 0

    def __post_init__(self) -> None:
        if self.metric not in WHOLE:
            raise unknown_name("metric", self.metric, WHOLE)
        if self.replicates and self.replicates < _FEWEST_REPLICATES:
            raise UsageError(
                f"--replicates {self.replicates}: an interval needs {_FEWEST_REPLICATES} or more; "
                "0 leaves the bootstrap out"
            )


def group_gaps(
    grouping: Grouping, records: Mapping[str, Mapping[str, Any]], config: GapConfig
) -> list[dict[str, Any]]:
    """Gaps a - b of every compared rate between each two groups that are large enough.

    Of single speakers, only the gap between the best and the worst is given, without interval and
    p: they were chosen by looking. They are not corrected yet, and without `p_holm`, `too_few` and
    `smallest_detectable`: see `corrected`.

    Args:
        grouping: The groups.
        records: Theirs.
        config: How.
    """
    names = large_enough(records)
    if grouping.column == "speaker":
        return _extremes({name: records[name] for name in names})
    if len(names) > MOST_GROUPS:
        return []
    gaps = []
    for a, b in combinations(names, 2):
        gaps += pair_gaps(grouping, a, b, config)
    return gaps


def pair_gaps(grouping: Grouping, a: str, b: str, config: GapConfig) -> list[dict[str, Any]]:
    """The gaps between two groups: a record for each compared rate.

    The interval is Welch's over jackknife errors, p that of `gap_tests`. Where speakers stand in
    both groups, the jackknife leaves each out of both at once. Ratios have the same interval on
    their logarithms.
    """
    first, second, crossed = grouping.pair(a, b)
    labels = grouping.labels

    def score(tallies: Array) -> dict[str, Array]:
        return compared_rates(tallies, labels)

    x, y = (estimate(own, score, speaker_weights(own, labels)) for own in (first, second))
    gaps = contrast(x, y, bool(crossed))
    logs = contrast(x.logarithms, y.logarithms, bool(crossed))
    p = gap_tests((first, second, crossed), gaps, score, len(labels), config.seed)
    boots: dict[str, Bootstrap] = {}
    if config.replicates:
        boots = bootstrap_gaps(
            first, second, score, config.replicates, config.seed, crossed=bool(crossed)
        )
    cautions = _cautions(first, second, labels, a, b)
    intervals, ratios = np.clip(gaps.interval(), -1.0, 1.0), np.exp(logs.interval())
    records = []
    for i, metric in enumerate(gaps.names):
        test = p[metric]
        record = {
            "by": grouping.column,
            "metric": metric,
            "a": a,
            "b": b,
            "gap": number(gaps.values[i]),
            "ci95": edges(intervals[i]),
            "error": number(gaps.error[i]),
            "freedom": number(gaps.freedom[i]),
            "ci95_bootstrap": _bootstrapped(boots.get(metric)),
            "ratio": number(np.exp(logs.values[i])),
            "ratio_ci95": edges(ratios[i]),
            "p": test.p if test else None,
            "smallest_p": test.smallest_p if test else None,
        }
        if metric == "ua" and cautions:
            record["caution"] = cautions
        reason = _reason(record, gaps, logs, i, crossed)
        records.append(record | ({"reason": reason} if reason else {}))
    return records


def corrected(gaps: Sequence[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """The same gaps, corrected within each family of metrics over all columns.

    The families are UA, WA, macro-F1, ECE, the recalls of all emotions, and their false-positive
    rates. Only the primary metric's is confirmatory. Added are `p_holm`; `too_few`, where even the
    smallest p that the number of permutations allows would not stand; and `smallest_detectable`,
    the gap that four of five such data sets would show if all others of the family were 0: at 5 %
    over their number.

    Args:
        gaps: Of all columns.
        metric: The primary one.
    """
    found = [dict(gap) for gap in gaps]
    for family in {family_of(gap["metric"]) for gap in gaps}:
        own = [gap for gap in found if family_of(gap["metric"]) == family]
        p_values = [gap["p"] for gap in own]
        few = too_few(p_values, [gap["smallest_p"] for gap in own])
        tests = sum(p is not None for p in p_values)
        for gap, p_holm, undecided in zip(own, holm(p_values), few, strict=True):
            gap |= {"p_holm": p_holm, "exploratory": family != metric, "too_few": undecided}
            smallest, reason = _detectable(gap, tests)
            gap["smallest_detectable"] = smallest
            if reason:
                gap["reason"] = "; ".join(filter(None, [gap.get("reason"), reason]))
    return found


def _detectable(gap: Mapping[str, Any], tests: int) -> tuple[float | None, str | None]:
    """The smallest gap that is found four times in five among so many tests, or why none is."""
    if gap["p"] is None or gap["error"] is None:
        return None, None  # why is told already
    level = attainable_level(LEVEL / tests, gap["smallest_p"])
    if level == 0:
        shared = f" / {tests}" if tests > 1 else ""
        return None, f"80 % power: no p of so few speakers is {LEVEL:g}{shared} or less"
    smallest = smallest_detectable(np.array(gap["error"]), np.array(gap["freedom"]), level)
    if smallest > 1:
        return None, "no gap is so large that it would be found four times in five"
    return float(smallest), None


def _reason(
    record: Mapping[str, Any], gaps: Contrast, logs: Contrast, i: int, crossed: int
) -> str | None:
    """Why parts of a gap are null."""
    if record["gap"] is None:
        return "one of the groups does not define it"
    told = []
    if record["ci95"] is None:
        told.append(_no_error(gaps, i))
    elif record["ratio"] is None:
        told.append("no ratio of 0")
    elif record["ratio_ci95"] is None:
        told.append(f"ratio: {_no_error(logs, i)}")
    if record["p"] is None and crossed:
        told.append(
            f"{crossed} speakers stand in both groups, and not each has as many clips of every "
            "emotion in both: no test"
        )
    elif record["p"] is None and record["ci95"] is not None:
        told.append("no test")
    return "; ".join(told) or None


def _no_error(contrast: Contrast, i: int) -> str:
    if np.isnan(contrast.error[i]) and np.isfinite(contrast.values[i]):
        return (
            "no interval: without some speaker it is undefined, speakers do not differ, or one "
            "has nearly all clips"
        )
    return "no interval"


def _cautions(first: Array, second: Array, labels: Sequence[str], a: str, b: str) -> str | None:
    """Which emotions only one of two groups has: their UAs are means over different emotions."""
    count = len(labels)
    there = [group.sum(axis=0)[:count] > 0 for group in (first, second)]
    told = [
        f"{name} has no {' or '.join(lacking)}"
        for name, own, other in ((a, *there), (b, *there[::-1]))
        if (lacking := [x for x, k, o in zip(labels, own, other, strict=True) if o and not k])
    ]
    return f"UA over different emotions: {', '.join(told)}" if told else None


def _extremes(records: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The best and the worst of single speakers; none where all are alike."""
    gaps = []
    for metric in WHOLE:
        scores = {name: own[metric] for name, own in records.items() if own[metric] is not None}
        if len(set(scores.values())) < 2:
            continue
        high = max(scores, key=scores.__getitem__)
        low = min(scores, key=scores.__getitem__)
        ratio = scores[high] / scores[low] if scores[low] > 0 else None
        nothing = dict.fromkeys(
            ("ci95", "error", "freedom", "ci95_bootstrap", "ratio_ci95", "p", "smallest_p")
        )
        gaps.append(
            {
                "by": "speaker",
                "metric": metric,
                "a": high,
                "b": low,
                "gap": scores[high] - scores[low],
                "ratio": ratio,
                **nothing,
                "reason": "highest and lowest speaker, chosen by looking",
            }
        )
    return gaps


def _bootstrapped(found: Bootstrap | None) -> dict[str, list[float] | None] | None:
    if found is None:
        return None
    return {
        "percentile": list(found.percentile) if found.percentile else None,
        "studentised": list(found.studentised) if found.studentised else None,
    }
