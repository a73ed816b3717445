"""Labels: annotators' votes or single emotions to distributions over emotions.

Letters: N utterances, C classes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedcache.errors import SerError, UsageError, unknown_name
from embedcache.votes import parse_votes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from embedcache.utterance import Utterance

KINDS = ("hard", "majority", "soft")
TIES = ("keep", "drop")
_ROUNDING = 1e-9  # a third of three votes is a third

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfig:
    """How emotions become targets.

    Attributes:
        kind: `hard`, the corpus's label; `majority`, the emotion with the most votes; `soft`, the
            distribution of the votes.
        label_set: Name of one of the corpus's sets of classes; empty for its labels as they are.
        votes: Where votes are taken from: `votes`, `self_votes`, an extra column that holds votes
            as text, or several of them joined with `+`, whose counts are added.
        rename: Old emotion to new one; two emotions with one new name are merged.
        drop: Emotions to leave out, after renaming. Votes for them do not count, and utterances
            that have most votes for them are left out.
        min_agreement: Least share of all votes for the class with the most of them, or, with hard
            labels, for the label.
        ties: Whether soft labels with a tie for the first place are kept.
        smoothing: Share of each training target that is spread evenly over all classes.
    """

    kind: str = "hard"
    label_set: str = ""
    votes: str = "votes"
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    min_agreement: float = 0.0
    ties: str = "keep"
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("--labels", self.kind, KINDS)
        if self.ties not in TIES:
            raise unknown_name("--ties", self.ties, TIES)
        if not 0 <= self.min_agreement <= 1:
            raise UsageError(f"--min-agreement {self.min_agreement}: give a share from 0 to 1")
        if not 0 <= self.smoothing < 1:
            raise UsageError(f"--smoothing {self.smoothing}: give a share from 0 to below 1")
        if self.ties == "drop" and self.kind != "soft":
            raise UsageError(
                f"--ties drop: {self.kind} labels have no ties that could be kept; it is for "
                "--labels soft"
            )
        if not all(self.sources) or len(set(self.sources)) < len(self.sources):
            raise UsageError(
                f"--votes '{self.votes}': give votes, self_votes or an extra column with votes, "
                "each once and joined with +"
            )

    @property
    def sources(self) -> list[str]:
        """The columns that votes are taken from."""
        return [source.strip() for source in self.votes.split("+")]


@dataclass(frozen=True, slots=True)
class ClassTargets:
    """What is to be learned: distributions over emotions.

    Attributes:
        names: Of the classes, in the order of the columns.
        values: [N, C], each row sums to one.
        kept: [N], positions of these utterances in the sequence that was given.
        left_out: Why utterances have no target, and how many.
        agreement: [N], share of all votes for the class with the most of them, or, with hard
            labels, for the label; NaN without votes.
        ignored_votes: Share of all votes that are for emotions of no class, and do not count.
    """

    names: tuple[str, ...]
    values: Array
    kept: npt.NDArray[np.int64]
    left_out: dict[str, int]
    agreement: Array
    ignored_votes: float = 0.0

    def strata(self) -> list[str]:
        """[N], the largest class of each: what folds should hold in equal shares."""
        return [self.names[c] for c in self.values.argmax(axis=1)]


def make_targets(
    utterances: Sequence[Utterance],
    config: LabelConfig,
    order: Sequence[str] = (),
    classes: Mapping[str, str] | None = None,
) -> ClassTargets:
    """Distributions over emotions.

    Args:
        utterances: Of one corpus.
        config: Kind of labels, renamed and dropped emotions, agreement.
        order: Emotions in the corpus's own order; others follow alphabetically.
        classes: The label set: emotion to class, others are left out; None keeps all.

    Raises:
        UsageError: An emotion to rename or drop does not occur, or votes are asked for and missing.
        SerError: Fewer than two classes are left.
    """
    naming = _naming(utterances, config, classes)
    if config.kind != "hard" or config.min_agreement > 0:
        _require_votes(utterances, config)
    votes = [_by_class(count_votes(u, config.votes), naming) for u in utterances]
    if config.kind == "hard":
        every = [_by_class({u.label: 1.0} if u.label else {}, naming) for u in utterances]
    else:
        every = votes
    counts = [{name: n for name, n in own.items() if name is not None} for own in every]
    reasons = [_fault(own, voted, config) for own, voted in zip(every, votes, strict=True)]
    kept = np.array([i for i, reason in enumerate(reasons) if not reason], np.int64)
    present = {label for i in kept for label, count in counts[i].items() if count}
    ordered = dict.fromkeys(naming[label] for label in order if label in naming)
    labels = tuple(x for x in ordered if x in present) + tuple(sorted(present - ordered.keys()))
    if config.kind == "majority":
        winners = {max(counts[i], key=lambda label: counts[i][label]) for i in kept}
        labels = tuple(label for label in labels if label in winners)
    if len(labels) < 2:
        raise SerError(
            f"classes that are left: {', '.join(labels) or 'none'}; at least 2 are needed"
        )
    table = np.array([[counts[i].get(label, 0.0) for label in labels] for i in kept])
    if config.kind == "majority":
        table = (table == table.max(axis=1, keepdims=True)).astype(np.float64)
    return ClassTargets(
        names=labels,
        values=table / table.sum(axis=1, keepdims=True),
        kept=kept,
        left_out=dict(Counter(reason for reason in reasons if reason)),
        agreement=np.array([_agreement(every[i], votes[i], config) for i in kept]),
        ignored_votes=_ignored(votes) if config.kind != "hard" else 0.0,
    )


def smooth(distributions: Array, share: float) -> Array:
    """Spread a share of each distribution evenly over its classes (Szegedy et al. 2016).

    Shape:
        distributions: [..., C]. Output: the same.

    >>> smooth(np.array([1.0, 0.0]), 0.2).tolist()
    [0.9, 0.1]
    """
    smoothed: Array = (1 - share) * distributions + share / distributions.shape[-1]
    return smoothed


def count_votes(utterance: Utterance, source: str = "votes") -> dict[str, float]:
    """An utterance's votes from one source, or from several joined with `+`.

    Raises:
        SerError: An extra column does not hold votes.
    """
    total: dict[str, float] = {}
    for column in map(str.strip, source.split("+")):
        if column in ("votes", "self_votes"):
            found: dict[str, float] = getattr(utterance, column)
        else:
            try:
                found = parse_votes(utterance.extra.get(column, ""))
            except ValueError as error:
                raise SerError(f"--votes {column}: utterance '{utterance.id}': {error}") from error
        for label, count in found.items():
            total[label] = total.get(label, 0.0) + count
    return total


def vote_table(
    utterances: Sequence[Utterance], source: str = "votes"
) -> tuple[tuple[str, ...], Array]:
    """All votes: the emotions, and the number of votes for each by utterance, [N, C]."""
    votes = [count_votes(utterance, source) for utterance in utterances]
    labels = tuple(sorted({label for own in votes for label in own}))
    counts = np.array([[own.get(label, 0.0) for label in labels] for own in votes])
    return labels, counts.reshape(len(votes), len(labels))


def name_classes(
    labels: Iterable[str], rename: Mapping[str, str], classes: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Each emotion's class, by the label set and then by what is renamed.

    Args:
        labels: Emotions.
        rename: Old name to new one.
        classes: The label set; emotions that it lacks are left out. None keeps all.

    >>> name_classes(["excited", "sad", "odd"], {"sad": "low"}, {"excited": "happy", "sad": "sad"})
    {'excited': 'happy', 'sad': 'low'}
    """
    inside = {
        label: label if classes is None else classes[label]
        for label in labels
        if classes is None or label in classes
    }
    return {label: rename.get(name, name) for label, name in inside.items()}


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


