"""What is written of a run: its results, tables and weights."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from embedcache.corpora import is_synthetic
from embedcache.store.cache import slug
from heads.labels import LabelConfig, majority
from heads.results import NewRun
from heads.splits import shared_speakers
from heads.train.candidates import Candidate
from heads.train.corpora import agreement, counts_by_corpus, find_label_set, folder_name
from heads.train.evaluate import OutOfFold, evaluate
from heads.train.fit import Member
from heads.train.prepare import Prepared, RunConfig
from heads.train.select import Choice
from heads.train.stack import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A trained head and how it came about.

    Attributes:
        config: The command's configuration, with nothing left to `auto`.
        data: What it was trained on.
        head: Name of the head.
        candidates: What was tried.
        members: The models that were chosen: one for each fold, but for those that failed, and
            seed.
        choice: Which candidate each fold took.
        timing: Wall-clock seconds by stage, and where they were spent.
    """

    config: RunConfig
    data: Prepared
    head: str
    candidates: Sequence[Candidate]
    members: Sequence[Member]
    choice: Choice
    timing: Mapping[str, float | int | str]


def record(run: Finished) -> NewRun:
    """Everything that goes into the run's folder, but the pictures."""
    seeds = list(dict.fromkeys(member.seed for member in run.members))
    out_of_fold, tested = _out_of_fold(run, seeds)
    utterances = [run.data.utterances[i] for i in tested]
    results = _results(run, out_of_fold)
    parts = counts_by_corpus(run.data, tested.tolist(), run.config.labels.votes)
    results["corpus"] |= {"parts": parts} if parts else {}
    results |= evaluate(out_of_fold, run.data.targets.labels, run.config.labels.kind == "soft")
    results["timing"] = dict(run.timing)
    return NewRun(
        results=results,
        predictions=_prediction_table(out_of_fold, [u.id for u in utterances], run, seeds),
        history=_history_table(run.members),
        utterances=utterances,
        weights=_named_weights(run.members),
        model=_model(run),
        pictures={},
    )


def _out_of_fold(run: Finished, seeds: Sequence[int]) -> tuple[OutOfFold, npt.NDArray[np.int64]]:
    """Each utterance's prediction by the model that did not see it, and which are tested at all."""
    targets = run.data.targets.distributions
    folds = np.full(len(targets), -1)
    probabilities = np.zeros((len(seeds), *targets.shape))
    temperatures = np.ones((len(seeds), len(targets)))
    for member in run.members:
        test = run.data.folds[member.fold].test
        folds[test] = member.fold
        probabilities[seeds.index(member.seed), test] = member.probabilities[test]
        temperatures[seeds.index(member.seed), test] = member.temperature
    tested = np.flatnonzero(folds >= 0)
    predictions = OutOfFold(
        probabilities=probabilities[:, tested],
        targets=targets[tested],
        folds=folds[tested],
        speakers=[run.data.utterances[i].speaker for i in tested],
        temperatures=temperatures[:, tested],
    )
    return predictions, tested


def _results(run: Finished, tested: OutOfFold) -> dict[str, Any]:
    """The parts of `results.json` that do not depend on predictions."""
    data, meta = run.data, run.data.reader.meta
    corpora = [*run.config.corpora, *run.config.test_corpora]
    results: dict[str, Any] = {
        "run_id": "",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {n: version(n) for n in ("ser-embedcache", "torch", "numpy", "scikit-learn")},
        "corpus": {
            "name": meta.corpus,
            "synthetic": any(map(is_synthetic, corpora)),
            "utterances": len(data.utterances),
            "tested": len(tested.targets),
            "left_out": data.targets.left_out,
            "missing": len(data.reader.missing),
            "speakers": len({u.speaker for u in data.utterances if u.speaker}),
            "labels": list(data.targets.labels),
            "majority_ties": int((majority(tested.targets) < 0).sum()),
            "ignored_votes": data.targets.ignored_votes,
            "agreement": agreement(data.reader.utterances, run.config.labels.votes)
            if len(corpora) == 1
            else None,  # annotators of several corpora are in its parts
        },
        "cache": {
            "path": str(data.reader.path),
            "key": meta.key,
            "encoder": {
                "id": meta.encoder_id,
                "trained": meta.trained,
                "layers": list(meta.layers),
            },
            "layer": run.config.layer,
            "conditioning": meta.conditioning_steps,
        },
        "head": {
            "name": run.head,
            "config": asdict(run.candidates[0].head),
            "parameters": max(member.parameters for member in run.members),
        },
        "training": {
            **(asdict(run.candidates[0].training) if _by_gradients(run) else {}),
            "tried": [c.told for c in run.candidates] if len(run.candidates) > 1 else [],
            "standardise": run.config.standardise,
            **(
                {"loss": run.config.loss, "class_weights": run.config.class_weights}
                if _by_gradients(run)
                else {}
            ),
            **_labels(run.config.labels, corpora),
            "views": dict(Counter(view.view for view in data.views)),
            "seed": run.config.seed,
        },
        "protocol": _protocol(run),
        "choice": run.choice.told(run.candidates),
        "failed_folds": run.choice.failed,
    }
    results["run_id"] = _run_id(results, data, folder_name(run.config))
    return results


