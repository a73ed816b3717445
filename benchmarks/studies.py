"""Intervals and tests tried on planted truth: how often they are right, over repetitions.

Each study draws repetitions of a design, and asks of every method what `ser` asks of it; what `ser`
does not use stands beside it: the percentile bootstrap, and whatever takes clips for witnesses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from heads.analysis.estimates import contrast, estimate
from heads.analysis.gaps import GapConfig, pair_gaps
from heads.analysis.groups import Minimum, group_by
from heads.analysis.mitigation import gap_changes, two_runs
from heads.analysis.permutation import permutation_test
from heads.analysis.planted import GROUPS, Design, Outcomes, plant, planted_run
from heads.analysis.significance import LEVEL, Paired, compare_pair, holm
from heads.analysis.tested import Tested
from heads.bootstrap import bootstrap_gaps, bootstrap_intervals
from heads.intervals import jackknife
from heads.metrics import recalls

Score = Callable[[np.ndarray], dict[str, np.ndarray]]

T, STUDENTISED, PERCENTILE = "t", "studentised", "percentile"
PERMUTATION = "permutation"
BOTH = "both"
PLAIN_T, CLIPS = "t, G - 1", "over clips"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How an interval did.

    Attributes:
        share: Of the repetitions in which it held the truth; an undefined one holds everything.
        width: Its median.
        undefined: Share of the repetitions without one.
    """

    share: float
    width: float
    undefined: float


def alarm_bound(repetitions: int) -> float:
    """What the share of false alarms stays below in 99 of 100 studies if it is 5 % in truth."""
    return float(stats.binom.ppf(0.99, repetitions, LEVEL)) / repetitions


def gap_coverage(
    design: Design, repetitions: int, replicates: int, seed: int
) -> dict[str, Coverage]:
    """Intervals of the gap in UA between two groups that share no speaker."""
    outcomes = plant(design, repetitions, seed)
    score, first, clips = unweighted(design), design.speakers[0], _clips(outcomes)
    found: dict[str, list] = {name: [] for name in (T, STUDENTISED, PERCENTILE)}
    for number, tallies in enumerate(_by_speaker(outcomes)):
        a, b = tallies[0, :first], tallies[0, first:]
        found[T].append(_welch(a, b, score, clips[:first], clips[first:])[1])
        boots = bootstrap_gaps(a, b, score, replicates, number)["ua"]
        found[STUDENTISED].append(boots.studentised)
        found[PERCENTILE].append(boots.percentile)
    values, errors = _clip_gaps(outcomes)
    found[CLIPS] = _around(values, errors)
    return {name: _coverage(own, design.gap) for name, own in found.items()}


def run_coverage(
    design: Design, repetitions: int, replicates: int, seed: int
) -> dict[str, Coverage]:
    """Intervals of a run's UA."""
    outcomes = plant(design, repetitions, seed)
    score, clips = unweighted(design), _clips(outcomes)
    found: dict[str, list] = {name: [] for name in (T, PLAIN_T, STUDENTISED, PERCENTILE)}
    for number, tallies in enumerate(_by_speaker(outcomes)):
        found[T].append(jackknife(tallies, score, {}, clips)["ua"])
        found[PLAIN_T].append(jackknife(tallies, score, {}, np.ones(len(clips)))["ua"])
        boots = bootstrap_intervals(tallies, score, replicates, number)["ua"]
        found[STUDENTISED].append(boots.studentised)
        found[PERCENTILE].append(boots.percentile)
    right = outcomes.right()[:, 0, 0].mean(axis=1)
    found[CLIPS] = _around(right, np.sqrt(right * (1 - right) / len(outcomes.truth)))
    weight = np.bincount(outcomes.group_of, _clips(outcomes)) / len(outcomes.truth)
    truth = weight @ [design.truth(0), design.truth(1)]
    return {name: _coverage(own, truth) for name, own in found.items()}


