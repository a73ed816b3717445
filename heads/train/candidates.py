"""What is tried: every setting that is asked for, on every layer that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from embedcache.errors import UsageError, unknown_name
from heads.models import configure
from heads.train.settings import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from heads.models import HeadModule

# Settings in which the models of one stack may differ; any other one makes a stack of its own.
_OWN_TRAINING = ("lr", "weight_decay", "clip", "patience")
_OWN_HEAD = ("dropout",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to train a head.

    Attributes:
        told: What tells it from the others, settings and the layer; empty where there are none.
        layers: Names of the layers that it sees.
        head: The head's own configuration.
        training: How it is trained.
    """

    told: dict[str, str]
    layers: tuple[str, ...]
    head: Any
    training: TrainConfig

    def structure(self) -> tuple[object, ...]:
        """What all models of a stack have in common."""
        defaults = TrainConfig()
        training = replace(self.training, **{k: getattr(defaults, k) for k in _OWN_TRAINING})
        own = {k: 0.0 for k in _OWN_HEAD if hasattr(self.head, k)}
        return self.layers, replace(self.head, **own), training


def check_settings(settings: Mapping[str, str], modules: Mapping[str, HeadModule]) -> None:
    """See that every key of `--set` is one of training, or of one head at least.

    `HEAD.KEY` is for one head alone.

    Raises:
        UsageError: A key is unknown.
    """
    of_training = {f.name for f in fields(TrainConfig)}
    of_head = {name: {f.name for f in fields(m.Config)} for name, m in modules.items()}
    known = of_training.union(*of_head.values())
    for key in settings:
        head, dot, own = key.rpartition(".")
        if dot and head not in modules:
            raise UsageError(f"--set {key}=...: {head} is not among --head {','.join(modules)}")
        there = of_training | of_head[head] if dot else known
        if own not in there:
            raise unknown_name(f"key in --set for {head}" if dot else "key in --set", own, there)


def settings_of(name: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings that one head is given: those for all, and over them `HEAD.KEY`, its own.

    >>> settings_of("mha", {"mha.width": "64", "width": "32", "mlp.dropout": "0", "lr": "0.1"})
    {'width': '64', 'lr': '0.1'}
    """
    shared = {key: text for key, text in settings.items() if "." not in key}
    own = {k: text for key, text in settings.items() for head, _, k in [key.rpartition(".")]
           if head == name}  # fmt: skip
    return shared | own


def make_candidates(
    settings: Mapping[str, str], module: HeadModule, layers: Sequence[tuple[str, ...]], select: str
) -> list[Candidate]:
    """Every combination of settings and layers.

    Args:
        settings: `--set` keys, and values with commas between them; keys of other heads are passed
            over.
        module: The head.
        layers: What it may see: the layers that it sees at once, for each choice.
        select: What `select=auto` stands for.

    Raises:
        UsageError: A value is not one that its key can have.
    """
    of_training = {f.name for f in fields(TrainConfig)}
    of_head = {f.name for f in fields(module.Config)}
    ours = {k: text.split(",") for k, text in settings.items() if k in of_training | of_head}
    several = [k for k, values in ours.items() if len(values) > 1]
    if "select" in several:
        raise UsageError(
            f"--set select={settings['select']}: what models are chosen by cannot itself be "
            "chosen; give one"
        )
    stated = {k: str(value) for k, value in getattr(module, "TRAINING", {}).items()}
    found = []
    for layer in layers:
        for values in product(*ours.values()):
            chosen = dict(zip(ours, values, strict=True))
            told = {k: chosen[k] for k in several}
            if len(layers) > 1:
                told["layer"] = "+".join(layer)
            given = {k: v for k, v in chosen.items() if k in of_training}
            training = configure(TrainConfig, stated | given)
            if training.select == "auto":
                training = replace(training, select=select)
            head = configure(module.Config, {k: v for k, v in chosen.items() if k in of_head})
            found.append(Candidate(told=told, layers=layer, head=head, training=training))
    return found


def stacks(candidates: Sequence[Candidate]) -> Iterator[list[int]]:
    """Positions of the candidates that can be trained in one stack, stack after stack."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for position, candidate in enumerate(candidates):
        groups.setdefault(candidate.structure(), []).append(position)
    yield from groups.values()