def _naming(
    utterances: Sequence[Utterance], config: LabelConfig, classes: Mapping[str, str] | None
) -> dict[str, str]:
    """Each of the corpus's emotions to its class; those that are left out are not in it."""
    found = {u.label for u in utterances if u.label}
    for source in {"votes", "self_votes", *config.sources}:
        found |= {label for u in utterances for label in count_votes(u, source)}
    before = name_classes(found, {}, classes)
    if classes is not None and not before:
        raise UsageError(
            f"--label-set {config.label_set}: its emotions are {', '.join(sorted(classes))}, "
            f"and those of the cache {', '.join(sorted(found)) or 'none'}; give the label set "
            "of this corpus, or --map and --drop"
        )
    for label in config.rename:
        if label not in before.values():
            raise unknown_name("label in --map", label, set(before.values()))
    after = name_classes(found, config.rename, classes)
    for label in config.drop:
        if label not in after.values():
            raise unknown_name("label in --drop", label, set(after.values()))
    return {label: name for label, name in after.items() if name not in config.drop}


def _by_class(counts: Mapping[str, float], naming: Mapping[str, str]) -> dict[str | None, float]:
    """Counts per class; two emotions of one class are merged, those of no class are under None."""
    merged: dict[str | None, float] = {}
    for label, count in counts.items():
        name = naming.get(label)
        merged[name] = merged.get(name, 0.0) + count
    return merged


