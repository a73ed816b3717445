"""Which runs of a leaderboard are as good as its best, and what shared speakers add to a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from heads.analysis.leaderboard import (
    LOWER_IS_BETTER,
    corpus_told,
    labels_told,
)
from heads.analysis.significance import COMPARED, compare_pair, holm, stands, too_few
from heads.bootstrap import percentile_intervals
from heads.dimensional_metrics import DIMENSIONAL_METRICS
from heads.metrics import METRICS
from heads.results import target_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heads.analysis.significance import Difference, Paired
    from heads.analysis.tested import Tested

BEST = "best"
ALIKE = "not distinguishable"
WORSE = "worse"
BETTER = "better, but"  # of a run that cannot be the best
FEW = "too few speakers"
UNKNOWN = "not compared"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """A run that takes part.

    Attributes:
        results: Its `results.json`.
        tested: Its predictions; None where they cannot be had.
        why: Why they cannot.
        size_bytes: Of its weights file, which holds the models of all folds and seeds; None where
            there is none.
    """

    results: Mapping[str, Any]
    tested: Tested | None
    why: str = ""
    size_bytes: int | None = None

    @property
    def target(self) -> str:
        """What was learned: `emotion` or `dimensions`."""
        return target_of(self.results)

    @property
    def flaw(self) -> str:
        """What makes its numbers too good for a best run; empty where nothing is known to."""
        protocol = self.results["protocol"]
        if protocol.get("contamination"):
            return "contaminated"
        return "speakers shared" if protocol["speaker_overlap"] else ""

    def has(self, metric: str) -> bool:
        """Whether a metric is defined: tau is against votes, and hard labels have none."""
        found = self.results["metrics"].get(metric)
        return found is not None and found["mean"] is not None

    @property
    def size(self) -> int:
        """How many utterances it tested."""
        return 0 if self.tested is None else len(self.tested.ids)


def rank(table: pd.DataFrame, contenders: Sequence[Contender], metric: str) -> pd.DataFrame:
    """A leaderboard with each run compared with the best one, on what both tested.

    The best is the first that no contamination, no shared speakers and no smaller test set flatter,
    if there is any such run. Holm's correction is over all comparisons in the metric that sorts;
    p-values of other metrics are exploratory, and not corrected.

    Args:
        table: Of `heads.analysis.leaderboard.leaderboard`, sorted by the metric.
        contenders: The table's runs, in any order.
        metric: What sorts.

    Returns:
        The table with the columns rank, verdict, compared_with, difference (this run less the
        best), difference_ci95_low and _high, p, p_holm, smallest_p, compared_on, and for each
        other metric p_<metric>; size_bytes; and, for comparison with the interval of the metric,
        <metric>_bootstrap_low and _high, percentiles of a bootstrap over speakers.
    """
    of = {str(own.results["run_id"]): own for own in contenders}
    order = [of[run] for run in table["run"]]
    best = _best(table, order, metric)
    rows: list[dict[str, Any]] = [
        {"rank": n + 1, "size_bytes": own.size_bytes, **_percentile(own, metric)}
        for n, own in enumerate(order)
    ]
    pairs: dict[int, Paired] = {}
    for n, own in enumerate(order):
        if n == best or best is None:
            rows[n] |= {"verdict": BEST if n == best else UNKNOWN}
            if best is None:
                rows[n]["compared_on"] = own.why or f"no run of this board has {metric}"
            continue
        pair = _pair(own, order[best], metric)
        if isinstance(pair, str) or metric not in pair.differences:
            why = pair if isinstance(pair, str) else _untested(metric)
            rows[n] |= {"verdict": UNKNOWN, "compared_on": why}
        else:
            pairs[n] = pair
    tests = [pair.differences[metric].test for pair in pairs.values()]
    p_values = [test.p if test else None for test in tests]
    corrected = holm(p_values)
    lacking = too_few(p_values, [test.smallest_p if test else None for test in tests])
    for (n, pair), p_holm, few in zip(pairs.items(), corrected, lacking, strict=True):
        rows[n] |= {**_told(pair, metric), "p_holm": p_holm}
        rows[n]["verdict"] = _verdict(pair.differences[metric], metric, p_holm, few)
        rows[n]["compared_with"] = order[best or 0].results["run_id"]
        if rows[n]["verdict"] == BETTER:
            why = order[n].flaw or "on fewer utterances"
            rows[n]["verdict"] = f"{BETTER} {why}"
    columns = ["rank", "verdict", "compared_with", "difference", "difference_ci95_low",
               "difference_ci95_high", "p", "p_holm", "smallest_p", "compared_on"]  # fmt: skip
    columns += sorted({name for row in rows for name in row} - set(columns))
    return pd.concat([table, pd.DataFrame(rows, columns=columns)], axis=1)


def _best(table: pd.DataFrame, order: Sequence[Contender], metric: str) -> int | None:
    """The position of the first run that can be the best; None where none can be compared."""
    able = [
        n
        for n, (own, value) in enumerate(zip(order, table[metric], strict=True))
        if own.tested is not None and not pd.isna(value)
    ]
    able = [n for n in able if not order[n].flaw] or able
    most = max((order[n].size for n in able), default=0)
    return next((n for n in able if order[n].size == most), None)


def _percentile(own: Contender, metric: str) -> dict[str, float | None]:
    """The percentile bootstrap's interval of a run."""
    low, high = None, None
    if own.tested is not None and own.tested.speakers.all() and own.has(metric):
        found = percentile_intervals(own.tested.by_speaker, own.tested.scores)
        low, high = found.get(metric) or (None, None)
    return {f"{metric}_bootstrap_low": low, f"{metric}_bootstrap_high": high}


