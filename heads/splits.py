"""Protocols: who trains, who validates, who tests. Indices out, never data."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from embedcache.errors import UsageError, unknown_name

Indices = npt.NDArray[np.int64]

_FEWEST_SPEAKERS = 3
VALIDATION_PARTS = 5  # about a fifth of what is not tested chooses when to stop

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fold:
    """Positions of the utterances that train, validate and test one model.

    Attributes:
        train: Weights are fitted on these.
        val: Stopping is chosen on these.
        test: Metrics are taken on these, which no choice has seen.
    """

    train: Indices
    val: Indices
    test: Indices


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTable:
    """What protocols look at.

    Attributes:
        strata: [N], what folds should hold in equal shares: label and gender.
        speakers: [N], or None where the corpus does not know.
        sessions: [N], likewise.
        official: [N], each utterance's role in the corpus's published folds, by the fold's name.
    """

    strata: Sequence[str]
    speakers: Sequence[str | None]
    sessions: Sequence[str | None]
    official: Sequence[Mapping[str, str]] = ()


def split(protocol: str, table: SplitTable, folds: int, seed: int) -> list[Fold]:
    """Make the folds of a protocol.

    Args:
        protocol: One of `PROTOCOLS`.
        table: The utterances.
        folds: Number of folds, where the protocol leaves it open.
        seed: Of the shuffling.

    Raises:
        UsageError: There is no such protocol, or the corpus does not have what it needs.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    if folds < 2:
        raise UsageError(f"--folds {folds}: give 2 or more")
    return PROTOCOLS[protocol](table, folds, seed)


def by_speaker(table: SplitTable, folds: int, seed: int) -> list[Fold]:
    """No speaker of a fold's test part trains or validates, and none validates that trains."""
    speakers = _known(table.speakers, "speaker", "speaker")
    found = len(set(speakers))
    if found < _FEWEST_SPEAKERS:
        raise UsageError(
            f"--protocol speaker: there are {found} speakers, and it takes {_FEWEST_SPEAKERS}, to "
            "train, to validate and to test; the protocol 'random' shares speakers and says so"
        )
    if folds > found:
        raise UsageError(
            f"--folds {folds}: there are {found} speakers; give at most {found}, "
            "or name the protocol 'random', in which speakers are shared"
        )
    tests = _grouped(table.strata, speakers, folds, seed)
    return [_with_validation(table, speakers, test, seed) for test in tests]


def by_session(table: SplitTable, folds: int, seed: int) -> list[Fold]:
    """Each session tests once; within the others, validation shares no speaker with training."""
    sessions = np.array(_known(table.sessions, "session", "session"))
    speakers = _known(table.speakers, "speaker", "session")
    names = sorted(set(sessions.tolist()))
    if len(names) < 2:
        raise UsageError(f"--protocol session: there is one session, {names[0]}; use 'speaker'")
    tests = [np.flatnonzero(sessions == name) for name in names]
    return [_with_validation(table, speakers, test, seed) for test in tests]


def by_official_folds(table: SplitTable, folds: int, seed: int) -> list[Fold]:
    """The corpus's published folds, as they are; where one names no validation part, one is made.

    It is taken from the training part: by speaker where the fold shares no speaker, at random where
    the published fold shares speakers anyway.
    """
    names = sorted({name for roles in table.official for name in roles}, key=_fold_order)
    if not names:
        raise UsageError("--protocol official: this corpus has no published folds; use 'speaker'")
    return [_official_fold(table, name, seed) for name in names]


def _fold_order(name: str) -> tuple[int, str]:
    return (int(name) if name.isdecimal() else 0, name)


def _official_fold(table: SplitTable, name: str, seed: int) -> Fold:
    roles = np.array([utterance.get(name, "") for utterance in table.official])
    train, val, test = (np.flatnonzero(roles == role) for role in ("train", "val", "test"))
    if not (train.size and test.size):
        raise UsageError(
            f"--protocol official: the cache lacks all {'training' if test.size else 'test'} "
            f"utterances of fold {name}; extract the whole corpus or use 'speaker'"
        )
    if val.size:
        return Fold(train=train, val=val, test=test)
    tested = {None, *(table.speakers[i] for i in test.tolist())}
    disjoint = all(table.speakers[i] not in tested for i in train.tolist())
    train, val = _hold_out(table, train, table.speakers if disjoint else None, seed)
    return Fold(train=train, val=val, test=test)


