"""Leaderboards, bias and the page: how long the commands take on runs as large as IEMOCAP's.

    python -m benchmarks.analysis [--runs 50] [--dir SCRATCH]

Runs are planted tables of predictions (heads/analysis/planted.py) of 5,531 clips, ten speakers,
four emotions and five seeds, written as `ser train-head` writes them; no model has been trained.
Commands are timed from outside, start-up included, the median of three. Beside them: the bootstrap
over speakers against a loop over replicates that scores each with scikit-learn, on the same draws.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score
from torch import zeros

from benchmarks.machine import machine
from embedcache.utterance import Utterance
from heads.analysis.planted import Design, plant, planted_run, prediction_table
from heads.analysis.tested import Tested
from heads.bootstrap import percentile_intervals
from heads.results import NewRun, write_run
from heads.train.evaluate import evaluate
from heads.train.out_of_fold import OutOfFold

CLIPS, REPLICATES, LOOPED, SHOWN = 5531, 2000, 20, 20
DESIGN = Design(speakers=(5, 5), clips=(139,), classes=4, seeds=5, runs=2, spread=(0.05, 0.05))
LABELS = ("angry", "happy", "neutral", "sad")
COMPARE_S, BIAS_S, REPORT_S = 3.0, 5.0, 20.0


def main() -> None:
    """Write runs, time the commands, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--dir", type=Path)
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(dir=asked.dir) as scratch:
        results = Path(scratch) / "results"
        names = [write(results, n) for n in range(asked.runs)]
        time_commands(results, names, Path(scratch))
    time_bootstrap(read_run(0))


def read_run(number: int) -> Tested:
    """One planted run of 5,531 clips."""
    found = planted_run(plant(DESIGN, 1, seed=number // 2), run=number % 2)
    order = np.random.default_rng(0).permutation(len(found.ids))[:CLIPS]
    return found.rows(np.sort(order))


def write(results: Path, number: int) -> str:
    """Write a run; gives its name."""
    run = read_run(number)
    renamed = prediction_table(run)
    renamed.columns = [
        f"{kind}_{LABELS[run.labels.index(rest)]}" if rest in run.labels else column
        for column in renamed.columns
        for kind, _, rest in [column.partition("_")]
    ]
    name = f"planted-{number:02}"
    write_run(
        results,
        NewRun(
            results=record(run, name),
            predictions=renamed,
            history=pd.DataFrame(columns=["fold", "seed", "epoch", "train_loss", "val_loss"]),
            utterances=[
                Utterance(
                    id=str(clip),
                    path=Path(f"{clip}.wav"),
                    speaker=str(speaker),
                    gender="female" if speaker < "s005" else "male",
                )
                for clip, speaker in zip(run.ids, run.speakers, strict=True)
            ],
            weights={"fold0.seed0.weight": zeros(10)},
            model={},
            pictures={},
        ),
    )
    return name


def record(run: Tested, name: str) -> dict[str, object]:
    """What `results.json` holds of such a run."""
    speakers = run.speakers.tolist()
    found = OutOfFold(
        predictions=run.predictions,
        targets=run.targets,
        folds=run.folds,
        speakers=speakers,
        temperatures=np.ones(run.predictions.shape[:2]),
    )
    return {
        "run_id": name,
        "created": "",
        "versions": {},
        "corpus": {
            "name": "planted",
            "synthetic": True,
            "utterances": len(speakers),
            "tested": len(speakers),
            "missing": 0,
            "speakers": len(set(speakers)),
            "labels": list(LABELS),
        },
        "cache": {
            "path": "nowhere",
            "key": "",
            "encoder": {"id": "none", "trained": None, "layers": []},
            "layer": "last",
        },
        "head": {"name": f"head-{name}", "config": {}, "parameters": 10},
        "protocol": {
            "name": "speaker",
            "folds": 5,
            "seeds": len(run.predictions),
            "speaker_disjoint": True,
            "speaker_overlap": 0,
            "test_speakers": [sorted(set(speakers))],
        },
        "training": {"target": "emotion", "labels": "hard", "label_set": "", "votes": "votes"},
        "timing": {"train_s": 0.0},
        **evaluate(found, LABELS, soft=False),
    }


def time_commands(results: Path, names: Sequence[str], scratch: Path) -> None:
    """Each command's wall-clock time beside its target."""
    commands = {
        f"ser compare, {len(names)} runs": (["compare"], COMPARE_S),
        f"ser bias, {REPLICATES} bootstraps": (["bias", names[0]], BIAS_S),
        f"ser report, {len(names[:SHOWN])} runs": (
            ["report", *names[:SHOWN], "--out", str(scratch / "r.html")],
            REPORT_S,
        ),
    }
    print(f"\n{CLIPS} clips, {DESIGN.seeds} seeds; wall clock with start-up, median of three")
    for told, (arguments, target) in commands.items():
        line = [sys.executable, "-m", "cli", *arguments, "--results-dir", str(results)]
        seconds = median(
            timed(lambda line=line: subprocess.run(line, check=True, capture_output=True))
            for _ in range(3)
        )
        print(f"{told:<36}{seconds:6.2f} s   target {target:.0f} s")


def time_bootstrap(run: Tested) -> None:
    """Percentile intervals of UA, and a loop with scikit-learn on the same draws."""
    first = replace(run, predictions=run.predictions[:1])
    tallies = first.by_speaker
    found: dict[str, tuple[float, float] | None] = {}

    def ours() -> None:
        found.update(percentile_intervals(tallies, first.scores, REPLICATES))

    count = len(first.speaker_names)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), REPLICATES)
    truth, guess = first.targets.argmax(1), first.predictions[0].argmax(1)
    looped: list[float] = []

    def theirs() -> None:
        for times in drawn[:LOOPED]:
            rows = np.repeat(np.arange(len(truth)), times[first.speaker_codes])
            looped.append(balanced_accuracy_score(truth[rows], guess[rows]))

    slow, fast = timed(theirs), timed(ours)
    replicated = first.scores(drawn[:LOOPED].astype(float) @ tallies[0])["ua"]
    assert np.allclose(replicated, looped)  # the same work
    ratio = slow / LOOPED * REPLICATES / fast
    print(
        f"\nbootstrap over speakers, {REPLICATES} replicates, all metrics of one seed: "
        f"{1000 * fast:.0f} ms;\na loop with scikit-learn's balanced accuracy, on the same draws, "
        f"UA alone: {ratio:.0f} times as long ({LOOPED} of its replicates timed)"
    )


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
