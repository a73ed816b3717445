"""What is written of a run: its results, tables and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import pandas as pd
import torch

from heads.results import NewRun
from heads.train.evaluate import evaluate
from heads.train.evaluate_dimensions import evaluate_dimensions
from heads.train.member import Member
from heads.train.out_of_fold import OutOfFold, pool_folds
from heads.train.provenance import Finished, provenance
from heads.train.stack import Epoch


def record(run: Finished) -> NewRun:
    """Everything that goes into the run's folder, but the pictures."""
    seeds = list(dict.fromkeys(member.seed for member in run.members))
    out_of_fold, tested = pool_folds(run.data, run.members, seeds)
    utterances = [run.data.utterances[i] for i in tested]
    results = provenance(run, tested)
    names = run.data.targets.names
    if run.config.target == "dimensions":
        results |= evaluate_dimensions(out_of_fold, names)
    else:
        results |= evaluate(out_of_fold, names, run.config.labels.kind == "soft")
    results["timing"] = dict(run.timing)
    return NewRun(
        results=results,
        predictions=_prediction_table(out_of_fold, [u.id for u in utterances], run, seeds),
        history=_history_table(run),
        utterances=utterances,
        weights=_named_weights(run.members),
        model=_model(run),
        pictures={},
    )


def _prediction_table(
    found: OutOfFold, ids: Sequence[str], run: Finished, seeds: Sequence[int]
) -> pd.DataFrame:
    labels = run.data.targets.names
    tables = []
    for seed, predicted in zip(seeds, found.predictions, strict=True):
        table = pd.DataFrame({"id": ids, "speaker": [s or "" for s in found.speakers]})
        table["fold"], table["seed"] = found.folds, seed
        table[[f"true_{label}" for label in labels]] = found.targets
        table[[f"pred_{label}" for label in labels]] = predicted
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _history_table(run: Finished) -> pd.DataFrame:
    score = "ccc" if run.config.target == "dimensions" else "ua"
    names = {"val_score": f"val_{score}", "worst_loss": "val_worst_loss"}
    names["worst_score"] = f"val_worst_{score}"
    unasked = {"model"} | (set() if run.config.worst_group else {"worst_loss", "worst_score"})
    rows = [
        {"fold": member.fold, "seed": member.seed} | epoch.told()
        for member in run.members
        for epoch in member.history
    ]
    columns = ["fold", "seed", *(f.name for f in fields(Epoch) if f.name not in unasked)]
    return pd.DataFrame(rows, columns=columns).rename(columns=names)


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
        "target": run.config.target,
        "standardise": run.config.standardise,
        "config": asdict(run.candidates[0].head),
        "chosen": {
            f"fold{fold}": {
                "config": asdict(run.candidates[c].head),
                "layers": list(run.candidates[c].layers),
            }
            for fold, c in run.choice.of_fold.items()
        },
        **_of_outputs(run),
        "dim": run.members[0].dim,
        "labels": list(run.data.targets.names),
        "layer": run.config.layer,
        "encoder": meta.encoder_id,
        "cache_key": meta.key,
        "cache_parts": meta.parts.to_json(),
    }


def _of_outputs(run: Finished) -> dict[str, Any]:
    """What is made of each model's outputs."""
    names = [f"fold{member.fold}.seed{member.seed}" for member in run.members]
    if run.config.target != "dimensions":
        return {"temperatures": dict(zip(names, (m.temperature for m in run.members), strict=True))}
    scales = {}
    for name, member in zip(names, run.members, strict=True):
        factor, offset = member.output_scale or (None, None)
        scales[name] = {"factor": factor, "offset": offset}
    return {"output_scales": scales}
