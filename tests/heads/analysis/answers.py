"""Utterances with a truth and a prediction, as runs have tested them."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from heads.analysis.tested import Tested

LABELS = ("angry", "happy", "sad")


def make_tested(truth, guess, speakers, confidence=None, labels=LABELS):
    """Utterances whose prediction is right or wrong; of several seeds where guesses are [S, N]."""
    truth, guess = np.asarray(truth), np.atleast_2d(guess)
    classes = len(labels)
    sure = np.full(guess.shape, 0.8) if confidence is None else np.atleast_2d(confidence)
    rest = ((1 - sure) / (classes - 1))[..., None]
    predictions = np.where(np.arange(classes) == guess[..., None], sure[..., None], rest)
    return Tested(
        labels=tuple(labels),
        ids=np.array([f"u{n:05}" for n in range(len(truth))]),
        speakers=np.asarray(speakers, str),
        folds=np.zeros(len(truth), int),
        targets=np.where(truth[:, None] >= 0, np.eye(classes)[truth], 1 / classes),
        predictions=predictions,
    )


def answers(speakers, clips, seed, right=0.6, classes=3, spread=0.15):
    """Truth, prediction and speaker of clips; speakers are right to different shares."""
    rng = np.random.default_rng(seed)
    names = np.repeat([f"s{s:02}" for s in range(speakers)], clips)
    skill = np.repeat(rng.uniform(right - spread, right + spread, speakers), clips)
    truth = rng.integers(0, classes, len(names))
    wrong = (truth + rng.integers(1, classes, len(names))) % classes
    return truth, np.where(rng.random(len(names)) < skill, truth, wrong), names


def halves(names, first=None):
    """Group of each clip: the first half of the speakers, or that many, is a, the others are b."""
    first = len(set(names)) // 2 if first is None else first
    return ["a" if int(name[1:]) < first else "b" for name in names]


def share_of_deals_as_far(values, first):
    """Share of all deals of speakers to two groups whose Welch's t is as far from 0 as observed."""
    far = []
    for chosen in combinations(range(len(values)), first):
        x, y = values[list(chosen)], np.delete(values, chosen)
        error = np.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))
        far.append(abs(x.mean() - y.mean()) / max(error, 1e-12))
    return (np.array(far) >= far[0] * (1 - 1e-9)).mean()
