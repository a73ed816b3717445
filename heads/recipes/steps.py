"""A recipe and the places of a command line to the configurations of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedcache.audio.augmentation import parse_views
from embedcache.audio.conditioning import check_conditioning
from embedcache.corpora import load_corpus
from embedcache.encoders import FALLBACK, find_family, require_plain
from embedcache.errors import UsageError, unknown_name
from embedcache.request import ExtractConfig, resolve_device
from heads.analysis.leaderboard import SHOWN
from heads.losses import CLASS_WEIGHTS, find_loss
from heads.models import load_head
from heads.recipes.building import build
from heads.recipes.grammar import Biasing, Comparing
from heads.recipes.reading import Recipe, Section, at
from heads.report.compare import require_sort
from heads.report.tables import require_format
from heads.shares import make_shares
from heads.splits import DEFAULT_FOLDS, PROTOCOLS, parse_folds
from heads.tensorboard import require_tensorboard
from heads.train.config import RunConfig
from heads.train.corpora import find_label_set
from heads.train.run import check_request

if TYPE_CHECKING:
    from heads.finetune.settings import FinetuneConfig

ANY_LAYER = ("last", "best", "weighted")  # what a head may ask for, whatever is stored
_RATE_HZ = 16_000  # of every encoder that there is


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where and on what an experiment runs.

    Attributes:
        root: Where the corpus lies.
        cache_dir: Folder of all caches.
        results_dir: Folder of all runs.
        checkpoint_dir: Folder of all fine-tuned encoders.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
    """

    root: Path
    cache_dir: Path = Path("cache")
    results_dir: Path = Path("results")
    checkpoint_dir: Path = Path("checkpoints")
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Training:
    """One `[[train-head]]`.

    Attributes:
        section: As the recipe has it.
        config: What is trained, but for the cache.
        tensorboard: Whether its runs get curves for TensorBoard.
        tuned: Position of the fine-tuning whose checkpoints make its frames; None for the
            recipe's encoder as it is.
    """

    section: Section
    config: RunConfig
    tensorboard: bool
    tuned: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps of an experiment.

    Attributes:
        recipe: What they were made of.
        places: Where they work.
        extract: What is encoded.
        finetune: What is fine-tuned before.
        train: What is trained.
        compare: What the leaderboard is sorted by.
        bias: Whose groups are looked at.
    """

    recipe: Recipe
    places: Places
    extract: ExtractConfig
    finetune: Sequence[FinetuneConfig]
    train: Sequence[Training]
    compare: Comparing
    bias: Sequence[Biasing]


def make_steps(recipe: Recipe, places: Places) -> Steps:
    """Configurations of all steps, and all that can be refused without looking at the corpus.

    Raises:
        UsageError: A value cannot be, values do not go together, or an extra is missing.
    """
    resolve_device(places.device)
    with at(str(recipe.file)):
        _check_top(recipe)
        with at(recipe.extract.told):
            extract = _extraction(recipe, places)
        finetune = [_finetuning(section, recipe, extract, places) for section in recipe.finetune]
        train = [_training(one, recipe, extract, finetune, places) for one in recipe.train_head]
        used = {training.tuned for training in train}
        for position, section in enumerate(recipe.finetune):
            if position not in used:
                raise UsageError(
                    f"{section.told}: no [[train-head]] has its folds (protocol, folds, test, val, "
                    "seed and labels), so that nothing would be trained on its checkpoints"
                )
        with at(recipe.compare.told):
            comparing = _comparing(recipe.compare, train)
        biasing = [_biasing(section, train) for section in recipe.bias]
    return Steps(
        recipe=recipe,
        places=places,
        extract=extract,
        finetune=finetune,
        train=train,
        compare=comparing,
        bias=biasing,
    )


def _check_top(recipe: Recipe) -> None:
    if "," in recipe.corpus:
        raise UsageError(
            f"corpus = '{recipe.corpus}': a recipe is of one corpus; `ser train-head` takes several"
        )
    load_corpus(recipe.corpus)
    find_family(recipe.encoder)


def _extraction(recipe: Recipe, places: Places) -> ExtractConfig:
    given = {
        "corpus": recipe.corpus,
        "encoder": recipe.encoder,
        "root": places.root,
        "cache_dir": places.cache_dir,
        "device": places.device,
    }
    config = build(ExtractConfig, recipe.extract, given)
    check_conditioning(config.conditioning, _RATE_HZ)
    if find_family(recipe.encoder).name != FALLBACK:
        require_plain(recipe.encoder, config.layers, config.dtype)
    parts = [part.strip() for part in config.layers.split(",")]
    if config.layers.strip() != "all" and not all(p == "last" or p.isdecimal() for p in parts):
        raise UsageError(f"layers = '{config.layers}': give last, all, or numbers as in \"0,6,12\"")
    return config


def _finetuning(
    section: Section, recipe: Recipe, extract: ExtractConfig, places: Places
) -> FinetuneConfig:
    from heads.finetune.settings import FinetuneConfig, parse_settings

    given = {
        "corpus": recipe.corpus,
        "encoder": recipe.encoder,
        "root": places.root,
        "checkpoint_dir": places.checkpoint_dir,
        "cache_dir": places.cache_dir,
        "device": places.device,
        "conditioning": extract.conditioning,
        "limit": extract.limit,
    }
    with at(section.told):
        config = build(FinetuneConfig, section, given)
        (head,) = config.task.heads
        module = load_head(head)
        if hasattr(module, "fit") or find_family(recipe.encoder).name != FALLBACK:
            raise UsageError(
                f"head {head} and encoder {recipe.encoder} cannot be tuned together: give a head "
                "that is trained by gradients, and a Hugging Face model or random:wav2vec2-tiny"
            )
        parse_settings(config.task.settings, head, module)
        if config.task.loss != "auto":
            find_loss(config.task.loss)
        _check_protocol(config.task)
        if config.tensorboard:
            require_tensorboard()
        if not config.all_folds:
            raise UsageError(
                "all-folds lacks: without a checkpoint for each fold, heads would be tested on "
                "speakers that the encoder was tuned on; write all-folds = true"
            )
    return config


def _training(
    section: Section,
    recipe: Recipe,
    extract: ExtractConfig,
    finetune: Sequence[FinetuneConfig],
    places: Places,
) -> Training:
    given = {
        "corpus": recipe.corpus,
        "cache_dir": places.cache_dir,
        "device": places.device,
    }
    with at(section.told):
        config = build(RunConfig, section, given)
        _check_run(config)
        _check_frames(config, extract)
        tensorboard = bool(section.values.get("tensorboard", False))
        if tensorboard:
            require_tensorboard()
        return Training(section, config, tensorboard, _tuned(config, finetune))


def _check_run(config: RunConfig) -> None:
    """Refuse what training would, as far as that does not depend on the corpus's clips."""
    check_request(config)
    _check_protocol(config)


