"""What a corpus lets an experiment do: its labels, folds and columns, before it is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedcache.corpora import label_order, read_corpus
from embedcache.errors import SerError, UsageError
from embedcache.request import load_requested
from embedcache.seen import seen_by_checkpoint
from heads.dimensions import DimensionTargets, make_dimension_targets
from heads.group_columns import columns, parts_of, require_columns
from heads.labels import ClassTargets, make_targets
from heads.models import load_head
from heads.recipes.reading import at
from heads.recipes.steps import ANY_LAYER
from heads.train.candidates import make_candidates, settings_of
from heads.train.corpora import find_label_set
from heads.train.folds import make_folds, require_examples
from heads.train.leakage import find_leak
from heads.train.prepare import make_mitigation

if TYPE_CHECKING:
    from embedcache.utterance import Utterance
    from heads.recipes.steps import Steps
    from heads.splits import Fold
    from heads.train.config import RunConfig


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one `[[train-head]]` will train on.

    Attributes:
        utterances: Number of those with a target.
        classes: Number of classes or dimensions.
        folds: Number of folds.
        heard: Number of utterances that train or validate in the largest fold.
    """

    utterances: int
    classes: int
    folds: int
    heard: int


def look(steps: Steps, generate: bool) -> list[Outlook]:
    """See that the corpus has what each training and bias report needs.

    Args:
        steps: Of the experiment.
        generate: Whether a corpus that can be generated is written to a root that is not there.

    Raises:
        UsageError: It has not.
        SerError: The corpus cannot be read, or a fold lacks a class.
    """
    config = steps.extract
    utterances = read_corpus(config.corpus, config.root, generate)[: config.limit or None]
    file = steps.recipe.file
    found = []
    for training in steps.train:
        with at(f"{file}: {training.section.told}"):
            found.append(_look(training.config, utterances, steps.extract.encoder))
    for section, biasing in zip(steps.recipe.bias, steps.bias, strict=True):
        with at(f"{file}: {section.told}"):
            _require_columns(biasing.by, utterances)
    for section, tuning in zip(steps.recipe.finetune, steps.finetune, strict=True):
        from heads.finetune.plan import check

        with at(f"{file}: {section.told}"):
            check(tuning, utterances)
    with at(str(file)):
        _require_layers(steps)
    return found


def count_models(config: RunConfig, head: str, folds: int, layers: int) -> int:
    """How many models a head is trained as: folds, seeds, and all settings and layers to try."""
    module = load_head(head)
    seen = [(str(n),) for n in range(layers)] if config.layer == "best" else [("last",)]
    candidates = make_candidates(settings_of(head, config.settings), module, seen, "ua")
    return folds * len(candidates) * (1 if hasattr(module, "fit") else config.seeds)


def _look(config: RunConfig, utterances: Sequence[Utterance], encoder: str) -> Outlook:
    corpus = config.corpus
    targets: ClassTargets | DimensionTargets
    if config.target == "dimensions":
        targets = make_dimension_targets(utterances)
    else:
        name = config.labels.label_set
        classes = find_label_set([corpus], name)["classes"] if name else None
        targets = make_targets(utterances, config.labels, label_order(corpus), classes)
    kept = [utterances[i] for i in targets.kept]
    if config.standardise == "speaker" and not all(one.speaker for one in kept):
        raise UsageError("standardise = 'speaker', and not all utterances name a speaker")
    folds, _ = make_folds(config, utterances, kept, [corpus] * len(kept), targets)
    require_examples(targets, folds)
    make_mitigation(config, kept, targets, folds)
    if not config.allow_leakage:
        _require_unheard(encoder, kept, corpus, folds)
    most = max(len(fold.train) + len(fold.val) for fold in folds)
    return Outlook(len(kept), len(targets.names), len(folds), most)


def _require_unheard(
    encoder: str, utterances: Sequence[Utterance], corpus: str, folds: Sequence[Fold]
) -> None:
    """See that no fold tests speakers or corpora that the encoder is known to have heard.

    Recordings are known only once they are hashed: the guard of training looks at them.
    """
    seen = seen_by_checkpoint(encoder)
    corpora = [corpus] * len(utterances)
    for number, fold in enumerate(folds):
        leak = find_leak(seen, utterances, [""] * len(utterances), corpora, fold)
        if leak:
            raise SerError(
                f"fold {number} tests {leak.told}, which {encoder} was trained on: the score would "
                "be of memory, not of recognition; give an encoder that was not, or "
                "allow-leakage = true, which marks the runs as contaminated"
            )


def _require_layers(steps: Steps) -> None:
    """The encoder has the layers of which that cannot be told without it."""
    stored = [part.strip() for part in steps.extract.layers.split(",")]
    asked = [t for t in steps.train if t.config.layer not in (*ANY_LAYER, *stored)]
    if not (asked or steps.finetune):  # else extraction comes first, and says it itself
        return
    spec = load_requested(steps.extract).spec
    for training in asked:
        if training.config.layer not in spec.layers:
            raise UsageError(
                f"{training.section.told}: layer = '{training.config.layer}': [extract] stores "
                f"layers {', '.join(spec.layers)} of {spec.id}; give one of them, last, best or "
                "weighted"
            )


def _require_columns(by: Sequence[str], utterances: Sequence[Utterance]) -> None:
    """The corpus has values in each column, and names all speakers."""
    there = columns(utterances)
    for column in (part for name in by for part in parts_of(name, there)):
        if column not in there:
            raise UsageError(
                f"by: the corpus has no column {column}; there are: {', '.join(there)}"
            )
    require_columns(by, there, "the corpus's utterances")
    unknown = sum(not one.speaker for one in utterances)
    if unknown:
        raise UsageError(
            f"{unknown} of {len(utterances)} utterances name no speaker, and every interval is "
            "over speakers"
        )
