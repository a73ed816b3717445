"""A run: one head on one cache under one protocol, all folds and seeds."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from embedcache.errors import SerError, UsageError
from embedcache.request import resolve_device
from heads.losses import find_loss
from heads.models import HeadModule, load_head
from heads.results import NewRun
from heads.train.candidates import Candidate, check_settings, make_candidates, settings_of
from heads.train.config import RunConfig
from heads.train.direct import fit_directly
from heads.train.fit import fit
from heads.train.inputs import Inputs
from heads.train.prepare import Prepared, prepare
from heads.train.provenance import Finished
from heads.train.record import record
from heads.train.select import choose
from heads.train.settings import TrainConfig

_MOST_SEEDS = 1000

_log = logging.getLogger(__name__)


def train_runs(config: RunConfig) -> Iterator[NewRun]:
    """Train each head; a run is given out as soon as it is finished.

    Raises:
        UsageError: A head, cache, layer, protocol or setting does not exist.
        SerError: The cache is damaged, a fold lacks a class, or every loss diverged.
    """
    config, modules = check_request(config)
    select = _select(config)
    settings = {name: settings_of(name, config.settings) for name in modules}
    device = resolve_device(config.device)
    data = prepare(config)
    layers = _layers(config.layer, data)
    inputs = Inputs(data, config.standardise, device)
    for name, module in modules.items():
        candidates = make_candidates(settings[name], module, layers, select)
        yield _train(config, data, name, module, candidates, inputs, device)


def check_request(config: RunConfig) -> tuple[RunConfig, dict[str, HeadModule]]:
    """See, before anything is read, that heads and their settings exist and go together.

    Returns:
        The configuration with its loss named, and the heads.

    Raises:
        UsageError: They do not.
    """
    if not config.heads:
        raise UsageError("--head is empty; see `ser heads`")
    if not 1 <= config.seeds <= _MOST_SEEDS:
        raise UsageError(f"--seeds {config.seeds}: give 1 to {_MOST_SEEDS}")
    if not 0 <= config.seed < 2**32:
        raise UsageError(f"--seed {config.seed}: give a number from 0 to {2**32 - 1}")
    modules = {name: load_head(name) for name in dict.fromkeys(config.heads)}
    check_settings(config.settings, modules)
    select = _select(config)
    _check_direct(config, [name for name, module in modules.items() if hasattr(module, "fit")])
    if config.target == "emotion":
        if config.loss == "auto":
            config = replace(config, loss="kl" if select == "loss" else "cross-entropy")
        find_loss(config.loss)
    for name, module in modules.items():
        settings = settings_of(name, config.settings)
        candidates = make_candidates(settings, module, [("last",)], select)
        _require_select(config, candidates[0].training.select)
        if config.target == "dimensions" and min(c.training.batch_size for c in candidates) < 2:
            raise UsageError("--set batch_size=1: concordance is of two utterances at least")
        gives = not hasattr(module, "fit") or hasattr(module, "fit_values")
        if config.target == "dimensions" and not gives:
            raise UsageError(f"--target dimensions: the head {name} gives no values; leave it out")
    return config, modules


def _check_direct(config: RunConfig, direct: Sequence[str]) -> None:
    """See that heads without epochs are asked for nothing that epochs are needed for.

    Raises:
        UsageError: They are.
    """
    names = ", ".join(direct)
    if direct and config.layer == "weighted":
        raise UsageError(
            f"--layer weighted is learned by gradients, and {names} has none; leave that head out, "
            "or give a layer, or best"
        )
    if direct and config.worst_group and config.target == "dimensions":
        raise UsageError(
            f"--worst-group {config.worst_group}: {names} chooses its C by the correlation of each "
            "dimension over all utterances; leave that head out, or the option"
        )
    if direct and (config.loss != "auto" or config.class_weights != "none"):
        if len(direct) == len(set(config.heads)):
            raise UsageError(f"{names} has a loss of its own; leave out --loss and --class-weights")
        _log.warning("%s has a loss of its own: --loss and --class-weights are for others", names)


def _select(config: RunConfig) -> str:
    """What models are chosen by on validation, where `select` leaves it open."""
    if config.target == "dimensions":
        return "ccc"
    return "loss" if config.labels.kind == "soft" else "ua"


def _require_select(config: RunConfig, select: str) -> None:
    """See that models have what they are to be chosen by.

    Raises:
        UsageError: They have not.
    """
    known = ("ccc", "loss") if config.target == "dimensions" else ("ua", "loss")
    if select not in known:
        raise UsageError(f"--set select={select}: give {' or '.join(known)}, or leave it out")


def _layers(asked: str, data: Prepared) -> list[tuple[str, ...]]:
    """The choices of layers that a head may see: one, each, or all at once."""
    stored = data.reader.meta.layers
    if asked == "best":
        return [(name,) for name in stored]
    if asked == "weighted":
        return [stored]
    data.reader.layer(asked)
    return [(asked,)]


def _train(
    config: RunConfig,
    data: Prepared,
    name: str,
    module: HeadModule,
    candidates: Sequence[Candidate],
    inputs: Inputs,
    device: str,
) -> NewRun:
    started = time.perf_counter()
    if hasattr(module, "fit"):  # nothing in it is drawn at random
        config = replace(config, seeds=1)
        members, load_s = fit_directly(config, data, module, candidates)
    else:
        members, load_s = fit(config, data, module, candidates, inputs, device)
    worst = "worst_" if config.worst_group else ""
    by = f"val_{worst}{candidates[0].training.select}"
    if hasattr(module, "fit"):
        by = "inner_ccc" if config.target == "dimensions" else f"inner_{worst}ua"
    chosen, choice = choose(members, candidates, by)
    if not chosen:
        raise SerError(
            f"{name}: in every fold the loss of one seed at least diverged before a model could be "
            "kept; lower the learning rate, as in "
            f"--set lr={min(candidates[0].training.lr, TrainConfig().lr) / 10:g}"
        )
    return record(
        Finished(
            config=config,
            data=data,
            head=name,
            candidates=candidates,
            members=chosen,
            choice=choice,
            timing={
                "load_s": round(load_s, 3),
                "train_s": round(time.perf_counter() - started - load_s, 3),
                "device": device,
                "threads": torch.get_num_threads(),
            },
        )
    )
