"""What to train on what: caches, their labels and their folds."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from embedcache.audio.augmentation import parse_views
from embedcache.corpora import label_order
from embedcache.errors import UsageError
from embedcache.utterance import Utterance
from heads.dimensions import DimensionTargets, make_dimension_targets
from heads.folded import FoldedReader
from heads.labels import ClassTargets, make_targets
from heads.pool import FrameReader, corpora_of
from heads.shared_classes import Counts, class_counts, make_shared_targets
from heads.splits import Fold
from heads.train.config import RunConfig
from heads.train.corpora import find_label_set, open_corpora
from heads.train.folds import make_folds, require_examples
from heads.train.leakage import Source, serve
from heads.train.weighting import Weighting, make_weighting
from heads.train.worst_group import Groups, make_groups

_ROUNDING = 1e-9
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Utterances with targets and folds.

    Attributes:
        utterances: [N], those that are there and have a target.
        corpora: [N], the corpus of each.
        targets: What is to be learned of them.
        folds: Who trains, validates and tests.
        protocol: What `results.json` tells of how they were made.
    """

    utterances: list[Utterance]
    corpora: list[str]
    targets: ClassTargets | DimensionTargets
    folds: list[Fold]
    protocol: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What all heads of a command share.

    Attributes:
        reader: The open cache, or those of several corpora or of the checkpoints of all folds.
        sources: Which frames serve which folds.
        utterances: [N], those with frames and a target.
        targets: What is to be learned of them.
        folds: Who trains, validates and tests.
        weighting: What utterances count for in training; None for all alike.
        groups: By whose worst models are chosen; None for all utterances alike.
        protocol: What `results.json` tells of how they were made.
        seen: What it tells of the data that the encoder was trained on.
        views: [V], augmented views of the utterances; they only ever train.
        view_of: [V], the position of the utterance that each is a view of.
    """

    reader: FrameReader | FoldedReader
    sources: list[Source]
    utterances: list[Utterance]
    targets: ClassTargets | DimensionTargets
    folds: list[Fold]
    weighting: Weighting | None = None
    groups: Groups | None = None
    protocol: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] | None = None
    views: list[Utterance] = field(default_factory=list)
    view_of: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def role(self, name: str) -> npt.NDArray[np.bool_]:
        """Which utterances have a role in which fold: [F, N]."""
        roles = np.zeros((len(self.folds), len(self.utterances)), bool)
        for row, fold in zip(roles, self.folds, strict=True):
            row[getattr(fold, name)] = True
        return roles

    def training(self) -> npt.NDArray[np.bool_]:
        """Which utterances and views train in which fold: [F, N + V].

        A view trains wherever its utterance does; what was dropped trains nowhere.
        """
        return self._with_views(self.role("train"))

    def weights(self, validating: bool = False) -> npt.NDArray[np.float64] | None:
        """What each utterance and view counts for in which fold: [F, N + V]; None for all alike.

        A view counts for what its utterance does.

        Args:
            validating: Whether the validation part trains, too.
        """
        if self.weighting is None:
            return None
        train = self.role("train") | (self.role("val") if validating else False)
        rows = np.concatenate([np.arange(len(self.utterances)), self.view_of])
        return self.weighting.weights(self._with_views(train), rows)

    def _with_views(self, train: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        if self.weighting is not None:
            train = train & self.weighting.trains
        return np.concatenate([train, train[:, self.view_of]], axis=1)


def prepare(config: RunConfig) -> Prepared:
    """Open the caches, make targets and folds, and find frames for each fold.

    Raises:
        UsageError: A cache, the labels or the protocol do not exist.
        SerError: A cache is damaged or empty, a fold shares what its protocol keeps apart, or an
            encoder was trained on what a fold tests.
    """
    reader = open_corpora(config)
    data = make_dataset(
        config, reader.utterances, reader.missing, corpora_of(reader.utterances, reader)
    )
    require_examples(data.targets, data.folds)
    weighting, groups = make_mitigation(config, data.utterances, data.targets, data.folds)
    served = serve(reader, data.utterances, data.corpora, data.folds, config.allow_leakage)
    views, view_of = _training_views(config, reader, data.utterances, data.folds)
    return Prepared(
        reader=reader,
        sources=served.sources,
        utterances=data.utterances,
        targets=data.targets,
        folds=data.folds,
        weighting=weighting,
        groups=groups,
        protocol=data.protocol | {"contamination": served.contamination},
        seen=served.seen,
        views=views,
        view_of=view_of,
    )


def make_mitigation(
    config: RunConfig,
    utterances: Sequence[Utterance],
    targets: ClassTargets | DimensionTargets,
    folds: Sequence[Fold],
) -> tuple[Weighting | None, Groups | None]:
    """What utterances count for in training, and the groups that models are chosen by.

    Raises:
        UsageError: A column or votes are asked for that are not there.
        SerError: A class is left without a training utterance.
    """
    weighting = None
    if isinstance(targets, ClassTargets):
        weighting = make_weighting(config, utterances, targets, folds)
    asked = config.worst_group
    return weighting, make_groups(asked, utterances, folds) if asked else None


def make_dataset(
    config: RunConfig,
    there: Sequence[Utterance],
    missing: Sequence[Utterance],
    corpora: Sequence[str],
) -> Dataset:
    """Make targets and folds of what is there.

    Args:
        config: What is to be learned, and under which protocol.
        there: Utterances that can be used; no views.
        missing: Those that the corpora list and that cannot.
        corpora: The corpus of each utterance that is there.

    Raises:
        UsageError: The labels or the protocol do not exist.
        SerError: A fold shares what its protocol keeps apart.
    """
    targets: ClassTargets | DimensionTargets
    unshared: Counts = {}
    if config.target == "dimensions":
        targets = make_dimension_targets(there)
    else:
        targets, unshared = _class_targets(config, there, corpora)
    for reason, count in targets.left_out.items():
        _log.warning("%d of %d utterances left out: %s", count, len(there), reason)
    utterances = [there[i] for i in targets.kept]
    kept = [corpora[i] for i in targets.kept]
    folds, told = make_folds(config, [*there, *missing], utterances, kept, targets)
    if unshared:
        told["classes_left_out"] = unshared
    return Dataset(utterances=utterances, corpora=kept, targets=targets, folds=folds, protocol=told)


def _class_targets(
    config: RunConfig, utterances: Sequence[Utterance], corpora: Sequence[str]
) -> tuple[ClassTargets, Counts]:
    """Targets, and the classes that are left out for training and test do not both have them."""
    everyone = [*config.corpora, *config.test_corpora]
    order = [label for corpus in everyone for label in label_order(corpus)]
    classes: Mapping[str, str] | None = None
    if config.labels.label_set:
        classes = find_label_set(everyone, config.labels.label_set)["classes"]
    unshared: Counts = {}
    if config.protocol_name == "cross-corpus" and len(everyone) > 1:
        targets, unshared = make_shared_targets(
            utterances, corpora, config.test_corpora, config.labels, order, classes
        )
    else:
        targets = make_targets(utterances, config.labels, order, classes)
    if unshared:
        told = ", ".join(f"{label} ({_counted(counts)})" for label, counts in unshared.items())
        _log.warning("classes that training and test do not both have are left out: %s", told)
    if targets.ignored_votes > _ROUNDING:
        share = 100 * targets.ignored_votes
        _log.warning("%.1f %% of the votes are for emotions of no class and do not count", share)
    counts_of = class_counts(targets, [corpora[i] for i in targets.kept])
    for name in everyone:
        lacking = [label for label in targets.names if label not in counts_of.get(name, {})]
        if lacking and len(everyone) > 1:
            _log.warning("%s has no utterance of %s", name, ", ".join(lacking))
    return targets, unshared


def _training_views(
    config: RunConfig,
    reader: FrameReader | FoldedReader,
    utterances: Sequence[Utterance],
    folds: Sequence[Fold],
) -> tuple[list[Utterance], npt.NDArray[np.int64]]:
    """Views of the utterances that do not only test, and the position of each one's utterance."""
    seen = set().union(*(set(fold.train.tolist()) | set(fold.val.tolist()) for fold in folds))
    places = {utterances[i].id: i for i in sorted(seen)}
    chosen = choose_views(reader, config.views)
    views = [view for view in reader.views if view.view in chosen and view.id in places]
    if views:
        told = ", ".join(f"{name} ({n})" for name, n in Counter(v.view for v in views).items())
        _log.info("training also on views of training utterances: %s", told)
    missing = [view for view in reader.missing_views if view.id in places]
    lacking = Counter(view.view for view in missing if view.view in chosen)
    for name, count in lacking.items():
        _log.warning(
            "%s lacks %d of the views %s; `ser extract --augment %s` to complete them",
            reader.path,
            count,
            name,
            name,
        )
    return views, np.array([places[view.id] for view in views], np.int64)


def choose_views(reader: FrameReader | FoldedReader, asked: Sequence[str]) -> list[str]:
    """Names of the views to train with, of those that the cache holds.

    Raises:
        UsageError: One is asked for that is not there.
    """
    held = list(dict.fromkeys(view.view for view in reader.views))
    if list(asked) == ["all"]:
        return held
    if list(asked) == ["none"]:
        return []
    if {"all", "none"} & set(asked):
        raise UsageError(f"--views {','.join(asked)}: give all, none, or names of views")
    names = parse_views(asked, "--views")
    for name in names:
        if name not in held:
            raise UsageError(
                f"--views {name}: {reader.path} holds {', '.join(held) or 'no views'}; make one "
                f"with `ser extract --augment {name}`"
            )
    return list(names)


def _counted(counts: Mapping[str, int]) -> str:
    return " and ".join(f"{n} of {corpus}" for corpus, n in counts.items()) or "single votes"
