"""Is one run better than another? Paired tests over speakers, and their correction.

Clips of one speaker are no independent witnesses, so whole speakers are swapped between two runs,
with all seeds at once.

Letters: S seeds, G speakers, P pairs of runs or patterns of signs, K values of a tally.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import stats

from heads.analysis.exchange import SignFlip, swap_test
from heads.analysis.tested import common, same_truth
from heads.intervals import FEWEST, effective_speakers
from heads.metrics import confusion_matrix, tally_sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heads.analysis.tested import Tested

Array = npt.NDArray[np.float64]

LEVEL = 0.05
COMPARED = {
    "emotion": ("ua", "wa", "top2", "macro_f1", "kendall_tau", "kl", "ece"),
    "dimensions": ("ccc", "rmse", "pearson"),
}
DRAWS = 19_999  # patterns of signs, where they cannot all be looked at
SWAPS = 1_999  # of metrics that are no sums, which take longer
_EXACT = 32  # speakers at most, for all 2^32 patterns
_OF_VOTES = ("kendall_tau", "kl")
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One run less another, in one metric.

    Attributes:
        estimate: On all that both tested, seeds averaged.
        ci95: Over speakers, as `heads.intervals.jackknife` gives it; None where it is undefined,
            and where leaving out a speaker changes nothing, as of a run and itself.
        test: None where the difference is undefined.
    """

    estimate: float
    ci95: tuple[float, float] | None
    test: SignFlip | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Two runs on what they share.

    Attributes:
        labels: Classes that both know.
        utterances: How many both tested, with one true class.
        speakers: Of those.
        differences: By metric; those that these two runs do not have are left out.
        lost: What is left out of the first run: utterances, classes.
    """

    labels: tuple[str, ...]
    utterances: int
    speakers: int
    differences: dict[str, Difference]
    lost: tuple[int, int]


def compare_pair(
    first: Tested, second: Tested, metrics: Sequence[str] | None = None, seed: int = 0
) -> Paired | str:
    """How a run differs from another, first minus second, over the speakers that both tested.

    Args:
        first: A run.
        second: Another.
        metrics: Of `COMPARED`; None is all of them that both runs have.
        seed: Of the patterns of signs, where there are too many to look at all.

    Returns:
        The differences, or why there are none.
    """
    a, b = common(first, second)
    if not a.labels or (a.target == "emotion" and len(a.labels) < 2):
        return "no two classes in common" if a.target == "emotion" else "other dimensions"
    if not len(a.ids):
        return "no utterance that both tested with the same truth"
    if not a.speakers.all():
        return "speakers are not known"
    if not np.array_equal(a.speakers, b.speakers):
        return "the runs name different speakers for the same utterances"
    wanted = COMPARED[a.target] if metrics is None else metrics
    if not same_truth(a, b):
        wanted = [name for name in wanted if name not in _OF_VOTES]
    return Paired(
        labels=a.labels,
        utterances=len(a.ids),
        speakers=len(a.speaker_names),
        differences=_differences(a, b, wanted, seed),
        lost=(len(first.ids) - len(a.ids), len(first.labels) - len(a.labels)),
    )


def sign_flip(differences: Array, seed: int = 0) -> SignFlip:
    """Is a sum of speakers' differences farther from 0 than their signs alone would bring it?

    Each speaker's difference may as well have had the other sign, if the runs are alike: p is the
    share of all 2^G patterns of signs whose sum is as far from 0 (R. A. Fisher 1935, The Design of
    Experiments, section 21). All are looked at, up to 32 speakers, by halves: sorted sums of one
    half answer how many of them bring each sum of the other half over the limit. Beyond, 19,999
    patterns are drawn, and p counts the observed one as well.

    Args:
        differences: [G], what each speaker adds to the difference.
        seed: Of the draws.

    >>> sign_flip(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    SignFlip(p=0.0625, smallest_p=0.0625)
    """
    scale = np.abs(differences).sum()
    moving = differences[np.abs(differences) > _ROUNDING * scale]  # a sign of 0 changes nothing
    drawn = len(moving) > _EXACT
    smallest = 1 / (1 + DRAWS) if drawn else 2.0 ** (1 - min(len(differences), _EXACT))
    limit = abs(moving.sum()) - _ROUNDING * scale
    if limit <= 0:
        return SignFlip(p=1.0, smallest_p=smallest)
    if drawn:
        rng = np.random.default_rng(seed)
        sums = _random_signs(rng, DRAWS, len(moving)) @ moving
        far = int((np.abs(sums) >= limit).sum())
        return SignFlip(p=(1 + far) / (1 + DRAWS), smallest_p=smallest)
    half = len(moving) // 2
    some, others = _all_sums(moving[:half]), np.sort(_all_sums(moving[half:]))
    over = len(some) * len(others) - np.searchsorted(others, limit - some).sum()
    return SignFlip(p=float(min(1.0, 2 * over * 2.0 ** -len(moving))), smallest_p=smallest)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for how many there are (S. Holm 1979, Scand. J. Statist. 6, 65-70).

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        corrected[index] = largest
    return corrected


def stands(p: float | None) -> bool:
    """Whether a p-value is significant; corrected, where there are several."""
    return p is not None and p <= LEVEL


def too_few(p_values: Sequence[float | None], smallest: Sequence[float | None]) -> list[bool]:
    """Which tests could not have stood after Holm's correction, whatever their data had been.

    Each p is replaced by the smallest that its test could have given, and corrected with the p of
    the others as they are.

    Args:
        p_values: Not corrected; None where there is no test.
        smallest: The smallest that each test could have given.

    >>> too_few([0.2, 1e-6], [0.03125, 1e-7]), too_few([0.2, 0.04], [0.03125, 1e-7])
    ([False, False], [True, False])
    """
    found = []
    for i, least in enumerate(smallest):
        best = holm([*p_values[:i], least, *p_values[i + 1 :]])[i] if p_values[i] is not None else 0
        found.append(best is not None and best > LEVEL)
    return found


def _differences(
    first: Tested, second: Tested, metrics: Sequence[str], seed: int
) -> dict[str, Difference]:
    """Each metric's difference between two runs on the same utterances."""
    a, b = first.by_speaker, second.by_speaker  # [S, G, K], [S', G, K]
    whole = _gap(first, a.sum(axis=1), b.sum(axis=1))
    # [G] each: without one speaker.
    without = _gap(first, a.sum(axis=1, keepdims=True) - a, b.sum(axis=1, keepdims=True) - b)
    x, y = a.mean(axis=0), b.mean(axis=0)
    freedom = effective_speakers(np.bincount(first.speaker_codes).astype(float)) - 1
    contributions = _contributions(x, y, len(first.labels)) if first.target == "emotion" else {}
    swapped: dict[str, SignFlip | None] = {}

    def difference(one: Array, other: Array) -> dict[str, Array]:
        ours, theirs = first.scores(one), first.scores(other)
        return {name: ours[name] - theirs[name] for name in ours}

    found = {}
    for name in metrics:
        estimate = float(whole[name])
        if np.isnan(estimate):
            continue
        if name in contributions:
            test: SignFlip | None = sign_flip(contributions[name], seed)
        else:
            swapped = swapped or swap_test(x, y, difference, seed, SWAPS)
            test = swapped[name]
        found[name] = Difference(
            estimate=estimate, ci95=_jackknife(estimate, without[name], freedom), test=test
        )
    return found


def _gap(tested: Tested, a: Array, b: Array) -> dict[str, Array]:
    """Difference of the metrics of summed tallies, seeds averaged: [S, ..., K] gives [...]."""
    x, y = tested.scores(a), tested.scores(b)
    return {name: x[name].mean(axis=0) - y[name].mean(axis=0) for name in x}


def _contributions(x: Array, y: Array, classes: int) -> dict[str, Array]:
    """What each speaker adds to the difference of metrics that are sums over utterances; [G].

    The truth is the same, so the denominators are: recalls are hits over a class's utterances.

    Shape:
        x, y: [G, K], seeds averaged.
    """
    confusion = confusion_matrix(x, classes)
    hits = np.diagonal(confusion - confusion_matrix(y, classes), axis1=1, axis2=2)  # [G, C]
    support = confusion.sum(axis=(0, 2))  # [C]
    there = support > 0
    sums_x, sums_y = tally_sums(x, classes), tally_sums(y, classes)
    change = {name: sums_x[name] - sums_y[name] for name in sums_x}
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "ua": (hits[:, there] / support[there]).sum(axis=1) / there.sum(),
            "wa": hits.sum(axis=1) / support.sum(),
            "top2": change["top2"] / support.sum(),
            "kl": change["kl"] / sums_x["kl_count"].sum(),
        }
        if not change["tau_count"].any():  # a constant prediction leaves tau undefined in one run
            found["kendall_tau"] = change["tau"] / sums_x["tau_count"].sum()
    return found


def _jackknife(center: float, without: Array, freedom: float) -> tuple[float, float] | None:
    """The 95 % interval of a difference from those without each speaker: [G]."""
    count = len(without)
    if freedom < FEWEST - 1 or np.isnan(without).any():
        return None
    error = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    if error <= _ROUNDING:
        return None  # speakers who do not differ tell nothing of others: as `estimates.contrast`
    half = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * error
    return float(center - half), float(center + half)


def _random_signs(rng: np.random.Generator, patterns: int, count: int) -> Array:
    return np.where(rng.random((patterns, count)) < 0.5, 1.0, -1.0)


def _all_sums(values: Array) -> Array:
    """The sums of all 2^n patterns of signs."""
    sums: Array = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums - value, sums + value], dtype=np.float64)
    return sums
