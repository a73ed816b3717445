"""What heads are asked for: the configuration of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from embedcache.errors import UsageError, unknown_name
from heads.labels import LabelConfig
from heads.train.weighting import least_agreement

STANDARDISE = ("train", "speaker")
TARGETS = ("emotion", "dimensions")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """What to train, on which cache, under which protocol.

    Attributes:
        heads: Names of head plug-ins.
        corpus: `PLUGIN` or `PLUGIN:NAME`, or several of them joined with commas.
        cache: The cache's folder, or one of each corpus; None to find them by corpus and encoder.
        encoder: Encoder id, where a corpus has several caches.
        cache_dir: Folder of all caches.
        layer: Name of a stored layer; `last`; `best`, which each fold's validation part likes best;
            or `weighted`, a learned weighted sum of all.
        protocol: Of `heads.splits`; where test corpora are named it is `cross-corpus`.
        folds: Number of folds, where the protocol leaves it open; `speakers` leaves one speaker
            out in each; None for five, or as many as there are speakers.
        test_share: Share of the utterances that test, in one split in place of folds.
        val_share: Share of the utterances that validate in it.
        test_corpus: Corpora that only test, joined with commas; empty for none.
        seeds: How many times every fold is trained.
        seed: The first seed; it also makes the folds.
        target: What is learned: `emotion`, or `dimensions` (valence, arousal, dominance).
        labels: How emotions become targets.
        views: Augmented views to train with: `all` that the cache holds, `none`, or their names.
        standardise: By whose frames: `train`, the model's own training part, or `speaker`, each
            speaker's own and then that.
        loss: Of `heads.losses`; `auto` is cross-entropy for hard labels, KL for soft ones. For
            dimensions it is concordance.
        class_weights: `none`, `balanced` or `effective`.
        balance: A column, or several joined with `+`, whose groups weigh the same in training
            within each emotion; empty for none.
        ambiguous: What annotators do not agree on: `keep`; `weight`, by their agreement; or
            `drop=SHARE`, what has less than that does not train. It validates and is tested.
        worst_group: A column by whose worst group on validation epochs, settings and layers are
            chosen; empty for all utterances alike.
        settings: `--set` keys and values, for training or for a head.
        allow_leakage: Whether an encoder may have been trained on what is tested.
        device: `auto`, `cpu` or `cuda`.
    """

    heads: Sequence[str]
    corpus: str
    cache: Path | Sequence[Path] | None = None
    encoder: str | None = None
    cache_dir: Path = Path("cache")
    layer: str = "last"
    protocol: str = "speaker"
    folds: int | str | None = None
    test_share: float | None = None
    val_share: float | None = None
    test_corpus: str = ""
    seeds: int = 5
    seed: int = 0
    target: str = "emotion"
    labels: LabelConfig = field(default_factory=LabelConfig)
    views: Sequence[str] = ("all",)
    standardise: str = "train"
    loss: str = "auto"
    class_weights: str = "none"
    balance: str = ""
    ambiguous: str = "keep"
    worst_group: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    allow_leakage: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.standardise not in STANDARDISE:
            raise unknown_name("--standardise", self.standardise, STANDARDISE)
        if self.target not in TARGETS:
            raise unknown_name("--target", self.target, TARGETS)
        least_agreement(self.ambiguous)
        if self.target == "dimensions":
            self._require_nothing_of_classes()
        if self.test_corpora and self.protocol not in ("speaker", "cross-corpus"):
            raise UsageError(
                f"--test-corpus {self.test_corpus} says who is tested, and so does --protocol "
                f"{self.protocol}; leave one of them out"
            )

    def _require_nothing_of_classes(self) -> None:
        """See that nothing is asked for that dimensions do not have.

        Raises:
            UsageError: Something is.
        """
        if self.labels != LabelConfig():
            raise UsageError(
                "--target dimensions learns values; leave out what is about emotions: --labels, "
                "--label-set, --votes, --min-agreement, --ties, --smoothing, --map and --drop"
            )
        if self.loss != "auto" or self.class_weights != "none":
            raise UsageError(
                "--target dimensions learns by concordance: leave out --loss and --class-weights"
            )
        if self.balance:
            raise UsageError(
                f"--balance {self.balance} evens groups out within each emotion, and --target "
                "dimensions has none: its concordance is of a batch as a whole; leave it out"
            )
        if self.ambiguous != "keep":
            raise UsageError(
                f"--ambiguous {self.ambiguous} is by votes for emotions, and --target dimensions "
                "learns values; leave it out"
            )
        if len(self.corpora) + len(self.test_corpora) > 1:
            raise UsageError(
                "--target dimensions takes one corpus: each has its own scale, such as 1 to 5 or "
                "1 to 7, and concordance is of values on one scale"
            )

    @property
    def corpora(self) -> list[str]:
        """The corpora that train, and test where no others do."""
        return _names(self.corpus)

    @property
    def test_corpora(self) -> list[str]:
        """The corpora that only test."""
        return _names(self.test_corpus)

    @property
    def caches(self) -> list[Path]:
        """The caches that are named."""
        if self.cache is None:
            return []
        return [self.cache] if isinstance(self.cache, Path) else list(self.cache)

    @property
    def protocol_name(self) -> str:
        """The protocol: test corpora share no speaker with what trains, and are more than that."""
        return "cross-corpus" if self.test_corpora else self.protocol


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]
