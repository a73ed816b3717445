"""Protocols: who trains, who validates, who tests. Indices out, never data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedcache.errors import UsageError, unknown_name
from heads.dealing import FEWEST_GROUPS, Groups, are, deal_split, grouped, hold_out, stratified
from heads.promises import require_promise, shared_with_test

if TYPE_CHECKING:
    from heads.shares import Shares

Indices = npt.NDArray[np.int64]

DEFAULT_FOLDS = 5
INNER_FOLDS, INNER_SEED = 5, 0  # of the cross-validation inside a training part
EVERY_SPEAKER = "speakers"  # --folds speakers: leave one speaker out
_SPLITTABLE = ("speaker", "session", "sentence", "random")

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
        sentences: [N], likewise.
        official: [N], each utterance's role in the corpus's published folds, by the fold's name.
        corpora: [N], names of their corpora, where there are several.
        test_corpora: Those that only test; none where each is to test once.
    """

    strata: Sequence[str]
    speakers: Sequence[str | None]
    sessions: Sequence[str | None]
    sentences: Sequence[str | None] = ()
    official: Sequence[Mapping[str, str]] = ()
    corpora: Sequence[str] = ()
    test_corpora: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How a protocol is to cut: `folds` as in `split`, or shares; and the seed of the shuffling."""

    folds: int | str | None
    seed: int
    shares: Shares | None

    def number(self, found: int, what: str) -> int:
        """Number of folds, where there are so many groups."""
        if self.folds is None:
            return min(DEFAULT_FOLDS, found)
        if not isinstance(self.folds, int):
            return found
        if self.folds > found:
            raise UsageError(
                f"--folds {self.folds}: there are {found} {what}; give at most {found}, "
                "or name the protocol 'random', in which speakers are shared"
            )
        return self.folds

    def require_number(self, found: int, protocol: str, told: str) -> None:
        """Refuse a number of folds that a protocol does not leave open."""
        if self.folds not in (None, found):
            raise UsageError(
                f"--folds {self.folds}: the protocol '{protocol}' has {told}, so their number is "
                f"{found}; leave --folds out"
            )


def parse_folds(text: str | None) -> int | str | None:
    """The number of folds, or `speakers`; None where nothing is asked for.

    Raises:
        UsageError: It is neither.

    >>> parse_folds("10"), parse_folds("speakers"), parse_folds(None)
    (10, 'speakers', None)
    """
    if text is None or text == EVERY_SPEAKER:
        return text
    try:
        return int(text)
    except ValueError:
        raise UsageError(
            f"--folds {text}: give a number, or '{EVERY_SPEAKER}' to leave one speaker out in each"
        ) from None


def split(
    protocol: str,
    table: SplitTable,
    folds: int | str | None,
    seed: int,
    shares: Shares | None = None,
) -> list[Fold]:
    """Make the folds of a protocol.

    Args:
        protocol: One of `PROTOCOLS`.
        table: The utterances.
        folds: Number of folds, where the protocol leaves it open; `speakers` for one per speaker;
            None for five, or as many as there are groups to deal.
        seed: Of the shuffling.
        shares: Of one split in place of folds.

    Raises:
        UsageError: There is no such protocol, or the corpus does not have what it needs.
        SerError: A part is empty, or shares with another what the protocol keeps apart.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    if isinstance(folds, int) and folds < 2:
        raise UsageError(f"--folds {folds}: give 2 or more")
    if folds == EVERY_SPEAKER and protocol != "speaker":
        raise UsageError(
            f"--folds {folds} leaves one speaker out in each fold, which is for the protocol "
            f"'speaker' and not for '{protocol}'"
        )
    if shares and folds is not None:
        raise UsageError(
            f"--folds {folds} --test {shares.test:g} --val {shares.val:g}: give a number of folds, "
            "or the shares of one split"
        )
    if shares and protocol not in _SPLITTABLE:
        raise UsageError(
            f"--test {shares.test:g} --val {shares.val:g}: the protocol '{protocol}' says itself "
            f"who is tested; shares are for {', '.join(_SPLITTABLE)}"
        )
    made = PROTOCOLS[protocol](table, _Wanted(folds, seed, shares))
    require_promise(protocol, made, table)
    return made


def by_speaker(table: SplitTable, wanted: _Wanted) -> list[Fold]:
    """No speaker of a fold's test part trains or validates, and none validates that trains."""
    return _by_group(table, _known(table.speakers, "speaker", "speaker"), wanted)


def by_sentence(table: SplitTable, wanted: _Wanted) -> list[Fold]:
    """No sentence has two roles in a fold; speakers are shared."""
    return _by_group(table, _known(table.sentences, "sentence", "sentence"), wanted)


def _by_group(table: SplitTable, groups: Groups, wanted: _Wanted) -> list[Fold]:
    found = sorted(set(groups.names))
    if len(found) < FEWEST_GROUPS:
        raise UsageError(
            f"--protocol {groups.what}: there {are(len(found), groups.what)}, and it takes "
            f"{FEWEST_GROUPS}, to train, to validate and to test; the protocol 'random' shares "
            "speakers and says so"
        )
    if wanted.shares:
        return [Fold(*deal_split(table.strata, groups, groups, wanted.shares, wanted.seed))]
    if wanted.folds == EVERY_SPEAKER:
        tests = [np.flatnonzero(np.array(groups.names) == name) for name in found]
    else:
        count = wanted.number(len(found), f"{groups.what}s")
        tests = grouped(table.strata, groups.names, count, wanted.seed)
    return _with_validation(table, groups, tests, wanted.seed)