def _check_protocol(config: RunConfig) -> None:
    if config.protocol not in PROTOCOLS:
        raise unknown_name("protocol", config.protocol, PROTOCOLS)
    if config.protocol == "cross-corpus":
        raise UsageError("protocol = 'cross-corpus' is of several corpora, and a recipe is of one")
    if config.class_weights not in CLASS_WEIGHTS:
        raise unknown_name("class-weights", config.class_weights, CLASS_WEIGHTS)
    make_shares(config.test_share, config.val_share)
    parse_folds(None if config.folds is None else str(config.folds))
    if config.labels.label_set:
        find_label_set(config.corpora, config.labels.label_set)


def _check_frames(config: RunConfig, extract: ExtractConfig) -> None:
    """Refuse layers and views that the extraction does not make."""
    stored = [part.strip() for part in extract.layers.split(",")]
    # What the last one's number is, and how many there are, only the encoder tells.
    deep = find_family(extract.encoder).name == FALLBACK
    open_end = deep and ("all" in stored or "last" in stored)
    if config.layer not in (*ANY_LAYER, *stored) and not open_end:
        raise UsageError(
            f"layer = '{config.layer}': [extract] stores layers {extract.layers}; give one of "
            "them, best or weighted"
        )
    if list(config.views) not in (["all"], ["none"]):
        for view in parse_views(config.views, "views"):
            if view not in extract.views:
                raise UsageError(
                    f"views: [extract] makes no {view}, but {', '.join(extract.views) or 'none'}; "
                    "add it to augment"
                )


def _tuned(config: RunConfig, finetune: Sequence[FinetuneConfig]) -> int | None:
    """Which fine-tuning has a checkpoint for each fold of a training."""
    if not finetune:
        return None
    for position, tuning in enumerate(finetune):
        if _folds_of(tuning.task) == _folds_of(config):
            return position
    raise UsageError(
        f"no [[finetune]] makes its folds ({_told(config)}), so that it would be tested with an "
        "encoder that was tuned on its test speakers; give one the same protocol, folds, test, "
        "val, seed and labels"
    )


def _folds_of(config: RunConfig) -> tuple[object, ...]:
    """What the folds of a run depend on, of one corpus."""
    folds = DEFAULT_FOLDS if config.folds is None else config.folds
    shares = config.test_share, config.val_share
    labels = replace(config.labels, smoothing=0.0)
    return config.protocol, folds, shares, config.seed, config.target, labels


def _told(config: RunConfig) -> str:
    split = f", test {config.test_share:g}" if config.test_share else ""
    return f"{config.protocol}{split}, seed {config.seed}"


def _comparing(section: Section, train: Sequence[Training]) -> Comparing:
    config = build(Comparing, section, {})
    require_format(config.format)
    known = {name for one in train for name in SHOWN[one.config.target]}
    if config.metric is not None and config.metric not in known:
        raise unknown_name("metric", config.metric, known)
    require_sort(config.sort)
    return config


def _biasing(section: Section, train: Sequence[Training]) -> Biasing:
    with at(section.told):
        config = build(Biasing, section, {})
        emotional = [one.config for one in train if one.config.target == "emotion"]
        if not emotional:
            raise UsageError("no [[train-head]] learns emotions, and bias is of those")
        heads = [head for one in emotional for head in one.heads]
        if config.run not in ("best", "all", *heads):
            raise unknown_name("run", config.run, ("best", "all", *heads))
        if not config.by:
            raise UsageError("by is empty; give columns of the corpus, such as gender")
        return config
