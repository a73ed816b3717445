"""What a second run changed for groups of speakers: was a gap closed, and at whose cost?

Both runs are scored on the same utterances with the same truth, so that a change is one within
speakers: intervals leave a speaker out of both runs, and whether a group changed is tested by
swapping its speakers between the runs.

Letters: G speakers, K values of a tally; two runs side by side have 2 K, those of the first first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heads.analysis.estimates import (
    Score,
    contrast,
    contrast_with_zero,
    edges,
    estimate,
    number,
)
from heads.analysis.exchange import SignFlip, addends, swap_test
from heads.analysis.gap_tests import gap_tests
from heads.analysis.gaps import MOST_GROUPS, GapConfig
from heads.analysis.groups import Minimum, group_by, group_records, large_enough
from heads.analysis.rates import WHOLE, rates, speaker_weights
from heads.analysis.significance import holm, sign_flip, too_few
from heads.bootstrap import bootstrap_gaps, bootstrap_intervals

if TYPE_CHECKING:
    from heads.analysis.groups import Grouping
    from heads.analysis.tested import Tested

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoRuns:
    """The same utterances, grouped in the same way, as two runs recognise them.

    Attributes:
        before: Those of the first run.
        after: Those of the second; parts are in the same order.
        names: Groups that are large enough.
    """

    before: Grouping
    after: Grouping
    names: Sequence[str]

    def group(self, name: str) -> Array:
        """Tallies of the speakers of a group in both runs, side by side: [G, 2 K]."""
        return np.concatenate([self.before.group(name), self.after.group(name)], axis=1)

    def pair(self, a: str, b: str) -> tuple[Array, Array, int]:
        """Two groups in both runs, [G1, 2 K] and [G2, 2 K], and how many speakers are in both."""
        x, y, crossed = self.before.pair(a, b)
        changed_x, changed_y, _ = self.after.pair(a, b)
        first, second = np.concatenate([x, changed_x], 1), np.concatenate([y, changed_y], 1)
        return first, second, crossed


def two_runs(
    before: Tested, after: Tested, column: str, values: Sequence[str | None], minimum: Minimum
) -> tuple[TwoRuns, dict[str, dict[str, Any]]]:
    """Group what two runs have in common, and the records of the groups in the first run.

    Args:
        before: The first run, and
        after: the second: on what they share, in the same order.
        column: What they are grouped by.
        values: The group of each utterance.
        minimum: How large a group must be.
    """
    first, second = (group_by(own, column, values) for own in (before, after))
    records = group_records(first, minimum)
    # Counts per seed: the runs may have different numbers of them.
    groups = TwoRuns(
        before=replace(first, tallies=first.tallies / first.seeds, seeds=1),
        after=replace(second, tallies=second.tallies / second.seeds, seeds=1),
        names=large_enough(records),
    )
    return groups, records


def overall_change(before: Tested, after: Tested, config: GapConfig) -> dict[str, Any]:
    """What changed over all utterances: per metric before, after, change, ci95, p."""
    groups, _ = two_runs(before, after, "all", ["all"] * len(before.ids), Minimum())
    return _group_change(groups, "all", config)


def group_changes(groups: TwoRuns, config: GapConfig) -> dict[str, dict[str, Any]]:
    """What changed in each group, as `overall_change` tells it; not of single speakers."""
    if groups.before.column == "speaker":
        return {}
    return {name: _group_change(groups, name, config) for name in groups.names}


def gap_changes(groups: TwoRuns, config: GapConfig) -> list[dict[str, Any]]:
    """How each gap a - b changed: before, after, their difference with ci95 and p.

    p_holm and too_few are added by `corrected_changes`.
    """
    if groups.before.column == "speaker" or len(groups.names) > MOST_GROUPS:
        return []
    found = []
    for a, b in combinations(groups.names, 2):
        found += _pair_changes(groups, a, b, config)
    return found


def corrected_changes(changes: Sequence[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Changes of gaps with `p_holm` over one metric; only the primary is confirmatory.

    `too_few` is where no p of so few speakers could stand.
    """
    found = [dict(change) for change in changes]
    for name in WHOLE:
        own = [change for change in found if change["metric"] == name]
        p_values = [change["p"] for change in own]
        few = too_few(p_values, [change["smallest_p"] for change in own])
        for change, p_holm, undecided in zip(own, holm(p_values), few, strict=True):
            change |= {"p_holm": p_holm, "exploratory": name != metric, "too_few": undecided}
    return found


