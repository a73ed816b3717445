"""Linear probes: what can be read linearly from each layer's vectors.

They are asked twice: of vectors as they are, and once each speaker's own mean and deviation are
taken out.

Scores stand beside chance and beside a control: the same probe of labels that were shuffled, over
speakers where all clips of a speaker share one (J. Hewitt, P. Liang 2019, Designing and
Interpreting Probes with Control Tasks, EMNLP, arXiv 1909.03368). Predictions of all folds are
pooled before a score is taken, and intervals are over speakers.

The penalty is chosen within each training part by leaving out what folds leave out: speakers, or
for the speaker sentences or clips. Clips left out one by one would choose wrongly once speakers are
normalised: all clips of one sum to 0, so each is minus the sum of the others, and a fit
that interpolates seems to know it.

Letters: L layers, N utterances, D values of a vector, G speakers, C classes, R shuffled labellings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from heads.analysis.discriminant import (
    PENALTIES,
    Array,
    Codes,
    choose_penalties,
    classify,
    decompose,
)
from heads.analysis.probe_targets import Target
from heads.intervals import jackknife
from heads.metrics import confusion_scores

VERSIONS = ("raw", "normalised")
_SHUFFLED_CLASSES = 24  # columns that shuffled labellings of a target may take
_MOST_SHUFFLES = 10
_FLAT = 1e-6  # of a column's largest value: a deviation that is nothing but rounding


@dataclass(frozen=True, slots=True)
class Read:
    """What probes have made of one target in one version of one layer.

    Attributes:
        confusions: [G, C, C], of each speaker: rows are the truth, columns the prediction.
        shuffled: [R, C, C], of shuffled labels, speakers together.
    """

    confusions: Array
    shuffled: Array


def speaker_normalised(vectors: npt.NDArray[np.floating], speakers: Codes) -> Array:
    """Vectors with mean 0 and deviation 1 over each speaker's own; what does not vary is 0.

    Shape:
        vectors: [N, D], speakers: [N] in 0..G-1. Output: [N, D].
    """
    found = vectors.astype(np.float64)
    order = np.argsort(speakers, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(speakers[order])) + 1):
        own = found[rows]
        largest = np.abs(own).max(axis=0)
        own -= own.mean(axis=0)
        deviation = own.std(axis=0)
        deviation[deviation <= _FLAT * largest] = np.inf
        found[rows] = own / deviation
    return found


def probe_layers(
    layers: Iterable[tuple[str, npt.NDArray[np.floating]]],
    speakers: Sequence[str],
    targets: Sequence[Target],
    tick: Callable[[], object] = lambda: None,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Probe every layer for every target.

    Args:
        layers: Their names and vectors, [N, D] each; asked for one after the other.
        speakers: [N].
        targets: What is read.
        tick: Called once for each of `steps_of` a layer.
        seed: Of the shuffling.

    Returns:
        By the target's name a record: classes, n, speakers, chance, protocol, shuffles, left_out;
        `raw` and `normalised`, for each layer {layer, ua, ci95, shuffled}; and `near_best`, for
        either the layers that are not told apart from the best.
    """
    codes = np.unique(np.array(speakers, str), return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    labellings = [np.stack([t.codes, *_shuffled(t, codes, rng)]) for t in targets]
    names: list[str] = []
    found: list[dict[tuple[int, str], Read]] = []
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, vectors in layers:
            names.append(name)
            found.append(_probe_layer(vectors, codes, targets, labellings, pool, tick))
    return {
        target.name: _record(
            target,
            codes,
            {v: [own[place, v] for own in found] for v in VERSIONS},
            names,
        )
        for place, target in enumerate(targets)
    }


def steps_of(targets: Sequence[Target]) -> int:
    """How many folds a layer takes."""
    return len(VERSIONS) * sum(len(targets[group[0]].tests) for group in _groups(targets))


def _shuffled(target: Target, speakers: Codes, rng: np.random.Generator) -> list[Codes]:
    """Labellings that say nothing: each class has as many clips, or speakers, as before."""
    found = []
    known = np.flatnonzero(target.codes >= 0)
    _, first, voice = np.unique(speakers[known], return_index=True, return_inverse=True)
    for _ in range(int(np.clip(_SHUFFLED_CLASSES // len(target.classes), 1, _MOST_SHUFFLES))):
        codes = target.codes.copy()
        if target.by_speaker:
            codes[known] = rng.permutation(target.codes[known[first]])[voice]
        else:
            codes[known] = rng.permutation(target.codes[known])
        found.append(codes)
    return found


def _groups(targets: Sequence[Target]) -> list[list[int]]:
    """Positions of targets with the same utterances in the same folds."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, target in enumerate(targets):
        tests = tuple(test.tobytes() for test in target.tests)
        groups.setdefault(((target.codes >= 0).tobytes(), tests), []).append(place)
    return list(groups.values())


def _probe_layer(
    vectors: npt.NDArray[np.floating],
    speakers: Codes,
    targets: Sequence[Target],
    labellings: Sequence[Codes],
    pool: ThreadPoolExecutor,
    tick: Callable[[], object],
) -> dict[tuple[int, str], Read]:
    """One layer's probes, by the target's position and the version of the vectors."""
    found: dict[tuple[int, str], Read] = {}
    for version in VERSIONS:
        seen = vectors if version == "raw" else speaker_normalised(vectors, speakers)
        predicted = [np.full_like(labels, -1) for labels in labellings]
        for group in _groups(targets):
            own = np.concatenate([labellings[place] for place in group])
            fold = partial(_probe_fold, seen, own)
            first = targets[group[0]]
            for rows, guesses in pool.map(fold, first.tests, first.inner):
                parts = np.split(guesses, np.cumsum([len(labellings[p]) for p in group])[:-1])
                for place, part in zip(group, parts, strict=True):
                    predicted[place][:, rows] = part
                tick()
        for place, labels in enumerate(labellings):
            classes = len(targets[place].classes)
            found[place, version] = _count(labels, predicted[place], speakers, classes)
    return found


def _probe_fold(
    vectors: npt.NDArray[np.floating], labellings: Codes, test: Codes, inner: Sequence[Codes]
) -> tuple[Codes, Codes]:
    """The utterances that a fold tests, and what each labelling makes of them."""
    train, rows = _divided(labellings, test)
    if not (train.size and rows.size):
        return rows, np.zeros((len(labellings), len(rows)), np.int64)
    directions = decompose(vectors[train], vectors[rows])
    penalties = PENALTIES * directions.powers.sum() / max(directions.powers.size, 1)
    parts = []
    for part in inner:
        seen, left = _divided(labellings, np.concatenate([test, part]))
        left = np.setdiff1d(left, rows)
        if seen.size and left.size:
            found = decompose(vectors[seen], vectors[left])
            parts.append((found, labellings[:, seen], labellings[:, left]))
    chosen = choose_penalties(parts, penalties, [int(own.max()) + 1 for own in labellings])
    return rows, np.stack(classify(directions, list(labellings[:, train]), chosen))


def _divided(labellings: Codes, out: Codes) -> tuple[Codes, Codes]:
    """Utterances that have a class: those that are not left out, and those that are."""
    known = labellings[0] >= 0
    inside = np.zeros(len(known), bool)
    inside[out] = True
    return np.flatnonzero(known & ~inside), np.flatnonzero(known & inside)


def _count(labels: Codes, predicted: Codes, speakers: Codes, classes: int) -> Read:
    """Confusions of the true labelling by speaker, and of each shuffled one."""
    rows = np.flatnonzero(labels[0] >= 0)
    cells = labels[:, rows] * classes + predicted[:, rows]
    size, voices = classes**2, int(speakers.max()) + 1
    by_speaker = np.bincount(speakers[rows] * size + cells[0], minlength=voices * size)
    shuffled = [np.bincount(own, minlength=size) for own in cells[1:]]
    return Read(
        by_speaker.reshape(voices, classes, classes).astype(np.float64),
        np.array(shuffled, np.float64).reshape(-1, classes, classes),
    )


def _record(
    target: Target, speakers: Codes, reads: dict[str, list[Read]], layers: Sequence[str]
) -> dict[str, Any]:
    return {
        "classes": list(target.classes),
        "n": int((target.codes >= 0).sum()),
        "speakers": len(np.unique(speakers[target.codes >= 0])),
        "chance": target.chance,
        "protocol": target.protocol,
        "shuffles": len(reads["raw"][0].shuffled),
        "left_out": target.left_out,
        **{
            version: [
                {"layer": layer} | _scores(read)
                for layer, read in zip(layers, reads[version], strict=True)
            ]
            for version in VERSIONS
        },
        "near_best": {version: _near_best(reads[version], layers) for version in VERSIONS},
    }


def _scores(read: Read) -> dict[str, Any]:
    """UA with its interval over speakers, and the mean UA of shuffled labels."""
    classes = read.confusions.shape[-1]
    heard = _heard(read.confusions)
    score = partial(_ua, classes=classes)
    clips = heard.sum(axis=(1, 2))
    interval = jackknife(heard.reshape(len(heard), -1), score, {}, clips)["ua"]
    return {
        "ua": float(confusion_scores(heard.sum(axis=0))["ua"]),
        "ci95": list(interval) if interval else None,
        "shuffled": float(confusion_scores(read.shuffled)["ua"].mean()),
    }


def _near_best(reads: Sequence[Read], layers: Sequence[str]) -> list[str]:
    """The best layer, and those whose distance from it has an interval that holds 0.

    The same speakers tell of both, so their difference is taken speaker by speaker.
    """
    scores = [float(confusion_scores(read.confusions.sum(axis=0))["ua"]) for read in reads]
    best = int(np.argmax(scores))
    size = reads[best].confusions.shape[-1] ** 2
    near = []
    for place, read in enumerate(reads):
        both = np.stack([reads[best].confusions, read.confusions], axis=1)
        heard = _heard(both)
        score = partial(_difference, size=size)
        limits = {"difference": (-1.0, 1.0)}
        clips = heard[:, 0].sum(axis=(1, 2))  # the same in both
        interval = jackknife(heard.reshape(len(heard), -1), score, limits, clips)["difference"]
        if place == best or interval is None or interval[0] <= 0:
            near.append(layers[place])
    return near


def _heard(confusions: Array) -> Array:
    """Without speakers who have no clip: [G, ...] to [G', ...]."""
    return confusions[confusions.reshape(len(confusions), -1).any(axis=1)]


def _ua(tallies: Array, classes: int) -> dict[str, Array]:
    shape = (*tallies.shape[:-1], classes, classes)
    return {"ua": confusion_scores(tallies.reshape(shape))["ua"]}


def _difference(tallies: Array, size: int) -> dict[str, Array]:
    classes = round(size**0.5)
    first, second = (_ua(t, classes)["ua"] for t in np.split(tallies, 2, axis=-1))
    return {"difference": first - second}