def gap_alarms(design: Design, repetitions: int, seed: int) -> dict[str, float]:
    """How often tests say that two groups differ in UA.

    Whether t finds a gap, and whether both tests do, is asked of `pair_gaps`, as `ser bias` asks.
    """
    outcomes = plant(design, repetitions, seed)
    score, first = unweighted(design), design.speakers[0]
    permuted, shipped, outside = [], [], []
    for number, tallies in enumerate(_by_speaker(outcomes)):
        a, b = tallies[0, :first], tallies[0, first:]
        permuted.append(_or_one(permutation_test(a, b, score, number)[0]["ua"]))
        gap = shipped_gap(outcomes, number)
        shipped.append(_or_one(gap["p"]))
        low, high = gap["ci95"] or (-1, 1)
        outside.append(low > 0 or high < 0)
    values, errors = _clip_gaps(outcomes)
    by_clip = np.abs(values) > stats.norm.ppf(1 - LEVEL / 2) * errors
    return {
        PERMUTATION: float((np.array(permuted) <= LEVEL).mean()),
        T: float(np.mean(outside)),
        BOTH: float((np.array(shipped) <= LEVEL).mean()),
        CLIPS: float(by_clip.mean()),
    }


def shipped_gap(outcomes: Outcomes, number: int) -> dict[str, Any]:
    """What `ser bias` says of the gap in UA of one repetition."""
    grouping = group_by(planted_run(outcomes, number), "group", outcomes.groups())
    gaps = pair_gaps(grouping, *GROUPS, GapConfig(replicates=0, seed=number))
    return next(gap for gap in gaps if gap["metric"] == "ua")


def change_study(design: Design, repetitions: int, seed: int) -> tuple[Coverage, float]:
    """The change of a gap in UA from one run to another that is better for all alike.

    Its interval as `ser bias --compare` gives it, and how often its p finds a change.
    """
    outcomes = plant(design, repetitions, seed)
    everything = Minimum(speakers=2, clips=1)
    intervals, p_values = [], []
    for number in range(repetitions):
        after, before = (planted_run(outcomes, number, run) for run in range(2))
        groups, _ = two_runs(before, after, "group", outcomes.groups(), everything)
        changes = gap_changes(groups, GapConfig(replicates=0, seed=number))
        change = next(own for own in changes if own["metric"] == "ua")
        intervals.append(change["ci95"])
        p_values.append(_or_one(change["p"]))
    return _coverage(intervals, 0.0), float(np.mean(np.array(p_values) <= LEVEL))


def pair_study(design: Design, repetitions: int, seed: int) -> tuple[Coverage, dict[str, float]]:
    """The paired difference of two runs in UA: its interval, and how often tests find one."""
    outcomes = plant(design, repetitions, seed)
    intervals, p_values = [], []
    for number in range(repetitions):
        runs = [planted_run(outcomes, number, run) for run in range(2)]
        pair = _compared(*runs, number)
        intervals.append(pair.differences["ua"].ci95)
        p_values.append(_p(pair))
    return _coverage(intervals, design.difference), {
        "sign flip": float(np.mean(np.array(p_values) <= LEVEL)),
        "McNemar": mcnemar_alarms(outcomes),
    }


def mcnemar_alarms(outcomes: Outcomes) -> float:
    """How often the exact test over clips says that two runs differ; the first seed."""
    one, other = outcomes.right()[:, :, 0].swapaxes(0, 1)
    only, others = (one & ~other).sum(axis=1), (other & ~one).sum(axis=1)
    p = 2 * stats.binom.cdf(np.minimum(only, others), only + others, 0.5)
    return float(np.mean(p <= LEVEL))


def familywise_alarms(design: Design, repetitions: int, seed: int) -> dict[str, float]:
    """How often any of several runs that are alike is said to differ.

    "named": from a run that was named beforehand, Holm over those comparisons. "best": from the
    one that happens to be best, Holm over the comparisons with it; "best, all pairs": Holm over all
    pairs of runs. "uncorrected": from the named one without a correction. "true best": how often a
    run that is as good as any is said to be worse than the best.
    """
    outcomes = plant(design, repetitions, seed)
    runs = range(design.runs)
    accuracy = outcomes.right().mean(axis=(2, 3))
    pairs = list(combinations(runs, 2))
    names = ("uncorrected", "named", "best", "best, all pairs", "true best")
    alarms = dict.fromkeys(names, 0)
    for number in range(repetitions):
        tested = [planted_run(outcomes, number, run) for run in runs]
        p = {(i, j): _p(_compared(tested[i], tested[j], number)) for i, j in pairs}
        best = int(np.argmax(accuracy[number]))
        named, chosen = ([pair for pair in pairs if run in pair] for run in (0, best))
        least = min(p[pair] for pair in named)
        to_best = dict(zip(chosen, holm([p[pair] for pair in chosen]), strict=True))
        everything = dict(zip(pairs, holm([p[pair] for pair in pairs]), strict=True))
        alarms["uncorrected"] += least <= LEVEL
        alarms["named"] += _any(holm([p[pair] for pair in named]))
        alarms["best"] += _any(to_best.values())
        alarms["best, all pairs"] += _any(everything[pair] for pair in chosen)
        alarms["true best"] += best != 0 and _any([to_best[(0, best)]])
    return {name: count / repetitions for name, count in alarms.items()}