def by_session(table: SplitTable, wanted: _Wanted) -> list[Fold]:
    """Each session tests once; within the others, validation shares no speaker with training."""
    sessions = _known(table.sessions, "session", "session")
    speakers = _known(table.speakers, "speaker", "session")
    names = sorted(set(sessions.names))
    if len(names) < 2:
        raise UsageError(f"--protocol session: there is one session, {names[0]}; use 'speaker'")
    if wanted.shares:
        return [Fold(*deal_split(table.strata, sessions, speakers, wanted.shares, wanted.seed))]
    wanted.require_number(len(names), "session", "one fold for each session")
    tests = [np.flatnonzero(np.array(sessions.names) == name) for name in names]
    return _with_validation(table, speakers, tests, wanted.seed)


def by_corpus(table: SplitTable, wanted: _Wanted) -> list[Fold]:
    """Each corpus tests once while all others train, or the test corpora do in one fold.

    Validation is of the training corpora, and shares no speaker with what trains; an utterance
    whose speaker is not known counts as a speaker of its own.
    """
    names = list(dict.fromkeys(table.corpora))
    if len(names) < 2:
        raise UsageError(
            f"--protocol cross-corpus: there is one corpus, {', '.join(names)}; name several, as "
            "in --corpus ravdess,emodb, or what to test on with --test-corpus"
        )
    tested = [table.test_corpora] if table.test_corpora else [[name] for name in names]
    told = "one fold, its test corpora" if table.test_corpora else "one fold for each corpus"
    wanted.require_number(len(tested), "cross-corpus", told)
    tests = [np.flatnonzero(np.isin(table.corpora, of_fold)) for of_fold in tested]
    speakers = [speaker or f"?{i}" for i, speaker in enumerate(table.speakers)]
    return _with_validation(table, Groups(speakers, "speaker"), tests, wanted.seed)


def by_official_folds(table: SplitTable, wanted: _Wanted) -> list[Fold]:
    """The corpus's published folds, as they are; where one names no validation part, one is made.

    It is taken from the training part: by speaker where the fold shares no speaker, at random where
    the published fold shares speakers anyway.
    """
    names = sorted({name for roles in table.official for name in roles}, key=_fold_order)
    if not names:
        raise UsageError("--protocol official: this corpus has no published folds; use 'speaker'")
    wanted.require_number(len(names), "official", "the corpus's own folds")
    return [_official_fold(table, name, wanted.seed) for name in names]


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
    speakers = Groups([speaker or "" for speaker in table.speakers], "speaker")
    train, val = hold_out(table.strata, train, speakers if disjoint else None, name, seed)
    return Fold(train=train, val=val, test=test)


def at_random(table: SplitTable, wanted: _Wanted) -> list[Fold]:
    """Utterances are dealt at random: the same speakers train and test."""
    count = len(table.strata)
    if wanted.shares:
        return [Fold(*deal_split(table.strata, None, None, wanted.shares, wanted.seed))]
    folds = DEFAULT_FOLDS if wanted.folds is None else wanted.folds
    if isinstance(folds, int) and folds > count:
        raise UsageError(f"--folds {folds}: there are {count} utterances")
    tests = stratified(table.strata, int(folds), wanted.seed)
    return _with_validation(table, None, tests, wanted.seed)


PROTOCOLS: dict[str, Callable[[SplitTable, _Wanted], list[Fold]]] = {
    "speaker": by_speaker,
    "session": by_session,
    "sentence": by_sentence,
    "official": by_official_folds,
    "cross-corpus": by_corpus,
    "random": at_random,
}


def shared_speakers(fold: Fold, speakers: Sequence[str | None]) -> set[str]:
    """Speakers of a fold's test part who also train or validate."""
    return shared_with_test(fold, speakers)


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
        return grouped(strata, names, min(parts, len(set(names))), seed)
    why = "one speaker" if len(names) == len(speakers) else "speakers that are not known"
    _log.warning(
        "the training part has %s: its inner folds are dealt at random, and settings chosen on "
        "them suit the speakers that it has",
        why,
    )
    return stratified(strata, min(parts, len(strata)), seed)


def _with_validation(
    table: SplitTable, groups: Groups | None, tests: Sequence[Indices], seed: int
) -> list[Fold]:
    """Split what each fold does not test into training and validation, by group where given."""
    folds = []
    for number, test in enumerate(tests):
        rest = np.setdiff1d(np.arange(len(table.strata)), test)
        train, val = hold_out(table.strata, rest, groups, str(number), seed)
        folds.append(Fold(train=train, val=val, test=np.sort(test)))
    return folds


def _known(values: Sequence[str | None], what: str, protocol: str) -> Groups:
    lacking = sum(value is None for value in values)
    if lacking:
        raise UsageError(
            f"--protocol {protocol}: {lacking} of {len(values)} utterances name no {what}; "
            f"add a {what} column in a manifest, or name the protocol 'random' and say so"
        )
    return Groups([value for value in values if value is not None], what)
