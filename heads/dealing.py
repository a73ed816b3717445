"""Dealing utterances into parts: in equal shares of every stratum, groups never divided."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from embedcache.errors import UsageError
from heads.shares import take_groups, take_utterances

if TYPE_CHECKING:
    from heads.shares import Shares

Indices = npt.NDArray[np.int64]

FEWEST_GROUPS = 3  # to train, to validate and to test
VALIDATION_PARTS = 5  # about a fifth of what is not tested chooses when to stop


@dataclass(frozen=True, slots=True)
class Groups:
    """What is not divided.

    Attributes:
        names: [N], the group of each utterance.
        what: What groups are, such as `speaker`.
    """

    names: Sequence[str]
    what: str


def grouped(strata: Sequence[str], groups: Sequence[str], parts: int, seed: int) -> list[Indices]:
    """Parts of about equal size, each group in one."""
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    return _parts(splitter, strata, groups)


def stratified(strata: Sequence[str], parts: int, seed: int) -> list[Indices]:
    """Parts of equal size."""
    return _parts(StratifiedKFold(parts, shuffle=True, random_state=seed), strata, None)


def hold_out(
    strata: Sequence[str], rest: Indices, groups: Groups | None, fold: str, seed: int
) -> tuple[Indices, Indices]:
    """Training and validation parts of what a fold does not test, by group where groups are given.

    Args:
        strata: [N], of all utterances.
        rest: Positions of those that are not tested.
        groups: Of all utterances.
        fold: Its name.
        seed: Of the shuffling.

    Raises:
        UsageError: There are fewer than two groups to train and to validate.
    """
    own, names = [strata[i] for i in rest], _names(rest, groups, fold)
    parts = min(VALIDATION_PARTS, len(set(names)))
    dealt = grouped(own, names, parts, seed) if groups else stratified(own, parts, seed)
    val = rest[dealt[0]]
    return np.setdiff1d(rest, val), val


def deal_split(
    strata: Sequence[str],
    tested: Groups | None,
    held_out: Groups | None,
    shares: Shares,
    seed: int,
) -> tuple[Indices, Indices, Indices]:
    """Training, validation and test parts of about these shares.

    Args:
        strata: [N].
        tested: Whole groups of these test; None for single utterances.
        held_out: Whole groups of these validate.
        shares: Of all utterances.
        seed: Of the shuffling.

    Raises:
        UsageError: There are too few utterances or groups.
    """
    count = len(strata)
    if tested is None or held_out is None:
        if count < FEWEST_GROUPS:
            raise UsageError(
                f"--test {shares.test:g} --val {shares.val:g}: there {are(count, 'utterance')}, "
                f"and it takes {FEWEST_GROUPS}, to train, to validate and to test"
            )
        test = take_utterances(strata, shares.test * count, 2, seed)
    else:
        leave = 2 if tested is held_out else 1
        test = take_groups(strata, tested.names, shares.test * count, leave, seed)
    rest = np.setdiff1d(np.arange(count), test)
    own, names = [strata[i] for i in rest], _names(rest, held_out, "0")
    if held_out is None:
        val = rest[take_utterances(own, shares.val * count, 1, seed)]
    else:
        val = rest[take_groups(own, names, shares.val * count, 1, seed)]
    return np.setdiff1d(rest, val), val, test


def are(count: int, what: str) -> str:
    """How many there are, in words.

    >>> are(1, "speaker"), are(0, "speaker")
    ('is 1 speaker', 'are 0 speakers')
    """
    return f"is 1 {what}" if count == 1 else f"are {count} {what}s"


def _names(rest: Indices, groups: Groups | None, fold: str) -> list[str]:
    """The groups of what a fold does not test: two at least, to train and to validate."""
    names = [groups.names[i] for i in rest] if groups else [str(i) for i in rest]
    found = len(set(names))
    if found < 2:
        what = groups.what if groups else "utterance"
        remedy = (
            "the protocol 'random' shares speakers and says so" if groups else "give more clips"
        )
        raise UsageError(
            f"fold {fold}: there {are(found, what)} that it does not test, and it takes one to "
            f"train and one to validate; {remedy}"
        )
    return names


def _parts(
    splitter: StratifiedGroupKFold | StratifiedKFold,
    strata: Sequence[str],
    groups: Sequence[str] | None,
) -> list[Indices]:
    codes = np.unique(np.array(strata), return_inverse=True)[1]
    if np.bincount(codes).max(initial=0) < splitter.get_n_splits():
        codes = np.zeros_like(codes)  # strata too small to balance: only group sizes count
    with warnings.catch_warnings():
        # A stratum smaller than the number of parts cannot stand in every part: that is no fault.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [test for _, test in splitter.split(codes, codes, groups)]
