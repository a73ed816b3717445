"""What is written of a run is complete, and its numbers follow from its predictions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from scipy import stats
from sklearn import metrics as reference

from heads.experiment import run_heads
from heads.labels import LabelConfig
from heads.metrics import METRICS
from heads.results import Run
from heads.train.run import train_runs
from tests.material import REPOSITORY

# Section 6 of the design.
FILES = {
    "results.json",
    "predictions.csv",
    "utterances.jsonl",
    "history.csv",
    "model.safetensors",
    "model.json",
    "confusion_matrix.png",
    "training_history.png",
}
KEYS = {
    "": ("run_id", "created", "versions", "timing", "confusion_matrix", "per_class"),
    "corpus": ("name", "utterances", "speakers", "labels"),
    "cache": ("path", "key", "encoder"),
    "head": ("name", "config", "parameters"),
    "protocol": ("name", "folds", "seeds", "speaker_disjoint", "speaker_overlap"),
    "metrics": METRICS,
}
LABELS = ("angry", "happy", "sad")
both_kinds = pytest.mark.parametrize("which", ["hard_run", "soft_run"])


def classified(table):
    """Truth and prediction of the utterances whose votes have one winner."""
    truth = table[[f"true_{label}" for label in LABELS]].to_numpy()
    guess = table[[f"pred_{label}" for label in LABELS]].to_numpy()
    clear = np.sort(truth)[:, -1] - np.sort(truth)[:, -2] > 1e-5
    return truth[clear].argmax(axis=1), guess[clear].argmax(axis=1), guess[clear]


def hard_scores(table):
    truth, guess, chances = classified(table)
    return {
        "ua": reference.balanced_accuracy_score(truth, guess),
        "wa": reference.accuracy_score(truth, guess),
        "top2": reference.top_k_accuracy_score(truth, chances, k=2, labels=range(3)),
        "macro_f1": reference.f1_score(truth, guess, average="macro"),
        "micro_f1": reference.f1_score(truth, guess, average="micro"),
        "weighted_f1": reference.f1_score(truth, guess, average="weighted"),
    }


def soft_scores(table):
    truth = table[[f"true_{label}" for label in LABELS]].to_numpy()
    guess = table[[f"pred_{label}" for label in LABELS]].to_numpy()
    taus = [stats.kendalltau(p, t).statistic for p, t in zip(guess, truth, strict=True)]
    return {
        "kl": stats.entropy(truth, guess, axis=1).mean(),
        "kendall_tau": np.nanmean(taus),
    }


@pytest.fixture
def folder(request, which):
    return request.getfixturevalue(which)


@both_kinds
def test_every_file_and_key_of_the_design_is_there(folder, read_results):
    results = read_results(folder)
    assert {path.name for path in folder.iterdir()} == FILES
    for part, names in KEYS.items():
        assert (results[part] if part else results).keys() >= set(names), part
    assert results["cache"]["encoder"].keys() >= {"id", "trained", "layers"}
    for values in results["metrics"].values():
        assert values.keys() >= {"mean", "std_seeds", "fold_mean", "std_folds", "ci95"}
        if values["mean"] is None:
            assert values["reason"]
    for values in results["per_class"].values():
        assert values.keys() == {"precision", "recall", "f1", "support"}
    assert results["run_id"] == folder.name


@both_kinds
def test_pooled_metrics_follow_from_the_predictions(folder, read_results):
    metrics = read_results(folder)["metrics"]
    soft = folder.name.startswith("manifest-planted-logmel-mlp")
    by_seed = [
        hard_scores(table) | (soft_scores(table) if soft else {})
        for _, table in pd.read_csv(folder / "predictions.csv").groupby("seed")
    ]
    for name in by_seed[0]:
        values = [found[name] for found in by_seed]
        assert metrics[name]["mean"] == pytest.approx(np.mean(values), abs=1e-5), name
        assert metrics[name]["std_seeds"] == pytest.approx(np.std(values, ddof=1), abs=1e-5), name


@both_kinds
def test_fold_means_follow_from_the_predictions(folder, read_results):
    metrics = read_results(folder)["metrics"]
    rows = [
        {"fold": fold} | hard_scores(table)
        for (fold, _), table in pd.read_csv(folder / "predictions.csv").groupby(["fold", "seed"])
    ]
    by_fold = pd.DataFrame(rows).groupby("fold").mean()
    for name in by_fold:
        assert metrics[name]["fold_mean"] == pytest.approx(by_fold[name].mean(), abs=1e-5)
        assert metrics[name]["std_folds"] == pytest.approx(by_fold[name].std(), abs=1e-5)


@both_kinds
def test_the_interval_is_the_jackknife_of_the_predictions(folder, read_results):
    table = pd.read_csv(folder / "predictions.csv")
    speakers = sorted(set(table["speaker"]))

    def mean(rows):
        return np.mean([hard_scores(seed)["ua"] for _, seed in rows.groupby("seed")])

    left_out = [mean(table[table["speaker"] != speaker]) for speaker in speakers]
    count = len(speakers)
    error = math.sqrt((count - 1) / count * np.sum((left_out - np.mean(left_out)) ** 2))
    truth = table[[name for name in table if name.startswith("true_")]].to_numpy()
    scored = (truth == truth.max(axis=1, keepdims=True)).sum(axis=1) == 1
    clips = table[scored].groupby("speaker").size()
    half = stats.t.ppf(0.975, clips.sum() ** 2 / (clips**2).sum() - 1) * error
    expected = mean(table) - half, min(1.0, mean(table) + half)
    assert read_results(folder)["metrics"]["ua"]["ci95"] == pytest.approx(expected, abs=1e-5)


@both_kinds
def test_the_confusion_matrix_follows_from_the_predictions(folder, read_results):
    tables = pd.read_csv(folder / "predictions.csv").groupby("seed")
    expected = np.mean(
        [reference.confusion_matrix(*classified(table)[:2]) for _, table in tables], axis=0
    )
    np.testing.assert_allclose(read_results(folder)["confusion_matrix"], expected, atol=1e-4)


def test_tau_is_null_with_a_reason_on_hard_labels_and_there_on_soft(
    hard_run, soft_run, read_results
):
    hard, soft = (read_results(run)["metrics"]["kendall_tau"] for run in (hard_run, soft_run))
    assert hard["mean"] is None
    assert "labels are hard" in hard["reason"]
    assert -1 <= soft["mean"] <= 1
    assert "reason" not in soft


def test_true_columns_hold_the_votes(soft_run, planted):
    by_id = {utterance.id: utterance for utterance in planted[0]}
    table = pd.read_csv(soft_run / "predictions.csv")
    for row in table.to_dict("records"):
        votes = by_id[row["id"]].votes
        for label in LABELS:
            share = votes.get(label, 0) / sum(votes.values())
            assert row[f"true_{label}"] == pytest.approx(share, abs=1e-6)


@both_kinds
def test_predictions_are_distributions(folder):
    table = pd.read_csv(folder / "predictions.csv")
    for kind in ("true", "pred"):
        values = table[[f"{kind}_{label}" for label in LABELS]].to_numpy()
        np.testing.assert_allclose(values.sum(axis=1), 1.0, atol=1e-6)
    assert not table.isna().any(axis=None)


def test_the_run_keeps_its_own_utterances(hard_run, planted):
    assert list(Run(hard_run).utterances.values()) == planted[0]


def test_the_corpus_is_counted(soft_run, planted, read_results):
    corpus = read_results(soft_run)["corpus"]
    assert (corpus["utterances"], corpus["speakers"]) == (96, 8)
    firsts = [sorted(u.votes.values())[::-1] for u in planted[0]]
    ties = sum(len(votes) > 1 and votes[0] == votes[1] for votes in firsts)
    assert corpus["majority_ties"] == ties > 0


def test_sharing_of_speakers_is_said(hard_run, soft_run, read_results):
    speaker, random = (read_results(run)["protocol"] for run in (hard_run, soft_run))
    assert (speaker["speaker_disjoint"], speaker["speaker_overlap"]) == (True, 0)
    assert (random["speaker_disjoint"], random["speaker_overlap"]) == (False, 8)


def test_weights_of_every_fold_and_seed_are_there(hard_run):
    names = load_file(hard_run / "model.safetensors")
    models = {tuple(name.split(".")[:2]) for name in names}
    assert models == {(f"fold{f}", f"seed{s}") for f in range(4) for s in range(2)}
    assert len(names) % len(models) == 0


def test_the_history_names_fold_and_seed(hard_run):
    history = pd.read_csv(hard_run / "history.csv")
    columns = ["fold", "seed", "epoch", "train_loss", "val_loss", "val_ua"]
    assert list(history.columns) == columns
    for _, one in history.groupby(["fold", "seed"]):
        assert one["epoch"].tolist() == list(range(1, len(one) + 1))
    assert len(history[["fold", "seed"]].drop_duplicates()) == 8


# The run's name


@pytest.fixture(scope="module")
def run_id(run_config):
    quick = {"epochs": "1"}

    def make(**changes):
        settings = quick | changes.pop("settings", {})
        config = run_config(**{"seeds": 1} | changes, settings=settings)
        return next(train_runs(config)).results["run_id"]

    return make


def test_the_name_says_what_was_done(run_id):
    parts = run_id(protocol="session")
    assert parts.startswith("manifest-planted-logmel-mlp-session-")
    assert len(parts.rpartition("-")[2]) == 8


def test_the_same_experiment_has_the_same_name(run_id, planted, tmp_path, write_cache):
    """Wherever its cache lies."""
    assert run_id() == run_id() == run_id(cache=write_cache(tmp_path / "moved", *planted))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"seeds": 2},
        {"folds": 3},
        {"layer": "0"},
        {"class_weights": "balanced"},
        {"loss": "kl"},
        {"labels": LabelConfig(rename={"sad": "gloomy"})},
        {"labels": LabelConfig(drop=frozenset({"sad"}))},
        {"labels": LabelConfig(kind="soft")},
        {"settings": {"hidden": "9"}},
        {"settings": {"lr": "0.01"}},
    ],
    ids=str,
)
def test_another_experiment_has_another_name(run_id, changes):
    assert run_id(**changes) != run_id()


def test_other_labels_of_the_same_audio_have_another_name(run_id, planted, tmp_path, write_cache):
    utterances, frames = planted
    other = [replace(utterances[0], label="sad"), *utterances[1:]]
    assert run_id(cache=write_cache(tmp_path / "cache", other, frames)) != run_id()


def test_recordings_on_both_sides_are_counted_and_noted(tmp_path, read_results):
    """Every clip is there twice under two names: at random, some stand on both sides."""
    import shutil

    from embedcache.extract import extract
    from embedcache.request import ExtractConfig
    from heads.experiment import run_heads
    from heads.train.config import RunConfig
    from tests.heads.boards import board_text
    from tests.material import write_clips

    root = write_clips(tmp_path / "clips", 12)
    for path in list(root.rglob("*.wav")):
        shutil.copy(path, path.with_name(f"again-{path.name}"))
    extract(
        ExtractConfig(corpus="folder", root=root, encoder="logmel", cache_dir=tmp_path / "cache")
    )
    for protocol, expected in (("random", True), ("speaker", False)):
        config = RunConfig(heads=["mlp"], corpus="folder", cache_dir=tmp_path / "cache", folds=3,
                           seeds=1, protocol=protocol, settings={"epochs": "1"})  # fmt: skip
        (folder,) = run_heads(config, tmp_path / "results")
        overlap = read_results(folder)["protocol"]["content_overlap"]
        assert (overlap > 0) is expected
        assert ("recordings shared" in board_text([folder], form="md")) == expected


def documented_recipe():
    """The code block of docs/runs.md that builds a model again."""
    text = (REPOSITORY / "docs/runs.md").read_text(encoding="utf-8")
    part = text[text.index("## Build a model again") :]
    return part[part.index("```python\n") + 10 : part.index("```\n\nThese")]


@pytest.mark.parametrize(
    ("head", "changes"),
    [
        ("mlp", {}),
        ("mha", {"target": "dimensions"}),
        ("attention", {"layer": "weighted"}),
        ("linear", {"labels": LabelConfig(kind="soft")}),
    ],
)
def test_the_documented_recipe_gives_the_written_predictions(
    run_config, planted_cache, tmp_path, head, changes
):
    config = replace(run_config(heads=(head,), **changes), settings={"epochs": "2"})
    run = next(run_heads(config, tmp_path))
    names = {"run": run, "cache": planted_cache}
    exec(documented_recipe(), names)
    table = Run(run).predictions.query("fold == 0 and seed == 0")
    found = dict(zip((u.id for u in names["reader"].utterances), names["predictions"], strict=True))
    labels = [name for name in table if name.startswith("pred_")]
    for _, row in table.iterrows():
        np.testing.assert_allclose(found[row["id"]], row[labels].to_numpy(float), atol=2e-6)
