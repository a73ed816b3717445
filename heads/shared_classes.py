"""Classes that the training and the test corpora both have: no other one can be tested fairly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from embedcache.errors import SerError
from heads.labels import ClassTargets, LabelConfig, make_targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from embedcache.utterance import Utterance

Counts = dict[str, dict[str, int]]


def make_shared_targets(
    utterances: Sequence[Utterance],
    corpora: Sequence[str],
    test_corpora: Sequence[str],
    config: LabelConfig,
    order: Sequence[str] = (),
    classes: Mapping[str, str] | None = None,
) -> tuple[ClassTargets, Counts]:
    """Targets of several corpora, of which some train and others test.

    A class stays where the training corpora and the test corpora have it, or, where each corpus
    tests once, all of them. A corpus has a class that one of its utterances has most votes for.

    Args:
        utterances: [N].
        corpora: [N], the corpus of each.
        test_corpora: Those that only test; none where each tests once.
        config: As for `make_targets`, and so for `order` and `classes`.
        order: Emotions in the corpora's own order.
        classes: The label set.

    Returns:
        The targets; and the classes that were left out, with the number of their utterances in each
        corpus that has them.

    Raises:
        SerError: Fewer than two classes are left.
    """
    names = list(dict.fromkeys(corpora))
    left_out: Counts = {}
    while True:
        drop = config.drop | left_out.keys()
        targets = make_targets(utterances, replace(config, drop=drop), order, classes)
        counts = class_counts(targets, [corpora[i] for i in targets.kept])
        sides = [[name] for name in names]
        if test_corpora:
            sides = [[n for n in names if n not in test_corpora], list(test_corpora)]
        had = [{x for name in side for x in counts.get(name, {})} for side in sides]
        shared = set.intersection(*had)
        if len(shared) < 2:
            raise SerError(_too_few(shared, {name: counts.get(name, {}) for name in names}))
        alone = [label for label in targets.names if label not in shared]
        if not alone:
            return targets, left_out
        for label in alone:  # a class of single votes alone is in no count
            left_out[label] = {name: n[label] for name, n in counts.items() if label in n}


def class_counts(targets: ClassTargets, corpora: Sequence[str]) -> Counts:
    """Per corpus and class, the utterances that have most votes for it, or share the first place.

    Args:
        targets: Of N utterances.
        corpora: [N].
    """
    shares = targets.values
    first = np.isclose(shares, shares.max(axis=1, keepdims=True))
    counts: dict[str, Counter[str]] = {}
    for corpus, row in zip(corpora, first, strict=True):
        labels = (x for x, most in zip(targets.names, row, strict=True) if most)
        counts.setdefault(corpus, Counter()).update(labels)
    return {name: {x: own[x] for x in targets.names if own[x]} for name, own in counts.items()}


def _too_few(shared: set[str], had: Mapping[str, Mapping[str, int]]) -> str:
    told = "; ".join(f"{name} has {', '.join(own) or 'none'}" for name, own in had.items())
    names = f"one class, {', '.join(shared)}" if shared else "no class"
    return (
        f"training and test share {names}, and it takes 2: {told}; rename with --map OLD=NEW, or "
        "leave a corpus out"
    )
