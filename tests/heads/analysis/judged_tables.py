"""Tables of predictions and votes with planted effects, for tests of ambiguity."""

from __future__ import annotations

import numpy as np

from heads.analysis.judged import Judged
from heads.analysis.tested import Tested
from heads.analysis.votes import Votes

LABELS = ("angry", "happy", "neutral", "sad")


def make_judged(
    seed=0, speakers=8, clips=30, annotators=6, seeds=2, effect=3.0, hard=True, labels=LABELS
):
    """Clips of varying clearness: annotators hear it, and with an effect the model does too.

    Args:
        seed: Of everything.
        speakers: How many.
        clips: Of each speaker.
        annotators: At most; some clips have half as many.
        seeds: Of the model.
        effect: How much of a clip's clearness reaches the model.
        hard: Whether the truth is the emotion that was meant, else the distribution of the votes.
        labels: The classes; annotators may also choose `other`.
    """
    rng = np.random.default_rng(seed)
    count, classes = speakers * clips, len(labels)
    meant = rng.integers(0, classes, count)
    clear = rng.random(count)
    chances = np.full((count, classes + 1), 1 / (classes + 1)) * (1 - clear[:, None])
    chances[np.arange(count), meant] += clear
    voters = np.where(rng.random(count) < 0.5, annotators, annotators // 2)
    counts = np.array([rng.multinomial(n, p) for n, p in zip(voters, chances, strict=True)], float)
    counts[counts[:, :classes].sum(axis=1) == 0, 0] = 1  # each clip has a vote for a class
    logits = rng.normal(0, 1, (seeds, count, classes))
    logits += (1 + effect * clear)[:, None] * np.eye(classes)[meant]
    predictions = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    votes = Votes(emotions=(*labels, "other"), classes=classes, counts=counts)
    tested = Tested(
        labels=tuple(labels),
        ids=np.array([f"c{n:05}" for n in range(count)]),
        speakers=np.array([f"s{n % speakers}" for n in range(count)]),
        folds=np.zeros(count, np.int64),
        targets=np.eye(classes)[meant] if hard else votes.distributions,
        predictions=predictions,
    )
    return Judged(tested=tested, votes=votes)


def delete_one_speaker(values_of, judged, counting=None):
    """95 % interval by leaving out one speaker after the other, written as the formulas say it.

    Args:
        values_of: A score of a judged table.
        judged: The table.
        counting: How much each clip counts; None is as much as any other.
    """
    from scipy import stats

    names = np.unique(judged.tested.speakers)
    whole = values_of(judged)
    left_out = np.array([values_of(judged.rows(judged.tested.speakers != n)) for n in names])
    count = len(names)
    error = np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())
    counting = np.ones(len(judged.tested.ids)) if counting is None else counting
    clips = np.array([counting[judged.tested.speakers == n].sum() for n in names])
    effective = clips.sum() ** 2 / (clips**2).sum()
    half = stats.t.ppf(0.975, effective - 1) * error
    return [whole - half, whole + half]
