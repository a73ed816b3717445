"""Annotators' votes as a table over a run's classes, and how far they agree on each clip.

Letters: N utterances, C classes, E emotions that were voted for, the classes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heads.agreement import majority_share, vote_entropy
from heads.labels import count_votes, majority, name_classes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from embedcache.utterance import Utterance

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_ROUNDING = 1e-6  # votes that are shared are sums of thirds and the like


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Votes:
    """How often annotators chose each emotion.

    Attributes:
        emotions: [E]: the run's C classes in its order, then emotions of no class.
        classes: C.
        counts: [N, E]; a row of zeros where nobody voted.
    """

    emotions: tuple[str, ...]
    classes: int
    counts: Array

    @property
    def voted(self) -> Mask:
        """[N], whether anybody voted."""
        return np.asarray(self.counts.sum(axis=1) > 0)

    @property
    def are_shares(self) -> bool:
        """Whether the corpus gives shares of votes, so that nobody knows how many voted.

        Every clip's votes then sum to one, and some are no whole numbers.
        """
        own = self.counts[self.voted]
        whole = np.isclose(own, own.round(), atol=_ROUNDING).all()
        return bool(len(own) and np.allclose(own.sum(axis=1), 1, atol=_ROUNDING) and not whole)

    @property
    def compared(self) -> Mask:
        """[N], whether two annotators or more can agree or disagree."""
        return self.voted if self.are_shares else self.counts.sum(axis=1) > 2 - _ROUNDING

    @property
    def agreement(self) -> Array:
        """[N], the share of all votes that the commonest emotion has; NaN without votes."""
        return majority_share(self.counts)

    @property
    def entropy(self) -> Array:
        """[N], of all votes in bits; NaN without votes."""
        return vote_entropy(self.counts)

    @property
    def winners(self) -> npt.NDArray[np.int64]:
        """[N], the emotion with most votes; -1 where two share the first place."""
        return majority(self.counts)

    @property
    def distributions(self) -> Array:
        """[N, C], shares of the votes for classes; zeros where nobody voted for one."""
        inside = self.counts[:, : self.classes]
        total = inside.sum(axis=1, keepdims=True)
        shares: Array = np.divide(inside, total, where=total > 0, out=np.zeros_like(inside))
        return shares

    def reason(self) -> str | None:
        """Why nothing can be said of agreement; None where something can."""
        if not self.voted.any():
            return "no tested clip has annotators' votes"
        if not self.compared.any():
            return "no tested clip has votes of two annotators, so nobody can agree or disagree"
        return None

    def rows(self, chosen: npt.NDArray[np.int64] | Mask) -> Votes:
        """Those of some utterances."""
        return Votes(emotions=self.emotions, classes=self.classes, counts=self.counts[chosen])


def votes_over(
    utterances: Sequence[Utterance],
    labels: Sequence[str],
    source: str = "votes",
    rename: Mapping[str, str] | None = None,
    classes: Mapping[str, str] | None = None,
) -> Votes:
    """Votes of utterances, named as a run names its classes.

    An emotion that is no class of the run keeps its place among the votes: an annotator who heard
    it does not agree with those who heard a class.

    Args:
        utterances: [N].
        labels: The run's classes.
        source: Where votes are taken from, as in `LabelConfig`.
        rename: Old emotion to new one.
        classes: The label set: emotion to class; None where there is none.

    Raises:
        SerError: An extra column does not hold votes.
    """
    found = [count_votes(utterance, source) for utterance in utterances]
    voted = sorted({label for own in found for label in own})
    naming = name_classes(voted, rename or {}, classes)
    # An emotion outside the label set may bear a class's name.
    outside = {label: f"{label} (no class)" if label in labels else label for label in voted}
    names = {label: naming.get(label, outside[label]) for label in voted}
    emotions = tuple(dict.fromkeys([*labels, *names.values()]))
    column = {label: emotions.index(name) for label, name in names.items()}
    counts = np.zeros((len(found), len(emotions)))
    for row, own in enumerate(found):
        for label, count in own.items():
            counts[row, column[label]] += count
    return Votes(emotions=emotions, classes=len(labels), counts=counts)
