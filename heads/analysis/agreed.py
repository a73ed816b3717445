"""What accuracy becomes on the clips that annotators agree on: an easier test set.

Letters: S seeds, N utterances, C classes, G speakers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from heads.analysis.judged import Judged, interval, sum_of
from heads.intervals import effective_speakers
from heads.labels import majority
from heads.metrics import confusion_scores

Array = npt.NDArray[np.float64]

LEAST_AGREEMENT = (0.5, 2 / 3, 0.8, 1.0)
_TOLD = {0.5: "a half", 2 / 3: "two thirds", 0.8: "four fifths"}
_ROUNDING = 1e-6


def held_out(judged: Judged) -> list[dict[str, Any]]:
    """UA and WA where ambiguous clips do not count, and where each counts by its agreement.

    Same predictions, other clips. `change` is UA less that of all clips. Clips whose true class is
    tied are not scored, here as elsewhere.

    Args:
        judged: Clips with votes of two annotators or more.
    """
    judged = judged.rows(majority(judged.tested.targets) >= 0)
    share = judged.votes.agreement
    rows = [{"told": "all clips", "least": None, **_scored(judged, np.ones(len(share)))}]
    for least in LEAST_AGREEMENT:
        told = f"{_TOLD[least]} or more agree" if least < 1 else "all agree"
        kept = (share >= least - _ROUNDING).astype(np.float64)
        rows.append({"told": told, "least": least, **_scored(judged, kept)})
    return [*rows, {"told": "weighted by agreement", "least": None, **_scored(judged, share)}]


def _scored(judged: Judged, weights: Array) -> dict[str, Any]:
    """UA, WA and the change of UA from all clips, each clip counted by its weight, [N]."""
    whole, part = _confusions(judged, np.ones(len(weights))), _confusions(judged, weights)
    row: dict[str, Any] = {
        "n": int((weights > 0).sum()),
        "share": float(weights.mean()) if len(weights) else None,
        "classes": int((part.sum(axis=(0, 1, 3)) > 0).sum()),
    }
    if not row["n"]:
        nothing = dict.fromkeys(("ua", "ua_ci95", "wa", "wa_ci95", "change", "change_ci95"))
        return row | nothing | {"reason": "no clip is left"}
    speakers, classes = judged.tested.speakers, part.shape[-1]
    own = part[:, part.sum(axis=(0, 2, 3)) > 0]  # speakers who have a clip that counts
    pairs = np.concatenate([_flat(part), _flat(whole)], axis=-1)
    clips = [own.sum(axis=(0, 2, 3)) for own in (part, whole)]
    fewer = min(clips, key=effective_speakers)  # a difference is known no better than its sides

    def inside(tallies: Array) -> dict[str, Array]:
        confusion = tallies.reshape(*tallies.shape[:-1], classes, classes)
        with np.errstate(invalid="ignore"):
            found = confusion_scores(confusion)
        return {"ua": found["ua"], "wa": found["wa"]}

    def change(tallies: Array) -> dict[str, Array]:
        """Leaving a speaker out of both at once: the same speakers stand in the part and in all."""
        of_part, of_all = np.split(tallies, 2, axis=-1)
        return {"change": inside(of_part)["ua"] - inside(of_all)["ua"]}

    means = {**inside(_flat(own).sum(axis=1)), **change(pairs.sum(axis=1))}
    edges = interval(_flat(own), inside, own.sum(axis=(2, 3)), speakers)
    edges |= interval(pairs, change, fewer, speakers)
    row |= {name: float(values.mean()) for name, values in means.items()}
    return row | {f"{name}_ci95": found for name, found in edges.items()}


def _confusions(judged: Judged, weights: Array) -> Array:
    """Weighted confusion matrices of each seed and speaker: [S, G, C, C]."""
    tested = judged.tested
    names, codes = tested.speaker_names, tested.speaker_codes
    truth, classes = majority(tested.targets), len(tested.labels)
    size = len(names) * classes**2
    cells = [(codes * classes + truth) * classes + p.argmax(axis=1) for p in tested.predictions]
    summed = np.stack([sum_of(weights, cell, size) for cell in cells])
    return summed.reshape(len(cells), len(names), classes, classes)


def _flat(confusions: Array) -> Array:
    return confusions.reshape(*confusions.shape[:2], -1)
