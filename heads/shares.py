"""One split in place of folds: parts whose shares of the utterances come as near as they can.

Groups, such as speakers, are not divisible, so a share is reached as nearly as whole groups allow.

Letters: N utterances, G groups, S strata.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedcache.errors import UsageError

Indices = npt.NDArray[np.int64]

_TRIES = 500  # orders of the groups that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Which shares of the utterances test and validate; the rest trains.

    Attributes:
        test: Above 0 and below 1.
        val: Likewise; both together are below 1.
    """

    test: float
    val: float

    def __post_init__(self) -> None:
        for name in ("test", "val"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(
                    f"--{name} {getattr(self, name):g}: give a share above 0 and below 1, as in "
                    "--test 0.15 --val 0.15"
                )
        if not self.test + self.val < 1:
            raise UsageError(
                f"--test {self.test:g} --val {self.val:g}: nothing is left to train on; give "
                "shares with a sum below 1"
            )


def make_shares(test: float | None, val: float | None) -> Shares | None:
    """The shares of one split; None where folds are wanted.

    Raises:
        UsageError: One of the two is missing, or a value is no share.
    """
    if test is None and val is None:
        return None
    if test is None or val is None:
        given, other = ("test", "val") if val is None else ("val", "test")
        value = test if val is None else val
        raise UsageError(f"--{given} {value:g}: give --{other} too, as in --test 0.15 --val 0.15")
    return Shares(test=test, val=val)


def take_groups(
    strata: Sequence[str], groups: Sequence[str], wanted: float, leave: int, seed: int
) -> Indices:
    """Whole groups with about so many utterances, and with all strata in about equal shares.

    Of several orders of the groups, each cut where its size is nearest to the wanted one, the one
    is taken with the least squared distance from the wanted counts, each over its stratum's size.

    Args:
        strata: [N], what should be taken in equal shares.
        groups: [N], what is not divisible.
        wanted: Number of utterances.
        leave: Number of groups that must stay; there are more groups than that.
        seed: Of the orders.

    Returns:
        Positions of what is taken: one group at least.
    """
    codes = np.unique(np.array(strata), return_inverse=True)[1]
    group = np.unique(np.array(groups), return_inverse=True)[1]
    table = np.zeros((int(group.max()) + 1, int(codes.max()) + 1))  # [G, S]
    np.add.at(table, (group, codes), 1)
    rng = np.random.default_rng(seed)
    found = [_cut(table, rng.permutation(len(table)), wanted, leave) for _ in range(_TRIES)]
    _, best = min(found, key=lambda pair: pair[0])
    return np.flatnonzero(np.isin(group, best))


def take_utterances(strata: Sequence[str], wanted: float, leave: int, seed: int) -> Indices:
    """About so many utterances, each stratum's share within one utterance of the wanted one.

    Every so many-th is taken in a random order that is sorted by stratum (systematic sampling,
    W. G. Madow and L. H. Madow 1944).

    Args:
        strata: [N], what should be taken in equal shares.
        wanted: Number of utterances.
        leave: Number of utterances that must stay; there are more than that.
        seed: Of the order.

    Returns:
        Positions of what is taken: one at least.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(strata))
    order = order[np.argsort(np.array(strata)[order], kind="stable")]
    count = min(max(1, round(wanted)), len(order) - leave)
    steps = (np.arange(count) + rng.random()) * len(order) / count
    return np.sort(order[steps.astype(np.int64)])


def _cut(
    table: npt.NDArray[np.float64], order: Indices, wanted: float, leave: int
) -> tuple[float, Indices]:
    """The first groups of an order whose size is nearest to the wanted one, and how far they are.

    Shape:
        table: [G, S], order: [G].
    """
    totals = table.sum(axis=0)
    taken = table[order].cumsum(axis=0)[: len(order) - leave]
    sizes = taken.sum(axis=1)
    last = int(np.abs(sizes - wanted).argmin())
    strata = np.square(taken[last] - wanted / totals.sum() * totals) / totals
    cost = strata.sum() + np.square(sizes[last] - wanted) / totals.sum()
    return float(cost), order[: last + 1]
