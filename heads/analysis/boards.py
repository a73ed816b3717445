"""Runs into leaderboards: those stand together whose numbers can be compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heads.analysis.leaderboard import corpus_told, labels_told, leaderboard, protocol_told
from heads.analysis.ranking import Contender, rank
from heads.analysis.tested import Tested, common
from heads.results import target_of
from heads.train.evaluate import evaluate
from heads.train.evaluate_dimensions import evaluate_dimensions
from heads.train.out_of_fold import OutOfFold

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_FEWEST = {"emotion": 2, "dimensions": 1}  # classes or dimensions that a comparison needs
DEFAULT_METRIC = {"emotion": "ua", "dimensions": "ccc"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Board:
    """A leaderboard.

    Attributes:
        target: What its runs have learned.
        metric: What sorts it, and what the tests are about.
        table: Of `heads.analysis.ranking.rank`.
        contenders: Its runs, in the order of the table.
        shared: Where runs are compared on less than they tested: on what.
    """

    target: str
    metric: str
    table: pd.DataFrame
    contenders: list[Contender]
    shared: str = ""


def make_boards(
    contenders: Sequence[Contender], metric: str | None, together: bool = False
) -> list[Board]:
    """The leaderboard of each corpus, set of labels and protocol.

    Args:
        contenders: Runs.
        metric: What sorts; None for UA, and CCC of dimensions. Runs that cannot have it are left
            out.
        together: Whether runs that differ in labels, utterances and protocol are compared all the
            same, on what all of them share; but never those that share speakers with those that
            share none.
    """
    groups: dict[tuple[Any, ...], list[Contender]] = {}
    for own in contenders:
        groups.setdefault(_board_of(own, together), []).append(own)
    boards = []
    for (target, *_), members in groups.items():
        by = metric or DEFAULT_METRIC[target]
        parts = _on_shared_ground(members) if together else [(members, "")]
        boards += [_board(target, by, part, shared) for part, shared in parts]
    return boards


def _board(target: str, metric: str, members: Sequence[Contender], shared: str) -> Board:
    table = leaderboard([own.results for own in members], metric)
    table = rank(table, members, metric)
    of = {str(own.results["run_id"]): own for own in members}
    order = [of[run] for run in table["run"]]
    return Board(target=target, metric=metric, table=table, contenders=order, shared=shared)


def _board_of(own: Contender, together: bool) -> tuple[Any, ...]:
    """What runs of one leaderboard have in common."""
    results = own.results
    overlap = results["protocol"]["speaker_overlap"]
    target, corpus = target_of(results), corpus_told(results)
    if together:
        return target, corpus, overlap is None, bool(overlap)
    return target, corpus, labels_told(results), protocol_told(results)


def _on_shared_ground(members: Sequence[Contender]) -> list[tuple[list[Contender], str]]:
    """Runs in groups that share utterances, with their numbers on what all of a group share.

    A run that shares too little with those before it begins a group; runs without predictions stand
    apart, as their numbers cannot be taken on a part.

    Returns:
        Each group, and what its runs share if it is not all.
    """
    groups: list[tuple[list[Contender], Tested]] = []
    for own in members:
        if own.tested is None:
            continue
        for number, (group, shared) in enumerate(groups):
            narrower = common(shared, own.tested)[0]
            if len(narrower.ids) and len(narrower.labels) >= _FEWEST[own.target]:
                groups[number] = [*group, own], narrower
                break
        else:
            groups.append(([own], own.tested))
    found = [_narrowed(group, shared) for group, shared in groups]
    unknown = [own for own in members if own.tested is None]
    return [*found, (unknown, "")] if unknown else found


def _narrowed(group: list[Contender], shared: Tested) -> tuple[list[Contender], str]:
    """Runs with their numbers on what they share, and what that is if it is not all."""
    tested = [own.tested for own in group if own.tested is not None]
    if all(len(own.ids) == len(shared.ids) and own.labels == shared.labels for own in tested):
        return group, ""
    narrowed = [_narrow(own, common(own.tested, shared)[0]) for own in group if own.tested]
    sizes = sorted({len(own.ids) for own in tested}), sorted({len(own.labels) for own in tested})
    utterances, classes = (" or ".join(map(str, own)) for own in sizes)
    return narrowed, (
        f"numbers are of what all runs share: {len(shared.ids)} of {utterances} utterances, those "
        f"with the same truth in all, and "
        f"{len(shared.labels)} of {classes} "
        f"{'dimensions' if shared.target == 'dimensions' else 'emotions'}"
    )


def _narrow(own: Contender, tested: Tested) -> Contender:
    """A run with the metrics of a part of its predictions."""
    found = OutOfFold(
        predictions=tested.predictions,
        targets=tested.targets,
        folds=np.unique(tested.folds, return_inverse=True)[1],
        speakers=[name or None for name in tested.speakers.tolist()],
        temperatures=np.ones(tested.predictions.shape[:2]),
    )
    if tested.target == "dimensions":
        told = evaluate_dimensions(found, tested.labels)
    else:
        told = evaluate(found, tested.labels, own.results["training"]["labels"] == "soft")
        told["metrics"].pop("ece_scaled")  # it needs temperatures, which predictions do not hold
    return replace(own, results={**own.results, **told}, tested=tested)