def _by_gradients(run: Finished) -> bool:
    return any(member.history for member in run.members)


def _labels(config: LabelConfig, corpora: Sequence[str]) -> dict[str, Any]:
    """How emotions became targets; `labels` is the kind."""
    told = {**asdict(config), "drop": sorted(config.drop), "rename": dict(config.rename)}
    if config.label_set:
        told["label_set_version"] = find_label_set(corpora, config.label_set)["version"]
    return {"labels": told.pop("kind"), **told}


def _protocol(run: Finished) -> dict[str, Any]:
    speakers = [u.speaker for u in run.data.utterances]
    shared = [shared_speakers(fold, speakers) for fold in run.data.folds]
    known = any(speakers)
    return {
        **run.data.protocol,
        "folds": len(run.data.folds),
        "seeds": run.config.seeds,
        "speaker_disjoint": not any(shared) if known else None,
        "speaker_overlap": len(set().union(*shared)) if known else None,
        "test_speakers": [_names(fold.test, speakers) for fold in run.data.folds],
        "content_overlap": _shared_contents(run.data),
        "val_speakers": [_names(fold.val, speakers) for fold in run.data.folds],
    }


def _shared_contents(data: Prepared) -> int:
    """Number of recordings that some fold both tests and trains or validates with."""
    contents = np.array([data.reader.content_id(u.id) for u in data.utterances])
    shared: set[str] = set()
    for fold in data.folds:
        seen = set(contents[fold.train]) | set(contents[fold.val])
        shared |= seen & set(contents[fold.test])
    return len(shared)


def _names(indices: npt.NDArray[np.int64], speakers: Sequence[str | None]) -> list[str]:
    return sorted({speaker for i in indices if (speaker := speakers[i])})


def _run_id(results: dict[str, Any], data: Prepared, corpora: str) -> str:
    """A name that the same experiment gets again: its parts, and a hash of all it depends on."""
    parts = ("corpus", "cache", "head", "training", "protocol", "versions")
    experiment: dict[str, Any] = {part: results[part] for part in parts}
    experiment["cache"] = {k: v for k, v in experiment["cache"].items() if k != "path"}
    experiment["contents"] = [
        (u.id, data.reader.content_id(u.id), row.tolist())
        for u, row in zip(data.utterances, data.targets.distributions, strict=True)
    ]
    experiment["views"] = [(view.id, view.view) for view in data.views]
    digest = hashlib.sha256(json.dumps(experiment, sort_keys=True).encode()).hexdigest()[:8]
    names = (
        corpora,
        slug(results["cache"]["encoder"]["id"]),
        results["head"]["name"],
        results["protocol"]["name"],
        digest,
    )
    return "-".join(names)


def _prediction_table(
    found: OutOfFold, ids: Sequence[str], run: Finished, seeds: Sequence[int]
) -> pd.DataFrame:
    labels = run.data.targets.labels
    tables = []
    for seed, probabilities in zip(seeds, found.probabilities, strict=True):
        table = pd.DataFrame({"id": ids, "speaker": [s or "" for s in found.speakers]})
        table["fold"], table["seed"] = found.folds, seed
        table[[f"true_{label}" for label in labels]] = found.targets
        table[[f"pred_{label}" for label in labels]] = probabilities
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _history_table(members: Sequence[Member]) -> pd.DataFrame:
    rows = [
        {"fold": member.fold, "seed": member.seed} | asdict(epoch)
        for member in members
        for epoch in member.history
    ]
    columns = ["fold", "seed", *(f.name for f in fields(Epoch) if f.name != "model")]
    return pd.DataFrame(rows, columns=columns)


def _named_weights(members: Sequence[Member]) -> dict[str, torch.Tensor]:
    return {
        f"fold{member.fold}.seed{member.seed}.{name}": tensor[0].contiguous().clone()
        for member in members
        for name, tensor in member.state.items()
    }


def _model(run: Finished) -> dict[str, Any]:
    """What it takes to build the models again and to feed them."""
    meta = run.data.reader.meta
    return {
        "head": run.head,
        "config": asdict(run.candidates[0].head),
        "chosen": {
            f"fold{fold}": {
                "config": asdict(run.candidates[c].head),
                "layers": list(run.candidates[c].layers),
            }
            for fold, c in run.choice.of_fold.items()
        },
        "temperatures": {f"fold{m.fold}.seed{m.seed}": m.temperature for m in run.members},
        "dim": run.members[0].dim,
        "labels": list(run.data.targets.labels),
        "layer": run.config.layer,
        "encoder": meta.encoder_id,
        "cache_key": meta.key,
        "cache_parts": meta.parts.to_json(),
    }
