"""Ambiguity: how a model fares on clips on which annotators agree, and on which they do not.

Scores are taken for each seed and averaged; where one prediction per clip is needed, probabilities
are averaged. Intervals are over speakers.

Letters: S seeds, N utterances, C classes.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heads.analysis.judged import SCORES, mean_score
from heads.analysis.rank_correlation import rank_correlation
from heads.labels import majority
from heads.soft_metrics import jensen_shannon, tau_spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heads.analysis.judged import Judged
    from heads.analysis.votes import Votes

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

BINS = 5
AMBIGUOUS = "no emotion has more than half of the votes"
# What is told of the share of the commonest emotion, its least and its largest value.
LEVELS = (
    ("all agree", 1.0, 1.0),
    ("two thirds or more", 2 / 3, 1.0),
    ("more than half", 0.5, 2 / 3),
    ("a plurality", 0.0, 0.5),
    ("a tie", 0.0, 0.5),
)
TAU_STEP = 0.1
_ROUNDING = 1e-6


def agreement_levels(judged: Judged, right: Array) -> list[dict[str, Any]]:
    """Clips by how far annotators agree, and the model's accuracy on each level.

    Args:
        judged: N clips with votes of two annotators or more.
        right: [S, N], `wa` of `clip_scores`.
    """
    share = judged.votes.agreement
    reached = [share > 1 - _ROUNDING, share > 2 / 3 - _ROUNDING, share > 0.5 + _ROUNDING]
    level = np.select([judged.votes.winners < 0, *reached], [4, 0, 1, 2], default=3)
    rows = []
    for number, (told, low, high) in enumerate(LEVELS):
        inside = level == number
        row = {"told": told, "low": low, "high": high, "n": int(inside.sum())}
        row["share"] = float(inside.mean())
        rows.append(row | mean_score("wa", right[:, inside], judged.tested.speakers[inside]))
    return rows


def ambiguous(votes: Votes) -> dict[str, Any]:
    """How many clips are ambiguous: those without a majority, be it a plurality or a tie.

    Args:
        votes: Of two annotators or more for each clip.
    """
    without = votes.agreement <= 0.5 + _ROUNDING
    return {"told": AMBIGUOUS, "n": int(without.sum()), "share": float(without.mean())}


def label_agreement(judged: Judged) -> dict[str, Any]:
    """How often the run's true class is the emotion that most annotators chose, ties apart."""
    truth, winner = majority(judged.tested.targets), judged.votes.winners
    clear = (truth >= 0) & (winner >= 0)
    same, total = int((truth == winner)[clear].sum()), int(clear.sum())
    return {"n": total, "same": same, "share": same / total if total else None}


def by_entropy(
    judged: Judged, scores: Mapping[str, Array], bins: int = BINS
) -> list[dict[str, Any]]:
    """Scores of clips in bins of the entropy of their votes.

    Bins hold equally many clips as nearly as ties allow: clips of one entropy share a bin, so that
    few distinct values give fewer bins.

    Args:
        judged: N clips with votes of two annotators or more.
        scores: [S, N] each, from `clip_scores`.
        bins: How many at most.
    """
    entropy = judged.votes.entropy
    part = equal_count_bins(entropy, bins)
    rows = []
    for number in np.unique(part):
        inside = part == number
        edges = {"low": float(entropy[inside].min()), "high": float(entropy[inside].max())}
        row = {**edges, "n": int(inside.sum())}
        for name in SCORES:
            row |= mean_score(name, scores[name][:, inside], judged.tested.speakers[inside])
        rows.append(row)
    return rows


def equal_count_bins(values: Array, bins: int) -> Indices:
    """The bin of each value, from 0 up without gaps; equal values share one.

    Shape:
        values: [N]. Output: [N].

    >>> equal_count_bins(np.array([0.0, 0.0, 0.0, 0.5, 0.9]), 3).tolist()
    [0, 0, 0, 1, 2]
    """
    values = values.round(9)  # the same shares, summed in another order
    ranks = -(-len(values) * np.arange(1, bins + 1) // bins) - 1
    edges = np.unique(np.sort(values)[ranks])
    part: Indices = np.searchsorted(edges, values)
    return part


def trends(judged: Judged, scores: Mapping[str, Array]) -> dict[str, dict[str, Any]]:
    """Spearman's correlation of each clip's scores, seeds averaged, with the entropy of its votes.

    Args:
        judged: N clips with votes of two annotators or more.
        scores: [S, N] each, from `clip_scores`.
    """
    return {
        told: rank_correlation(
            judged.votes.entropy,
            scores[name].mean(axis=0),
            judged.tested.speakers,
            ("vote entropy", told),
        )
        for told, name in (("accuracy", "wa"), ("tau", "tau"), ("js", "js"))
    }


def disagreements(judged: Judged) -> tuple[Indices, Array, Array]:
    """Clips by how far the model's distribution lies from the annotators', the farthest first.

    Args:
        judged: Clips with votes of two annotators or more.

    Returns:
        Positions of those with votes for a class, their Jensen-Shannon divergence in bits, and the
        model's probabilities, averaged over seeds.
    """
    mean = judged.tested.predictions.mean(axis=0)
    distance = jensen_shannon(mean, judged.votes.distributions)
    known = np.flatnonzero(~np.isnan(distance))
    order: Indices = known[np.argsort(-distance[known], kind="stable")]
    return order, distance[order], mean[order]


def tau_distribution(taus: Array) -> dict[str, Any]:
    """Kendall's tau-b of clips with votes: mean, quartiles, and counts around -1, -0.9, ... 1.

    The clips of all seeds count alike, as in `tau_spread` of `results.json`.

    Shape:
        taus: [S, N], NaN where undefined.
    """
    known = taus[~np.isnan(taus)]
    steps = round(1 / TAU_STEP)
    nearest = np.floor(known.round(9) * steps + 0.5).astype(np.int64) + steps
    centers = np.arange(-steps, steps + 1) / steps
    return {
        **asdict(tau_spread(taus)),
        "seeds": len(taus),
        "centers": centers.tolist(),
        "counts": np.bincount(nearest, minlength=len(centers)).tolist(),
    }
