"""Small planted runs, as they enter a leaderboard."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from heads.analysis.planted import Design, plant, planted_run
from heads.analysis.ranking import Contender
from heads.train.evaluate import evaluate
from heads.train.out_of_fold import OutOfFold


def as_contender(name, tested, *, protocol="speaker", overlap=0, head="mlp", corpus="made", **more):
    """A run of these predictions."""
    speakers = tested.speakers.tolist()
    found = OutOfFold(
        predictions=tested.predictions,
        targets=tested.targets,
        folds=tested.folds,
        speakers=[name or None for name in speakers],
        temperatures=np.ones(tested.predictions.shape[:2]),
    )
    results = {
        "run_id": name,
        "created": "2026-11-01",
        "corpus": {"name": corpus, "labels": list(tested.labels), "missing": 0},
        "cache": {"encoder": {"id": "lld", "trained": None}, "key": "k", "layer": "last"},
        "head": {"name": head, "parameters": 10, "config": {}},
        "protocol": {
            "name": protocol,
            "folds": len(set(tested.folds.tolist())),
            "seeds": len(tested.predictions),
            "speaker_overlap": overlap,
            "test_speakers": [sorted(set(speakers))],
        },
        "training": {"labels": "soft", "lr": 0.1, "seed": 0},
        "timing": {"train_s": 1.5},
        **evaluate(found, tested.labels, soft=True),
    }
    for path, value in more.items():
        part, key = path.split("__")
        results[part][key] = value
    return Contender(results=copy.deepcopy(results), tested=tested, size_bytes=1000)


def family(difference, speakers=(5, 5), runs=3, seed=0, clips=6):
    """Runs on the same clips; the first is ahead of all others by a difference in UA."""
    design = Design(
        speakers=speakers, clips=(clips,), classes=3, runs=runs, seeds=2, difference=difference,
        run_spread=0.02, spread=(0.05, 0.05),
    )  # fmt: skip
    outcomes = plant(design, 1, seed)
    return [planted_run(outcomes, run=n) for n in range(runs)]


def without_speakers(tested):
    """The same predictions of nobody in particular."""
    return replace(tested, speakers=np.full_like(tested.speakers, ""))
