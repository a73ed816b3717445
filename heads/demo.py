"""`ser demo`: the whole way, offline, on a small generated corpus."""

from __future__ import annotations

import logging
from pathlib import Path

from embedcache.extract import extract
from embedcache.request import ExtractConfig
from heads.experiment import run_heads
from heads.report.compare import Comparison, compare
from heads.report.contenders import Chosen
from heads.report.explain import explain
from heads.results import Run, find_run
from heads.train.config import RunConfig

CORPUS = "synthetic"
ENCODERS = ("lld", "random:wav2vec2-tiny")
HEADS = ("svm", "mlp", "attention", "mha")
SEEDS = 3

_log = logging.getLogger(__name__)


def demo(folder: Path) -> str:
    """Generate, extract, train, compare, look for bias; files stay in `folder`.

    Returns:
        The leaderboard, the bias table, and what to type next.

    Raises:
        SerError: The folder cannot be written.
    """
    root, cache_dir, results_dir = folder / "corpus", folder / "cache", folder / "results"
    runs = []
    for encoder in ENCODERS:
        _log.info("encoding the corpus once, with %s", encoder)
        config = ExtractConfig(corpus=CORPUS, root=root, encoder=encoder, cache_dir=cache_dir)
        extraction = extract(config)
        _log.info("training %s on the cached frames", ", ".join(HEADS))
        training = RunConfig(heads=HEADS, corpus=CORPUS, cache=extraction.folder, seeds=SEEDS)
        runs += list(run_heads(training, results_dir))
    chosen = Chosen(names=[str(run) for run in runs], results_dir=results_dir)
    board = compare(Comparison(chosen=chosen))
    best = _best(runs)
    _, table = explain(best, ("gender",), top=3)
    return "\n\n".join((_WARNING, board, f"Bias of {table}", _next_steps(folder, best)))


_WARNING = (
    "NOTE: the corpus is synthetic (generated voices, planted effects) and the wav2vec2 encoder\n"
    "is untrained (random weights). These numbers show that everything works, and nothing else."
)


def _best(runs: list[Path]) -> Run:
    found = [find_run(str(path), path.parent) for path in runs]
    return max(found, key=lambda run: run.results["metrics"]["ua"]["mean"])


def _next_steps(folder: Path, best: Run) -> str:
    return f"""Files
  {folder / "corpus"}   wav files, annotations.csv, planted.json (the effects to be found)
  {folder / "cache"}    frames, encoded once
  {best.path}
      results.json, predictions.csv, confusion_matrix.png, training_history.png, bias.html

Next, with your own clips (one folder per emotion, such as clips/angry/*.wav) and a trained encoder:
  ser extract --corpus folder:mine --root clips --encoder facebook/wav2vec2-base
  ser train-head --corpus folder:mine --head mlp,attention,mha --protocol random
  ser compare --corpus folder:mine
  ser report
Speakers in sub-folders (clips/angry/anna/*.wav) or in a manifest allow speaker-disjoint folds, the
default protocol, and `ser bias`. Without a network leave --encoder out. `ser --help` lists all."""
