"""Ambiguity of one run: agreement, what it does to the scores, disagreements, label errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from embedcache.corpora import label_sets
from embedcache.errors import UsageError
from heads.analysis.agreed import held_out
from heads.analysis.ambiguity import (
    agreement_levels,
    ambiguous,
    by_entropy,
    disagreements,
    label_agreement,
    tau_distribution,
    trends,
)
from heads.analysis.judged import Judged, clip_scores, why_no_interval
from heads.analysis.leaderboard import notes
from heads.analysis.votes import Votes, votes_over
from heads.report.ambiguity_text import render, summarise
from heads.report.label_errors import clip_record, suspected_errors
from heads.report.tested import read_tested, read_utterances

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from embedcache.utterance import Utterance
    from heads.analysis.tested import Tested
    from heads.results import Run

TOP = 10
_PARTS = ("agreement", "ambiguous", "label_agreement", "by_entropy", "trends", "tau", "held_out",
          "disagreements")  # fmt: skip
_NO_INTERVAL = "where null, fewer than two speakers have such clips, or one has nearly all"
_ROUNDING = 1e-5  # of shares that are written with seven digits


def ambiguity(run: Run, top: int = TOP) -> tuple[dict[str, Any], str]:
    """How far annotators agree, what that does to the scores, and which labels may be wrong.

    Args:
        run: The run.
        top: How many clips each list of clips holds at most.

    Returns:
        The record for `ambiguity.json`, and the same as tables for people.

    Raises:
        UsageError: The run is on dimensions, `top` is below 1, or a tested utterance is not listed.
        SerError: The run's tables are damaged.
    """
    if run.target != "emotion":
        raise UsageError(
            f"{run.id} has learned {', '.join(run.labels)}: annotators' votes and label errors are "
            "of runs on emotions"
        )
    if top < 1:
        raise UsageError(f"{top} clips in each list: give 1 or more")
    tested = read_tested(run)
    utterances = read_utterances(run, tested)
    votes, reason = _votes(run, tested, utterances)
    without = why_no_interval(tested)
    record: dict[str, Any] = {
        "run_id": run.id,
        "notes": notes(run.results),
        "votes": votes is not None,
        "reason": reason,
        "labels": run.results["training"]["labels"],
        "clips": len(tested.ids),
        "reasons": {"ci95": without or _NO_INTERVAL},
        **dict.fromkeys(_PARTS),
    }
    if votes is not None:
        record |= _of_votes(tested, votes, utterances, top)
    record |= suspected_errors(run, tested, votes, utterances, top)
    record["summary"] = summarise(record)
    return record, render(record)


def _votes(
    run: Run, tested: Tested, utterances: Sequence[Utterance]
) -> tuple[Votes | None, str | None]:
    """Votes over the run's classes; or why there are none that can be used."""
    training = run.results["training"]
    classes, reason = _label_set(run)
    if reason:
        return None, reason
    source = training.get("votes", "votes")
    votes = votes_over(utterances, run.labels, source, training.get("rename"), classes)
    reason = votes.reason()
    if reason:
        return None, reason
    if training["labels"] == "soft" and not np.allclose(
        votes.distributions, tested.targets, atol=_ROUNDING
    ):
        return None, "the votes in utterances.jsonl are not those that the run was trained on"
    return votes, None


def _label_set(run: Run) -> tuple[Mapping[str, str] | None, str | None]:
    """Emotion to class, where the run used a label set; or why that is not known any more."""
    training = run.results["training"]
    name, used = training.get("label_set", ""), training.get("label_set_version", 1)
    if not name:
        return None, None
    known: dict[str, dict[str, Any]] = {}
    for corpus in str(run.results["corpus"]["name"]).split("+"):
        known = {**label_sets(corpus), **known}
    if name not in known:
        return None, f"the label set {name} of this run is not known to this version"
    if known[name]["version"] != used:
        return None, (
            f"this run used version {used} of the label set {name}, and this is version "
            f"{known[name]['version']}"
        )
    return known[name]["classes"], None


def _of_votes(
    tested: Tested, votes: Votes, utterances: Sequence[Utterance], top: int
) -> dict[str, Any]:
    everyone = Judged(tested=tested, votes=votes)
    kept = np.flatnonzero(votes.compared)
    judged, found = everyone.rows(kept), clip_scores(everyone)
    scores = {name: values[:, kept] for name, values in found.items()}
    heard = votes.distributions.sum(axis=1) > 0
    numbers = judged.votes.counts.sum(axis=1)
    return {
        "annotators": {
            "clips": len(kept),
            "without_votes": int((~votes.voted).sum()),
            "one_vote": int((votes.voted & ~votes.compared).sum()),
            "least": None if votes.are_shares else float(numbers.min()),
            "most": None if votes.are_shares else float(numbers.max()),
        },
        "agreement": agreement_levels(judged, scores["wa"]),
        "ambiguous": ambiguous(judged.votes),
        "label_agreement": label_agreement(judged),
        "by_entropy": by_entropy(judged, scores),
        "trends": trends(judged, scores),
        "tau": tau_distribution(found["tau"][:, heard]),
        "held_out": held_out(judged),
        "disagreements": _disagreements(judged, [utterances[i] for i in kept.tolist()], top),
    }


def _disagreements(
    judged: Judged, utterances: Sequence[Utterance], top: int
) -> list[dict[str, Any]]:
    order, distances, means = disagreements(judged)
    labels = judged.tested.labels
    rows = []
    for position, distance, mean in zip(order[:top].tolist(), distances, means, strict=False):
        annotated = judged.votes.distributions[position]
        rows.append(
            {
                **clip_record(utterances[position]),
                "annotated": dict(zip(labels, annotated.tolist(), strict=True)),
                "predicted": dict(zip(labels, mean.tolist(), strict=True)),
                "js": float(distance),
            }
        )
    return rows