def _ignored(votes: Sequence[Mapping[str | None, float]]) -> float:
    """Share of all votes that are for no class."""
    total = sum(sum(own.values()) for own in votes)
    return sum(own.get(None, 0.0) for own in votes) / total if total else 0.0


def _require_votes(utterances: Sequence[Utterance], config: LabelConfig) -> None:
    """Every source of votes that is asked for holds some."""
    asked = f"--labels {config.kind}" if config.kind != "hard" else "--min-agreement"
    sources = config.sources
    given = {s for s in sources if any(count_votes(u, s) for u in utterances)}
    held = {s for s in given if any(sum(count_votes(u, s).values()) > 0 for u in utterances)}
    for source in sources:
        if source in held:
            continue
        if source in given:
            raise UsageError(
                f"{asked}: the votes in {source} sum to zero for all {len(utterances)} utterances; "
                "use --labels hard"
            )
        if source not in ("votes", "self_votes"):
            known = {"votes", "self_votes", *(name for u in utterances for name in u.extra)}
            raise unknown_name("column in --votes", source, known)
        where = "" if config.votes == "votes" else f" in {source}"
        raise UsageError(f"{asked}: this corpus has no votes{where}; use --labels hard")


def _fault(
    own: Mapping[str | None, float], votes: Mapping[str | None, float], config: LabelConfig
) -> str:
    """Why an utterance has no target; empty where it has one.

    What most annotators chose is looked for among all votes, those for emotions of no class
    included: an utterance that most heard as something else is no example of a class.

    Args:
        own: What its target is made of: its label or its votes, per class.
        votes: Its votes per class.
        config: What is asked for.
    """
    hard = config.kind == "hard"
    if not sum(own.values()):
        return "no majority label" if hard else "no votes"
    most = max(own.values())
    first = [name for name, count in own.items() if np.isclose(count, most)]
    if first == [None]:
        return "no label of a class" if hard else "most votes are for no class"
    if len(first) > 1 and (config.kind == "majority" or config.ties == "drop"):
        return "tied for the first place"
    enough = _agreement(own, votes, config) >= config.min_agreement - _ROUNDING
    if config.min_agreement > 0 and not enough:
        return f"agreement below {config.min_agreement:g}"
    return ""


def _agreement(
    own: Mapping[str | None, float], votes: Mapping[str | None, float], config: LabelConfig
) -> float:
    """Share of all votes for what an utterance has most of, `own` as for `_fault`; NaN without."""
    voted = sum(votes.values())
    if not voted:
        return float("nan")
    most = max(own, key=lambda name: own[name])
    return (votes.get(most, 0.0) if config.kind == "hard" else own[most]) / voted
