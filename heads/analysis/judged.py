"""Predictions beside annotators' votes, and scores of some of the clips with intervals.

Letters: S seeds, N utterances, n some of them, C classes, G speakers, K values of a tally.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heads.analysis.tested import Tested
from heads.analysis.votes import Votes
from heads.intervals import FEWEST, effective_speakers, jackknife
from heads.labels import majority
from heads.soft_metrics import jensen_shannon, kendall_tau, kl_divergence

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SCORES = ("wa", "tau", "js", "kl")
_LIMITS = {"tau": (-1.0, 1.0), "kl": (0.0, np.inf), "spearman": (-1.0, 1.0), "change": (-1.0, 1.0)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """Tested utterances beside what annotators said of them.

    Attributes:
        tested: N utterances.
        votes: Of the same.
    """

    tested: Tested
    votes: Votes

    def rows(self, chosen: Indices | Mask) -> Judged:
        """Some of the utterances."""
        return Judged(tested=self.tested.rows(chosen), votes=self.votes.rows(chosen))


def why_no_interval(tested: Tested) -> str | None:
    """Why nothing can have an interval over speakers; None where it can."""
    unknown = int((tested.speakers == "").sum())
    if unknown:
        return f"{unknown} of {len(tested.ids)} clips name no speaker"
    clips = np.bincount(tested.speaker_codes).astype(np.float64)
    if len(clips) < 2:
        return "one speaker"
    return "one speaker has nearly all clips" if effective_speakers(clips) < FEWEST else None


def clip_scores(judged: Judged) -> dict[str, Array]:
    """How each seed's model fares on each clip; NaN where a score is undefined.

    `wa` is 1 where the run's true class is predicted, else 0; `tau`, `js` (bits) and `kl` (nats)
    compare the prediction with the annotators' distribution over the run's classes.

    Shape:
        Output: [S, N] each.
    """
    truth, targets = majority(judged.tested.targets), judged.votes.distributions
    predictions = judged.tested.predictions
    voted = targets.sum(axis=1) > 0
    right = (predictions.argmax(axis=2) == truth).astype(np.float64)
    found = {"wa": np.where(truth >= 0, right, np.nan)}
    taus = np.stack([kendall_tau(p, targets) for p in predictions])
    distances = np.stack([jensen_shannon(p, targets) for p in predictions])
    divergences = np.stack([kl_divergence(targets, p) for p in predictions])
    for name, values in (("tau", taus), ("js", distances), ("kl", divergences)):
        found[name] = np.where(voted, values, np.nan)
    return found


def mean_score(name: str, values: Array, speakers: npt.NDArray[np.str_]) -> dict[str, Any]:
    """A score's mean over clips, undefined ones left out, and its interval over their speakers.

    Args:
        name: One of `SCORES`.
        values: Of each seed and clip, NaN where undefined.
        speakers: Of the clips; empty where unknown.

    Shape:
        values: [S, n], speakers: [n].
    """
    known = ~np.isnan(values)
    if not known.any(axis=1).all():
        return {name: None, f"{name}_ci95": None}
    names, codes = np.unique(speakers, return_inverse=True)
    sums = np.stack([sum_of(v, codes, len(names)) for v in np.nan_to_num(values)])
    counts = np.stack([sum_of(k.astype(np.float64), codes, len(names)) for k in known])
    there = counts.sum(axis=0) > 0
    tallies = np.stack([sums, counts], axis=2)[:, there]  # [S, G, 2]
    edges = interval(tallies, lambda t: {name: _ratio(t)}, counts[:, there], speakers)
    return {
        name: float((sums.sum(axis=1) / counts.sum(axis=1)).mean()),
        f"{name}_ci95": edges[name],
    }


def interval(
    by_speaker: Array,
    score: Callable[[Array], Mapping[str, Array]],
    clips: Array,
    speakers: npt.NDArray[np.str_],
) -> dict[str, list[float] | None]:
    """95 % over speakers by the jackknife, as JSON has it; None where there is none.

    Args:
        by_speaker: [..., G, K] tallies.
        score: Summed tallies to scores.
        clips: [..., G], how many of each speaker count.
        speakers: Of all clips that count; where one is unknown, there is no interval.
    """
    found = jackknife(by_speaker, score, _LIMITS, clips)
    if (speakers == "").any():
        return dict.fromkeys(found)
    return {name: None if edges is None else list(edges) for name, edges in found.items()}


def sum_of(values: Array, codes: Indices, count: int) -> Array:
    """Sums by group: [n] values and [n] codes in 0..count-1 give [count]."""
    return np.bincount(codes, values, count).astype(np.float64)


def _ratio(tallies: Array) -> Array:
    with np.errstate(invalid="ignore"):
        ratio: Array = tallies[..., 0] / tallies[..., 1]
    return ratio