def _pair(own: Contender, best: Contender, metric: str) -> Paired | str:
    if own.tested is None or best.tested is None:
        return own.why
    metrics = [
        name
        for name in dict.fromkeys((metric, *COMPARED[own.target]))
        if has_test(name) and own.has(name) and best.has(name)
    ]
    return compare_pair(own.tested, best.tested, metrics)


def has_test(metric: str) -> bool:
    """Whether runs can be tested in a metric: one of tallies, which are swapped between runs."""
    return metric in METRICS or metric.split("_")[0] in DIMENSIONAL_METRICS


def _untested(metric: str) -> str:
    """Why there is no difference of a metric."""
    if not has_test(metric):
        return f"there is no paired test of {metric}"
    return f"{metric} is undefined for one of the two, or they have other votes for truth"


def _verdict(found: Difference, metric: str, p_holm: float | None, few: bool) -> str:
    """What the corrected test says of a run that is compared with the best."""
    if p_holm is None:
        return UNKNOWN
    if not stands(p_holm):
        return FEW if few else ALIKE
    return WORSE if (found.estimate > 0) == (metric in LOWER_IS_BETTER) else BETTER


def _told(pair: Paired, metric: str) -> dict[str, Any]:
    """What a comparison adds to a row."""
    found = pair.differences[metric]
    low, high = found.ci95 or (None, None)
    test = found.test
    return {
        "difference": found.estimate,
        "difference_ci95_low": low,
        "difference_ci95_high": high,
        "p": test and test.p,
        "smallest_p": test and test.smallest_p,
        "compared_on": _shared(pair),
        **{
            f"p_{name}": other.test and other.test.p
            for name, other in pair.differences.items()
            if name != metric
        },
    }


def _shared(pair: Paired) -> str:
    """What two runs were compared on, where that is not all of this one's."""
    utterances, classes = pair.lost
    parts = []
    if classes:
        parts.append(f"{len(pair.labels)} of {len(pair.labels) + classes} classes")
    if utterances:
        parts.append(f"{pair.utterances} of {pair.utterances + utterances} utterances")
    return " and ".join(parts)


def _p(pair: Paired, metric: str) -> float | None:
    test = pair.differences[metric].test
    return test.p if test else None


def speaker_dependency(contenders: Sequence[Contender], metric: str) -> pd.DataFrame:
    """What shared speakers add: the same head under a protocol with them, less one without.

    Args:
        contenders: Runs; those alike in all but the protocol are paired.
        metric: What is looked at.

    Returns:
        One row for each pair: corpus, encoder, head, labels, protocol (the two of them), run,
        compared_with, difference, difference_ci95_low and _high, p, p_holm, smallest_p, speakers,
        compared_on. Holm's correction is over the rows.
    """
    shared = [own for own in contenders if own.results["protocol"]["speaker_overlap"]]
    apart = [own for own in contenders if own.results["protocol"]["speaker_overlap"] == 0]
    rows, p_values = [], []
    for dependent in shared:
        for own in apart:
            if _recipe(own.results) != _recipe(dependent.results):
                continue
            pair = _pair(dependent, own, metric)
            if isinstance(pair, str) or metric not in pair.differences:
                continue
            rows.append(_dependency(dependent, own, pair, metric))
            p_values.append(_p(pair, metric))
    for row, p_holm in zip(rows, holm(p_values), strict=True):
        row["p_holm"] = p_holm
    return pd.DataFrame(rows)


def _dependency(dependent: Contender, own: Contender, pair: Paired, metric: str) -> dict[str, Any]:
    told = _told(pair, metric)
    names = "difference", "difference_ci95_low", "difference_ci95_high", "p", "smallest_p"
    one, other = dependent.results, own.results
    return {
        "run": one["run_id"],
        "compared_with": other["run_id"],
        "corpus": corpus_told(one),
        "encoder": one["cache"]["encoder"]["id"],
        "head": one["head"]["name"],
        "labels": labels_told(one),
        "protocol": f"{one['protocol']['name']} - {other['protocol']['name']}",
        **{name: told[name] for name in names},
        "speakers": pair.speakers,
        "compared_on": told["compared_on"],
    }


def _recipe(results: Mapping[str, Any]) -> str:
    """What two runs must have in common to differ in nothing but their protocol."""
    training = {k: x for k, x in results["training"].items() if k != "seed"}
    training["views"] = sorted(training.get("views", ()))  # by name: folds differ in number
    cache = {name: results["cache"].get(name) for name in ("key", "layer")}
    head = results["head"]["name"], results["head"].get("config")
    return json.dumps([corpus_told(results), cache, head, training], sort_keys=True)