def at_random(table: SplitTable, folds: int, seed: int) -> list[Fold]:
    """Utterances are dealt at random: the same speakers train and test."""
    count = len(table.strata)
    if folds > count:
        raise UsageError(f"--folds {folds}: there are {count} utterances")
    tests = _stratified(table.strata, folds, seed)
    return [_with_validation(table, None, test, seed) for test in tests]


PROTOCOLS: dict[str, Callable[[SplitTable, int, int], list[Fold]]] = {
    "speaker": by_speaker,
    "session": by_session,
    "official": by_official_folds,
    "random": at_random,
}


def shared_speakers(fold: Fold, speakers: Sequence[str | None]) -> set[str]:
    """Speakers of a fold's test part who also train or validate."""
    names = np.array([speaker or "" for speaker in speakers])
    seen = set(names[fold.train].tolist()) | set(names[fold.val].tolist())
    return (seen & set(names[fold.test].tolist())) - {""}


def inner_parts(
    strata: Sequence[str], speakers: Sequence[str | None], parts: int, seed: int
) -> list[Indices]:
    """Parts of a training part, to choose a setting by cross-validation: each utterance in one.

    By speaker; where there is one speaker only, or some are not known, utterances are dealt at
    random, and a warning says so.

    Args:
        strata: [N], what parts should hold in equal shares.
        speakers: [N].
        parts: Number of parts; fewer where there are fewer speakers.
        seed: Of the shuffling.

    Raises:
        UsageError: There is one utterance.
    """
    if len(strata) < 2:
        raise UsageError(
            f"{len(strata)} utterances train, and it takes 2 to choose a setting by "
            "cross-validation; give more clips or fewer --folds"
        )
    names = [speaker for speaker in speakers if speaker is not None]
    if len(names) == len(speakers) and len(set(names)) > 1:
        return _grouped(strata, names, min(parts, len(set(names))), seed)
    why = "one speaker" if len(names) == len(speakers) else "speakers that are not known"
    _log.warning(
        "the training part has %s: its inner folds are dealt at random, and settings chosen on "
        "them suit the speakers that it has",
        why,
    )
    return _stratified(strata, min(parts, len(strata)), seed)


def _with_validation(
    table: SplitTable, speakers: Sequence[str] | None, test: Indices, seed: int
) -> Fold:
    """Split what is not tested into training and validation, by speaker where they are given."""
    rest = np.setdiff1d(np.arange(len(table.strata)), test)
    train, val = _hold_out(table, rest, speakers, seed)
    return Fold(train=train, val=val, test=np.sort(test))


def _hold_out(
    table: SplitTable, rest: Indices, speakers: Sequence[str | None] | None, seed: int
) -> tuple[Indices, Indices]:
    """Training and validation parts of some utterances, by speaker where these are given."""
    strata = [table.strata[i] for i in rest]
    if speakers is None:
        if len(rest) < 2:
            raise UsageError("a fold has one utterance to train and to validate; give more clips")
        val = rest[_stratified(strata, min(VALIDATION_PARTS, len(rest)), seed)[0]]
    else:
        groups = [speakers[i] or "" for i in rest]
        if len(set(groups)) < 2:
            raise UsageError(
                f"a fold has {len(set(groups))} speakers that are not tested, and needs one to "
                "train and one to validate; the protocol 'random' shares speakers and says so"
            )
        parts = min(VALIDATION_PARTS, len(set(groups)))
        val = rest[_grouped(strata, groups, parts, seed)[0]]
    return np.setdiff1d(rest, val), val


def _known(values: Sequence[str | None], what: str, protocol: str) -> list[str]:
    lacking = sum(value is None for value in values)
    if lacking:
        raise UsageError(
            f"--protocol {protocol}: {lacking} of {len(values)} utterances name no {what}; "
            f"add a {what} column in a manifest, or name the protocol 'random' and say so"
        )
    return [value for value in values if value is not None]


def _grouped(strata: Sequence[str], groups: Sequence[str], parts: int, seed: int) -> list[Indices]:
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    return _parts(splitter, strata, groups)


def _stratified(strata: Sequence[str], parts: int, seed: int) -> list[Indices]:
    return _parts(StratifiedKFold(parts, shuffle=True, random_state=seed), strata, None)


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
