"""What to train on what: a cache, its labels and its folds."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedcache.audio.augmentation import parse_views
from embedcache.corpora import label_order, label_sets
from embedcache.errors import SerError, UsageError, unknown_name
from embedcache.store.cache import find_cache
from embedcache.store.reader import CacheReader
from embedcache.utterance import Utterance
from heads.labels import LabelConfig, Targets, make_targets
from heads.splits import Fold, SplitTable, split

STANDARDISE = ("train", "speaker")
_ROUNDING = 1e-9
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """What to train, on which cache, under which protocol.

    Attributes:
        heads: Names of head plug-ins.
        corpus: `PLUGIN` or `PLUGIN:NAME`.
        cache: The cache's folder; None to find it by corpus and encoder.
        encoder: Encoder id, where a corpus has several caches.
        cache_dir: Folder of all caches.
        layer: Name of a stored layer, or `last`.
        protocol: Of `heads.splits`.
        folds: Number of folds, where the protocol leaves it open.
        seeds: How many times every fold is trained.
        seed: The first seed; it also makes the folds.
        labels: How emotions become targets.
        views: Augmented views to train with: `all` that the cache holds, `none`, or their names.
        standardise: By whose frames: `train`, the model's own training part, or `speaker`, each
            speaker's own and then that.
        loss: Of `heads.losses`; `auto` is cross-entropy for hard labels and KL for soft ones.
        class_weights: `none` or `balanced`.
        settings: `--set` keys and values, for training or for a head.
        device: `auto`, `cpu` or `cuda`.
    """

    heads: Sequence[str]
    corpus: str
    cache: Path | None = None
    encoder: str | None = None
    cache_dir: Path = Path("cache")
    layer: str = "last"
    protocol: str = "speaker"
    folds: int = 5
    seeds: int = 5
    seed: int = 0
    labels: LabelConfig = field(default_factory=LabelConfig)
    views: Sequence[str] = ("all",)
    standardise: str = "train"
    loss: str = "auto"
    class_weights: str = "none"
    settings: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What all heads of a command share.

    Attributes:
        reader: The open cache.
        utterances: [N], those with frames and a target.
        targets: Their distributions.
        folds: Who trains, validates and tests.
        views: [V], augmented views of the utterances; they only ever train.
        view_of: [V], the position of the utterance that each is a view of.
    """

    reader: CacheReader
    utterances: list[Utterance]
    targets: Targets
    folds: list[Fold]
    views: list[Utterance] = field(default_factory=list)
    view_of: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def role(self, name: str) -> npt.NDArray[np.bool_]:
        """Which utterances have a role in which fold: [F, N]."""
        roles = np.zeros((len(self.folds), len(self.utterances)), bool)
        for row, fold in zip(roles, self.folds, strict=True):
            row[getattr(fold, name)] = True
        return roles


def prepare(config: RunConfig) -> Prepared:
    """Open the cache, make targets and folds.

    Raises:
        UsageError: The cache, the labels or the protocol do not exist.
        SerError: The cache is damaged or empty.
    """
    if config.standardise not in STANDARDISE:
        raise unknown_name("--standardise", config.standardise, STANDARDISE)
    path = config.cache or find_cache(config.cache_dir, config.corpus, config.encoder)
    reader = CacheReader(path)
    if reader.meta.corpus != config.corpus:
        raise UsageError(f"--cache {path} holds {reader.meta.corpus}, not {config.corpus}")
    if reader.missing:
        _log.warning(
            "%s lacks the frames of %d of %d utterances; `ser extract` again to complete it",
            path,
            len(reader.missing),
            len(reader.missing) + len(reader.utterances),
        )
    if not reader.utterances:
        raise SerError(f"{path} holds no utterance yet; run `ser extract` to its end")
    classes = _label_set(config)
    targets = make_targets(reader.utterances, config.labels, label_order(config.corpus), classes)
    for reason, count in targets.left_out.items():
        _log.warning("%d of %d utterances left out: %s", count, len(reader.utterances), reason)
    if targets.ignored_votes > _ROUNDING:
        share = 100 * targets.ignored_votes
        _log.warning("%.1f %% of the votes are for emotions of no class and do not count", share)
    utterances = [reader.utterances[i] for i in targets.kept]
    table = SplitTable(
        strata=_strata(utterances, targets),
        speakers=[u.speaker for u in utterances],
        sessions=[u.session for u in utterances],
        official=[u.folds for u in utterances],
    )
    folds = split(config.protocol, table, config.folds, config.seed)
    untested = len(utterances) - len(set().union(*(fold.test.tolist() for fold in folds)))
    if untested:
        _log.warning("%d of %d utterances stand in no test fold", untested, len(utterances))
    places = {utterance.id: i for i, utterance in enumerate(utterances)}
    chosen = choose_views(reader, config.views)
    views = [view for view in reader.views if view.view in chosen and view.id in places]
    if views:
        told = ", ".join(f"{name} ({n})" for name, n in Counter(v.view for v in views).items())
        _log.info("training also on views of training utterances: %s", told)
    lacking = Counter(view.view for view in reader.missing_views if view.view in chosen)
    for name, count in lacking.items():
        _log.warning(
            "%s lacks %d of the views %s; `ser extract --augment %s` to complete them",
            path,
            count,
            name,
            name,
        )
    return Prepared(
        reader=reader,
        utterances=utterances,
        targets=targets,
        folds=folds,
        views=views,
        view_of=np.array([places[view.id] for view in views], np.int64),
    )


def choose_views(reader: CacheReader, asked: Sequence[str]) -> list[str]:
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


def _label_set(config: RunConfig) -> Mapping[str, str] | None:
    """The classes of the label set that is asked for; None for the corpus's labels as they are."""
    if not config.labels.label_set:
        return None
    known = label_sets(config.corpus)
    if config.labels.label_set not in known:
        raise unknown_name("label set", config.labels.label_set, known)
    classes: Mapping[str, str] = known[config.labels.label_set]["classes"]
    return classes


def _strata(utterances: Sequence[Utterance], targets: Targets) -> list[str]:
    """What folds should hold in equal shares: the label, and the gender where it is known."""
    largest = targets.distributions.argmax(axis=1)
    return [f"{targets.labels[c]}|{u.gender}" for c, u in zip(largest, utterances, strict=True)]
