"""The folds of a run: made, told, and what they share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from embedcache.corpora import emobox_name
from embedcache.errors import SerError, UsageError
from heads.dimensions import DimensionTargets
from heads.promises import overlap
from heads.shares import Shares, make_shares
from heads.splits import Fold, SplitTable, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.utterance import Utterance
    from heads.labels import ClassTargets
    from heads.train.config import RunConfig

_log = logging.getLogger(__name__)


def make_folds(
    config: RunConfig,
    listed: Sequence[Utterance],
    utterances: Sequence[Utterance],
    corpora: Sequence[str],
    targets: ClassTargets | DimensionTargets,
) -> tuple[list[Fold], dict[str, Any]]:
    """The folds of a protocol, and what `results.json` tells of them.

    Args:
        config: What is asked for.
        listed: All that the corpora list, with or without frames and a target.
        utterances: [N], those that have both.
        corpora: [N], the corpus of each.
        targets: What is to be learned of them.

    Raises:
        UsageError: The corpora do not have what the protocol needs.
        SerError: A fold shares what its protocol keeps apart.
    """
    protocol = config.protocol_name
    if protocol == "official":
        _require_official(listed, utterances, corpora)
    table = SplitTable(
        strata=_strata(utterances, corpora, targets.strata()),
        speakers=[u.speaker for u in utterances],
        sessions=[u.session for u in utterances],
        sentences=[u.sentence for u in utterances],
        official=[u.folds for u in utterances],
        corpora=corpora,
        test_corpora=config.test_corpora,
    )
    shares = make_shares(config.test_share, config.val_share)
    folds = split(protocol, table, config.folds, config.seed, shares)
    told: dict[str, Any] = {
        "name": protocol,
        "sentence_overlap": overlap(table.sentences, folds),
        "split": _reached(folds[0], shares, protocol) if shares else None,
    }
    if protocol == "cross-corpus":
        told["corpora"] = [_sides(fold, corpora) for fold in folds]
    _tell_overlap(protocol, folds, table)
    untested = len(utterances) - len(set().union(*(fold.test.tolist() for fold in folds)))
    if untested and not (shares or config.test_corpora):
        _log.warning("%d of %d utterances stand in no test fold", untested, len(utterances))
    return folds, told


def require_examples(
    targets: ClassTargets | DimensionTargets, folds: Sequence[Fold], first: int = 0
) -> None:
    """See that each fold can learn every class or dimension.

    Args:
        targets: What is to be learned.
        folds: Those that are to be trained.
        first: Number of the first of them.

    Raises:
        SerError: A class has no training utterance, a dimension does not vary in a training part,
            or a validation part has too few values of all of them.
    """
    for number, fold in enumerate(folds, first):
        if isinstance(targets, DimensionTargets):
            _require_values(targets, fold, number)
            continue
        counts = targets.values[fold.train].sum(axis=0)
        lacking = [x for x, n in zip(targets.names, counts, strict=True) if n == 0]
        if lacking:
            raise SerError(
                f"fold {number} has no training utterance of {', '.join(lacking)}; give fewer "
                "--folds, --drop the class, or another --seed"
            )


def _require_values(targets: DimensionTargets, fold: Fold, number: int) -> None:
    remedy = "give fewer --folds, or another --seed"
    for name, values in zip(targets.names, targets.values[fold.train].T, strict=True):
        if len(np.unique(values[~np.isnan(values)])) < 2:
            raise SerError(
                f"{name} does not vary over the training utterances of fold {number}; {remedy}"
            )
    known = (~np.isnan(targets.values[fold.val])).sum(axis=0)
    if known.max() < 2:
        raise SerError(
            f"the validation part of fold {number} has fewer than two values of each of "
            f"{', '.join(targets.names)}; {remedy}"
        )


def _strata(
    utterances: Sequence[Utterance], corpora: Sequence[str], of_targets: Sequence[str]
) -> list[str]:
    """What folds should hold in equal shares: the target, the gender where known, the corpus."""
    pooled = len(set(corpora)) > 1
    return [
        f"{stratum}|{u.gender}" + (f"|{corpus}" if pooled else "")
        for stratum, u, corpus in zip(of_targets, utterances, corpora, strict=True)
    ]


def _reached(fold: Fold, shares: Shares, protocol: str) -> dict[str, Any]:
    """The shares that one split has, beside those that were asked for."""
    parts = {"train": fold.train, "val": fold.val, "test": fold.test}
    total = sum(len(part) for part in parts.values())
    reached = {name: len(part) / total for name, part in parts.items()}
    _log.info(
        "one split of %d utterances: %s (asked for: test %.1f %%, val %.1f %%%s)",
        total,
        ", ".join(f"{name} {100 * share:.1f} %" for name, share in reached.items()),
        100 * shares.test,
        100 * shares.val,
        "" if protocol == "random" else f"; a {protocol} is not divisible",
    )
    return {"asked": {"test": shares.test, "val": shares.val}, "reached": reached}


def _sides(fold: Fold, corpora: Sequence[str]) -> dict[str, list[str]]:
    """The corpora that train and those that test."""
    sides = {"train": fold.train, "test": fold.test}
    return {name: list(dict.fromkeys(corpora[i] for i in part)) for name, part in sides.items()}


def _tell_overlap(protocol: str, folds: Sequence[Fold], table: SplitTable) -> None:
    shared = overlap(table.speakers, folds)
    if shared is None:
        _log.warning("protocol %s: speakers are not known, so they may be shared", protocol)
    elif shared:
        tested = {table.speakers[i] for fold in folds for i in fold.test} - {None}
        _log.warning(
            "protocol %s: %d of %d tested speakers also train or validate",
            protocol,
            shared,
            len(tested),
        )


def _require_official(
    listed: Sequence[Utterance], utterances: Sequence[Utterance], corpora: Sequence[str]
) -> None:
    """Every corpus has the same published folds, and their validation parts are there."""
    names: dict[str, set[str]] = {corpus: set() for corpus in corpora}
    for utterance, corpus in zip(utterances, corpora, strict=True):
        names[corpus] |= utterance.folds.keys()
    for corpus, own in names.items():
        if not own:
            other = emobox_name(corpus)
            remedy = f"EmoBox has: extract --corpus {other}, or use" if other else "use"
            raise UsageError(
                f"--protocol official: {corpus} has no published folds; {remedy} 'speaker'"
            )
    if len(set(map(frozenset, names.values()))) > 1:
        told = ", ".join(f"{corpus} has {len(own)}" for corpus, own in names.items())
        raise UsageError(
            f"--protocol official: the corpora have other folds ({told}); pool those that have "
            "the same, or use 'speaker'"
        )
    published = {name for u in listed for name, role in u.folds.items() if role == "val"}
    there = {name for u in utterances for name, role in u.folds.items() if role == "val"}
    for name in sorted(published - there):
        raise UsageError(
            f"--protocol official: the validation part of fold {name} is empty, for none of its "
            "utterances has frames and a label; extract the whole corpus, keep more labels, or "
            "use 'speaker'"
        )
