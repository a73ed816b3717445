"""Heads without epochs: one model for each fold and candidate, from one vector per utterance."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from embedcache.errors import UsageError
from heads.models import Examples, HeadModule
from heads.train.candidates import Candidate
from heads.train.config import RunConfig
from heads.train.inputs import find_reduction, find_vectors
from heads.train.member import Member
from heads.train.prepare import Prepared
from heads.train.worst_group import enough


def fit_directly(
    config: RunConfig, data: Prepared, module: HeadModule, candidates: Sequence[Candidate]
) -> tuple[list[Member], float]:
    """Fit all candidates in all folds.

    Returns:
        Their models, and the seconds that went into reading frames.

    Raises:
        UsageError: See `find_vectors`; or no group has enough training utterances to be chosen by.
        SerError: The cache is damaged.
    """
    fit_one = module.fit_values if config.target == "dimensions" else module.fit
    weights = data.weights(validating=True)
    told_once = _Once(logging.getLogger("heads.splits"))  # all folds have the same to say
    members: list[Member] = []
    load_s = 0.0
    latest: tuple[object, ...] | None = None
    vectors = np.zeros((0, 0), np.float32)
    asked = [(s, p, c) for s in data.sources for p, c in enumerate(candidates)]
    for source, position, candidate in asked:
        key = (id(source), candidate.layers, find_reduction(module, candidate, data))
        if key != latest:  # settings vary within a layer, so that memory need not hold all
            started = time.perf_counter()
            vectors = np.zeros((0, 0), np.float32)  # before others take their place in memory
            vectors = find_vectors(module, candidate, data, config.standardise, source)
            load_s += time.perf_counter() - started
            latest = key
        bar = tqdm(source.folds, "training", unit="fold", delay=2, disable=None, leave=False)
        for number in bar:
            fold = data.folds[number]
            examples = Examples(
                vectors=vectors,
                targets=data.targets.values,
                speakers=[one.speaker for one in data.utterances],
                train=fold.train,
                val=fold.val,
                labels=data.targets.names,
                weights=None if weights is None else weights[number, : len(vectors)],
                groups=_groups(config, data, number),
            )
            with told_once:
                found = fit_one(candidate.head, examples)
            members.append(
                Member(
                    fold=number,
                    seed=config.seed,
                    candidate=position,
                    score=np.array([found.score, 0.0]),
                    state={name: tensor[None] for name, tensor in found.state.items()},
                    history=[],
                    predictions=found.predictions,
                    parameters=sum(tensor.numel() for tensor in found.state.values()),
                    dim=vectors.shape[1],
                )
            )
    return members, load_s


def _groups(config: RunConfig, data: Prepared, number: int) -> npt.NDArray[np.int64] | None:
    """Number of each utterance's group, where inner folds of the training part can tell of it."""
    if data.groups is None:
        return None
    codes = data.groups.codes
    own = enough(codes, data.folds[number].train)
    if not own.size:
        raise UsageError(
            f"--worst-group {config.worst_group}: in fold {number} no group has enough training "
            "utterances for inner folds to choose by; give a column with larger groups, or leave "
            "it out"
        )
    return np.where(np.isin(codes, own), codes, -1)


class _Once:
    """While it is open, and whenever again, a logger says each thing once."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger, self._told = logger, set[str]()

    def __enter__(self) -> None:
        self._logger.addFilter(self._is_new)

    def __exit__(self, *error: object) -> None:
        self._logger.removeFilter(self._is_new)

    def _is_new(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        new = text not in self._told
        self._told.add(text)
        return new
