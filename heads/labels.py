"""Labels: annotators' votes or single emotions to distributions over emotions.

Letters: N utterances, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedcache.errors import SerError, UsageError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from embedcache.utterance import Utterance

KINDS = ("hard", "soft")

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfig:
    """How emotions become targets.

    Attributes:
        kind: `hard`, the corpus's label; `soft`, the distribution of its annotators' votes.
        rename: Old emotion to new one; two emotions with one new name are merged.
        drop: Emotions to leave out, after renaming; votes for them do not count.
    """

    kind: str = "hard"
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("--labels", self.kind, KINDS)


@dataclass(frozen=True, slots=True)
class Targets:
    """What is to be learned.

    Attributes:
        labels: Names of the classes, in the order of the columns.
        distributions: [N, C], each row sums to one.
        kept: [N], positions of these utterances in the sequence that was given.
        left_out: Why utterances have no target, and how many.
    """

    labels: tuple[str, ...]
    distributions: Array
    kept: npt.NDArray[np.int64]
    left_out: dict[str, int]


def make_targets(
    utterances: Sequence[Utterance], config: LabelConfig, order: Sequence[str] = ()
) -> Targets:
    """Distributions over emotions.

    Args:
        utterances: Of one corpus.
        config: Kind of labels, renamed and dropped emotions.
        order: Emotions in the corpus's own order; others follow alphabetically.

    Raises:
        UsageError: An emotion to rename or drop does not occur, or soft labels have no votes.
        SerError: Fewer than two classes are left.
    """
    votes = [_votes(utterance, config) for utterance in utterances]
    _require_known(utterances, config)
    kept = np.array([i for i, v in enumerate(votes) if sum(v.values()) > 0], np.int64)
    if config.kind == "soft" and not any(u.votes for u in utterances):
        raise UsageError("--labels soft: this corpus has no votes; use --labels hard")
    present = {label for i in kept for label, count in votes[i].items() if count}
    ordered = dict.fromkeys(config.rename.get(label, label) for label in order)
    labels = tuple(x for x in ordered if x in present) + tuple(sorted(present - ordered.keys()))
    if len(labels) < 2:
        raise SerError(
            f"{len(labels)} classes are left ({', '.join(labels) or 'none'}); at least 2 are needed"
        )
    counts = np.array([[votes[i].get(label, 0.0) for label in labels] for i in kept])
    missing = "without votes" if config.kind == "soft" else "without a majority label"
    left_out = {f"{missing}, or dropped": len(utterances) - len(kept)}
    return Targets(
        labels,
        counts / counts.sum(axis=1, keepdims=True),
        kept,
        {reason: count for reason, count in left_out.items() if count},
    )


def majority(distributions: Array) -> npt.NDArray[np.int64]:
    """The class with the most votes; -1 where two share the first place.

    Shape:
        distributions: [..., C]. Output: [...].

    >>> majority(np.array([[0.2, 0.8], [0.5, 0.5]]))
    array([ 1, -1])
    """
    top = distributions.max(axis=-1, keepdims=True)
    tied = np.isclose(distributions, top).sum(axis=-1) > 1
    return np.where(tied, -1, distributions.argmax(axis=-1))


def _votes(utterance: Utterance, config: LabelConfig) -> dict[str, float]:
    """An utterance's counts per class, after renaming and dropping."""
    if config.kind == "soft":
        raw: Mapping[str, float] = utterance.votes
    else:
        raw = {utterance.label: 1.0} if utterance.label is not None else {}
    counts: dict[str, float] = {}
    for label, count in raw.items():
        name = config.rename.get(label, label)
        if name not in config.drop:
            counts[name] = counts.get(name, 0.0) + count
    return counts


def _require_known(utterances: Sequence[Utterance], config: LabelConfig) -> None:
    before = {u.label for u in utterances if u.label} | {v for u in utterances for v in u.votes}
    after = {config.rename.get(label, label) for label in before}
    for label in config.rename:
        if label not in before:
            raise unknown_name("label in --map", label, before)
    for label in config.drop:
        if label not in after:
            raise unknown_name("label in --drop", label, after)