def gap_power(design: Design) -> float:
    """That a two-sided t-test of speakers' accuracies at 5 % finds the planted gap.

    Noncentral t (J. Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, chapter 2).
    """
    n, m = design.speakers
    error = np.sqrt(design.speaker_variance(0) / n + design.speaker_variance(1) / m)
    return _power(design.gap / error, n + m - 2)


def pair_power(design: Design, seed: int = 1) -> float:
    """The same of a paired t-test over speakers, whose deviation is taken from 4,000 of them."""
    outcomes = plant(design, 4000 // sum(design.speakers), seed)
    right = outcomes.confusions().diagonal(axis1=-2, axis2=-1).sum(axis=-1).mean(axis=2)
    differences = (right[:, 0] - right[:, 1]) / _clips(outcomes)
    speakers = sum(design.speakers)
    return _power(design.difference / (differences.std() / np.sqrt(speakers)), speakers - 1)


def unweighted(design: Design) -> Score:
    """UA of confusion matrices as rows [..., C * C]."""
    classes = design.classes

    def score(tallies: np.ndarray) -> dict[str, np.ndarray]:
        confusion = tallies.reshape(*tallies.shape[:-1], classes, classes)
        return {"ua": recalls(confusion).mean(axis=-1)}

    return score


def _by_speaker(outcomes: Outcomes) -> np.ndarray:
    """Tallies of the first run: [M, S, G, C * C]."""
    confusions = outcomes.confusions()[:, 0]
    return confusions.reshape(*confusions.shape[:3], -1)


def _clips(outcomes: Outcomes) -> np.ndarray:
    return np.bincount(outcomes.speaker_of)


def _welch(a, b, score, clips_a, clips_b):
    """The gap, and its interval as `ser bias` shows it."""
    found = contrast(estimate(a, score, clips_a), estimate(b, score, clips_b), crossed=False)
    low, high = np.clip(found.interval()[0], -1, 1)
    return found.values[0], None if np.isnan(low + high) else (low, high)


def _clip_gaps(outcomes: Outcomes) -> tuple[np.ndarray, np.ndarray]:
    """Gaps in accuracy and their errors as if clips were independent; the first run and seed."""
    right = outcomes.right()[:, 0, 0]
    inside = outcomes.group_of[outcomes.speaker_of] == 0
    a, b = right[:, inside].mean(axis=1), right[:, ~inside].mean(axis=1)
    return a - b, np.sqrt(a * (1 - a) / inside.sum() + b * (1 - b) / (~inside).sum())


def _around(values: np.ndarray, errors: np.ndarray) -> list[tuple[float, float]]:
    half = stats.norm.ppf(1 - LEVEL / 2) * errors
    return list(zip(values - half, values + half, strict=True))


def _coverage(intervals: list, truth: float) -> Coverage:
    known = np.array([own for own in intervals if own is not None])
    held = (known[:, 0] <= truth) & (truth <= known[:, 1])
    missing = len(intervals) - len(known)
    return Coverage(
        share=float((held.sum() + missing) / len(intervals)),
        width=float(np.median(known[:, 1] - known[:, 0])),
        undefined=missing / len(intervals),
    )


def _compared(first: Tested, second: Tested, seed: int) -> Paired:
    pair = compare_pair(first, second, ("ua",), seed)
    if isinstance(pair, str):
        raise ValueError(pair)
    return pair


def _p(pair: Paired) -> float:
    test = pair.differences["ua"].test
    return test.p if test else 1.0


def _or_one(p: float | None) -> float:
    """A gap without a test is never found."""
    return 1.0 if p is None else p


def _any(corrected) -> bool:
    return any(p is not None and p <= LEVEL for p in corrected)


def _power(noncentrality: float, freedom: int) -> float:
    limit = stats.t.ppf(1 - LEVEL / 2, freedom)
    return float(
        stats.nct.sf(limit, freedom, noncentrality) + stats.nct.cdf(-limit, freedom, noncentrality)
    )
