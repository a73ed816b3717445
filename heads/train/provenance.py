"""What `results.json` tells of a run beside its numbers: on what and how it was trained."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from embedcache.corpora import is_synthetic
from embedcache.store.cache import slug
from heads.labels import ClassTargets, LabelConfig, majority
from heads.splits import shared_speakers
from heads.train.candidates import Candidate
from heads.train.config import RunConfig
from heads.train.corpora import agreement, counts_by_corpus, find_label_set, folder_name
from heads.train.member import Member
from heads.train.prepare import Prepared
from heads.train.select import Choice
from heads.train.weighting import told_weights


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


def provenance(run: Finished, tested: npt.NDArray[np.int64]) -> dict[str, Any]:
    """The parts of `results.json` that do not depend on predictions.

    Args:
        run: The run.
        tested: Positions of the utterances that were tested.
    """
    data, meta = run.data, run.data.reader.meta
    results: dict[str, Any] = {
        "run_id": "",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            n: version(n) for n in ("ser-embedcache", "torch", "numpy", "scipy", "scikit-learn")
        },
        "corpus": _corpus(run, tested),
        "cache": {
            "path": str(data.reader.path),
            "key": meta.key,
            "encoder": {
                "id": meta.encoder_id,
                "trained": meta.trained,
                "layers": list(meta.layers),
                "seen": data.seen,
            },
            "layer": run.config.layer,
            "conditioning": meta.conditioning_steps,
        },
        "head": {
            "name": run.head,
            "config": asdict(run.candidates[0].head),
            "parameters": max(member.parameters for member in run.members),
        },
        "training": _training(run),
        "protocol": _protocol(run),
        "choice": run.choice.told(run.candidates),
        "failed_folds": run.choice.failed,
    }
    weights = data.weights(validating=not any(member.history for member in run.members))
    if weights is not None:
        results["weights"] = told_weights(weights[:, : len(data.utterances)], data.role("train"))
    results["run_id"] = _run_id(results, data, folder_name(run.config))
    return results


def _corpus(run: Finished, tested: npt.NDArray[np.int64]) -> dict[str, Any]:
    data, targets = run.data, run.data.targets
    several = len(run.config.corpora) + len(run.config.test_corpora) > 1
    told: dict[str, Any] = {
        "name": data.reader.meta.corpus,
        "synthetic": any(map(is_synthetic, [*run.config.corpora, *run.config.test_corpora])),
        "utterances": len(data.utterances),
        "tested": len(tested),
        "left_out": targets.left_out,
        "missing": len(data.reader.missing),
        "speakers": len({u.speaker for u in data.utterances if u.speaker}),
        "labels": list(targets.names),
    }
    if not isinstance(targets, ClassTargets):
        return told
    votes = run.config.labels.votes
    told |= {
        "majority_ties": int((majority(targets.values[tested]) < 0).sum()),
        "ignored_votes": targets.ignored_votes,
        # Annotators of several corpora are in its parts.
        "agreement": None if several else agreement(data.reader.utterances, votes),
    }
    parts = counts_by_corpus(data, tested.tolist(), votes)
    return told | ({"parts": parts} if parts else {})


def _training(run: Finished) -> dict[str, Any]:
    config = run.config
    epochs = any(member.history for member in run.members)
    told: dict[str, Any] = {"target": config.target}
    told |= asdict(run.candidates[0].training) if epochs else {}
    told |= {
        "tried": [c.told for c in run.candidates] if len(run.candidates) > 1 else [],
        "standardise": config.standardise,
    }
    if config.target == "dimensions":
        told |= {"labels": "dimensions"} | ({"loss": "ccc"} if epochs else {})
    else:
        told |= _labels(config.labels, [*config.corpora, *config.test_corpora])
        told |= {"loss": config.loss, "class_weights": config.class_weights} if epochs else {}
    told |= _mitigation(config)
    return told | {
        "views": dict(Counter(view.view for view in run.data.views)) if epochs else {},
        "seed": config.seed,
    }


def _mitigation(config: RunConfig) -> dict[str, str]:
    """Weights and choices for groups and ambiguous clips; a run without them is what it was."""
    told = {
        "balance": config.balance,
        "ambiguous": "" if config.ambiguous == "keep" else config.ambiguous,
        "worst_group": config.worst_group,
    }
    return {name: asked for name, asked in told.items() if asked}


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
        for u, row in zip(data.utterances, data.targets.values, strict=True)
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
