"""Suspected label errors of one run, with what its folds hide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from heads.analysis.label_errors import confident_joint, margins, suspected
from heads.analysis.leaderboard import contaminated
from heads.labels import majority

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from embedcache.utterance import Utterance
    from heads.analysis.tested import Tested
    from heads.analysis.votes import Votes
    from heads.results import Run

    Array = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

_FEW_CLIPS = 20
_ROUNDING = 1e-6


def suspected_errors(
    run: Run, tested: Tested, votes: Votes | None, utterances: Sequence[Utterance], top: int
) -> dict[str, Any]:
    """Confident learning on the clips with one true class, probabilities averaged over seeds.

    Args:
        run: The run.
        tested: Its predictions.
        votes: Of the same utterances; None where they have none.
        utterances: The same.
        top: How many suspects are listed at most.

    Returns:
        `label_errors`, and `label_errors_reason` where that is None.
    """
    truth = majority(tested.targets)
    clear = np.flatnonzero(truth >= 0)
    if not clear.size:
        return {"label_errors": None, "label_errors_reason": "the true class of every clip is tied"}
    labels, given = list(tested.labels), truth[clear]
    clips = [utterances[i] for i in clear.tolist()]
    mean = tested.predictions.mean(axis=0)[clear]
    joint = confident_joint(mean, given)
    order, margin = suspected(mean, given, joint), margins(mean, given)
    shares = votes.distributions[clear] if votes is not None else None
    ranked = [
        {
            **clip_record(clips[row]),
            **_suspect(labels, int(given[row]), int(joint.confident[row]), mean[row]),
            "margin": float(margin[row]),
            **_votes_for(None if shares is None else shares[row], given[row], joint.confident[row]),
        }
        for row in order[:top].tolist()
    ]
    found = {
        "clips": len(clear),
        "labels": labels,
        "thresholds": {
            label: None if np.isnan(t) else float(t)
            for label, t in zip(labels, joint.thresholds, strict=True)
        },
        "counted": joint.counted.tolist(),
        "confident_joint": joint.calibrated.tolist(),
        "share": joint.share,
        "pairs": _pairs(joint.calibrated, labels),
        "wa": float((mean.argmax(axis=1) == given).mean()),
        "suspected": len(order),
        "heard": _heard(given, joint.confident, shares, order),
        "ranked": ranked,
        "caveats": _caveats(run, labels, given),
    }
    return {"label_errors": found, "label_errors_reason": None}


def clip_record(utterance: Utterance) -> dict[str, Any]:
    """How to find a clip; bounds where it is a part of a file."""
    part = utterance.start_s > 0 or utterance.end_s is not None
    return {
        "id": utterance.id,
        "speaker": utterance.speaker,
        "path": str(utterance.path),
        "start_s": utterance.start_s if part else None,
        "end_s": utterance.end_s,
    }


def _suspect(labels: Sequence[str], given: int, suggested: int, mean: Array) -> dict[str, Any]:
    return {
        "given": labels[given],
        "suggested": labels[suggested],
        "p_given": float(mean[given]),
        "p_suggested": float(mean[suggested]),
    }


def _votes_for(shares: Array | None, given: int, suggested: int) -> dict[str, float | None]:
    """Shares of the votes for both labels; None without votes."""
    if shares is None or not shares.any():
        return {"votes_given": None, "votes_suggested": None}
    return {"votes_given": float(shares[given]), "votes_suggested": float(shares[suggested])}


def _heard(
    given: Indices, suggested: Indices, shares: Array | None, order: Indices
) -> dict[str, int] | None:
    """Of suspects with votes, on how many more annotators chose the suggested class."""
    if shares is None:
        return None
    own = order[shares[order].sum(axis=1) > 0]
    more = shares[own, suggested[own]] > shares[own, given[own]] + _ROUNDING
    return {"n": len(own), "as_suggested": int(more.sum())}


def _pairs(joint: Array, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Estimated numbers of wrong labels by given and true class, the largest first."""
    wrong = joint - np.diag(np.diagonal(joint))
    order = np.argsort(-wrong, axis=None, kind="stable")
    places = [divmod(int(flat), len(labels)) for flat in order if wrong.flat[flat] > 0]
    return [
        {
            "given": labels[i],
            "suggested": labels[j],
            "n": float(wrong[i, j]),
            "share": float(wrong[i, j] / joint.sum()),
        }
        for i, j in places
    ]


def _caveats(run: Run, labels: Sequence[str], given: Indices) -> list[str]:
    """What this run's folds hide from confident learning."""
    protocol = run.results["protocol"]
    found = []
    if protocol["speaker_overlap"]:
        found.append(
            f"Speakers that both train and test: {protocol['speaker_overlap']}; an error that runs "
            "through a speaker's clips is learned with them, and stays hidden"
        )
    if protocol["speaker_overlap"] is None:
        found.append("Speakers are unknown, so folds may share them and hide errors of a speaker")
    if protocol.get("content_overlap"):
        found.append(
            f"Recordings that both train and test: {protocol['content_overlap']}; their labels are "
            "learned, right or wrong, and errors among them stay hidden"
        )
    if protocol.get("contamination"):
        found.append(f"{contaminated(protocol)}; errors in what it has learned stay hidden")
    sizes = np.bincount(given, minlength=len(labels))
    few = [f"{x} ({n})" for x, n in zip(labels, sizes.tolist(), strict=True) if n < _FEW_CLIPS]
    if few:
        found.append(f"Thresholds that rest on few clips: {', '.join(few)}")
    return found