def corrected_groups(
    columns: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """What changed in groups, with `p_holm` of each metric over the groups of all columns.

    Args:
        columns: By column `group_changes`.
    """
    found = {
        column: {name: dict(own) for name, own in groups.items()}
        for column, groups in columns.items()
    }
    every = [own for groups in found.values() for own in groups.values()]
    for metric in WHOLE:
        for own, p_holm in zip(every, holm([x[metric]["p"] for x in every]), strict=True):
            own[metric] = {**own[metric], "p_holm": p_holm}
    return found


def _group_change(groups: TwoRuns, name: str, config: GapConfig) -> dict[str, Any]:
    both = groups.group(name)
    labels = groups.before.labels
    score, width = _compared(labels), both.shape[1] // 2
    change = _change(score, width)
    whole = both.sum(axis=0)
    before, after = score(whole[:width]), score(whole[width:])
    found = contrast_with_zero(estimate(both, change, speaker_weights(both, labels)))
    intervals = np.clip(found.interval(), -1.0, 1.0)
    sums = addends(both[:, :width], both[:, width:], labels)
    tests = _tests(sums, both[:, width:], both[:, :width], score, config.seed)
    boots = {}
    if config.replicates:
        boots = bootstrap_intervals(both, change, config.replicates, config.seed)
    return {
        "speakers": len(both),
        **{
            metric: {
                "before": number(before[metric]),
                "after": number(after[metric]),
                "change": number(found.values[i]),
                "ci95": edges(intervals[i]),
                "ci95_bootstrap": _studentised(boots.get(metric)),
                "p": getattr(tests[metric], "p", None),
            }
            for i, metric in enumerate(found.names)
        },
    }


def _pair_changes(groups: TwoRuns, a: str, b: str, config: GapConfig) -> list[dict[str, Any]]:
    first, second, crossed = groups.pair(a, b)
    labels = groups.before.labels
    score, width = _compared(labels), first.shape[1] // 2
    change = _change(score, width)
    x, y = (score(group[:, :width].sum(axis=0)) for group in (first, second))
    own, other = (estimate(x, change, speaker_weights(x, labels)) for x in (first, second))
    found = contrast(own, other, bool(crossed))
    intervals = np.clip(found.interval(), -2.0, 2.0)
    boots = {}
    if config.replicates:
        boots = bootstrap_gaps(
            first, second, change, config.replicates, config.seed, crossed=bool(crossed)
        )
    # That everybody gained is no change of a gap, so runs are not swapped between speakers: which
    # group a speaker is in is permuted, or exchanged, together with what changed for the speaker.
    tests = gap_tests((first, second, crossed), found, change, len(labels), config.seed)
    records = []
    for i, metric in enumerate(found.names):
        gap, test = float(x[metric] - y[metric]), tests[metric]
        records.append(
            {
                "by": groups.before.column,
                "metric": metric,
                "a": a,
                "b": b,
                "before": number(gap),
                "after": number(gap + found.values[i]),
                "change": number(found.values[i]),
                "ci95": edges(intervals[i]),
                "ci95_bootstrap": _studentised(boots.get(metric)),
                "p": test.p if test else None,
                "smallest_p": test.smallest_p if test else None,
            }
        )
    return records


def _tests(
    sums: Mapping[str, Array], after: Array, before: Array, score: Score, seed: int
) -> dict[str, SignFlip | None]:
    """Sign flips of metrics that are sums over speakers, swaps of speakers for the others."""

    def difference(x: Array, y: Array) -> dict[str, Array]:
        one, other = score(x), score(y)
        return {name: one[name] - other[name] for name in one}

    tests = swap_test(after, before, difference, seed)
    for name in tests:
        if name in sums and tests[name]:
            tests[name] = sign_flip(sums[name], seed)
    return tests


def _compared(labels: Sequence[str]) -> Score:
    def score(tallies: Array) -> dict[str, Array]:
        found = rates(tallies, labels)
        return {name: found[name] for name in WHOLE}

    return score


def _change(score: Score, width: int) -> Score:
    """The second run less the first, of tallies side by side."""

    def change(tallies: Array) -> dict[str, Array]:
        before, after = score(tallies[..., :width]), score(tallies[..., width:])
        return {name: after[name] - before[name] for name in before}

    return change


def _studentised(found: Any) -> list[float] | None:
    return list(found.studentised) if found is not None and found.studentised else None
