"""The leaderboard sorts runs and keeps beside each number what it must be read with."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest

from embedcache.errors import UsageError
from heads.analysis.leaderboard import LOWER_IS_BETTER, leaderboard, notes
from heads.metrics import METRICS


def result(name="run", value=0.5, *, metric="ua", interval=(0.4, 0.6)):
    values = {
        "mean": 0.5,
        "std_seeds": 0.01,
        "fold_mean": 0.5,
        "std_folds": 0.1,
        "ci95": [0.4, 0.6],
    }
    metrics = {name: copy.deepcopy(values) for name in METRICS}
    metrics[metric] |= {"mean": value, "ci95": interval}
    return {
        "run_id": name,
        "corpus": {
            "name": "ravdess",
            "synthetic": False,
            "missing": 0,
            "speakers": 24,
            "labels": ["joy", "sad"],
        },
        "cache": {"encoder": {"id": "logmel", "trained": None}},
        "head": {"name": "mlp", "parameters": 99},
        "protocol": {
            "name": "speaker",
            "folds": 5,
            "seeds": 3,
            "speaker_overlap": 0,
            "test_speakers": [[f"s{n}" for n in range(f, 24, 5)] for f in range(5)],
        },
        "metrics": metrics,
        "training": {"labels": "hard"},
        "timing": {"train_s": 1.5},
    }


@pytest.mark.parametrize("metric", METRICS)
def test_the_best_run_stands_first_and_runs_without_the_metric_last(metric):
    values = {"a": 0.3, "b": None, "c": 0.9, "d": 0.6}
    table = leaderboard([result(n, v, metric=metric) for n, v in values.items()], metric)
    best_first = ["a", "d", "c", "b"] if metric in LOWER_IS_BETTER else ["c", "d", "a", "b"]
    assert table["run"].tolist() == best_first


def test_divergences_and_errors_are_better_when_low():
    errors = {"rmse", "rmse_valence", "rmse_arousal", "rmse_dominance"}
    assert {"kl", "ece", "ece_scaled", "js", "brier"} | errors == LOWER_IS_BETTER


def test_equal_runs_stand_in_the_order_of_their_names():
    table = leaderboard([result(name) for name in "bca"], "ua")
    assert table["run"].tolist() == list("abc")


def test_every_metric_has_its_spread_and_interval():
    (row,) = leaderboard([result(value=0.7, interval=(0.6, 0.8))], "ua").to_dict("records")
    for metric in METRICS:
        assert row.keys() >= {
            metric,
            f"{metric}_std_seeds",
            f"{metric}_ci95_low",
            f"{metric}_ci95_high",
        }
    assert (row["ua"], row["ua_ci95_low"], row["ua_ci95_high"]) == (0.7, 0.6, 0.8)
    assert (row["wa"], row["wa_std_seeds"]) == (0.5, 0.01)
    facts = {"corpus": "ravdess", "encoder": "logmel", "head": "mlp", "protocol": "speaker"}
    facts |= {"folds": 5, "seeds": 3, "speakers": 24, "parameters": 99, "train_s": 1.5}
    assert {name: row[name] for name in facts} == facts


def test_a_missing_interval_is_missing():
    table = leaderboard([result(interval=None), result("other")], "ua")
    assert np.isnan(table.set_index("run").loc["run", "ua_ci95_low"])


def test_a_metric_that_no_run_has_can_be_sorted_by():
    table = leaderboard([result(n, None, metric="kendall_tau") for n in "ba"], "kendall_tau")
    assert table["run"].tolist() == ["a", "b"]


def test_no_run_is_an_empty_table():
    assert isinstance(leaderboard([], "ua"), pd.DataFrame)
    assert leaderboard([], "ua").empty


def test_an_unknown_metric_is_refused():
    with pytest.raises(UsageError, match="unknown metric 'uar': did you mean 'ua'"):
        leaderboard([result()], "uar")


@pytest.mark.parametrize(
    ("part", "change", "note"),
    [
        ("corpus", {"synthetic": True}, "synthetic corpus"),
        ("corpus", {"missing": 3}, "missing: 3 utterances"),
        ("cache", {"encoder": {"id": "random:x", "trained": False}}, "untrained encoder"),
        ("protocol", {"speaker_overlap": 4}, "speakers shared"),
        ("protocol", {"speaker_overlap": None}, "speakers unknown"),
    ],
)
def test_what_a_reader_must_know_is_noted(part, change, note):
    changed = result()
    assert notes(changed) == []
    changed[part] |= change
    assert notes(changed) == [note]
    assert leaderboard([changed], "ua")["notes"].tolist() == [note]


def test_all_notes_are_kept():
    changed = result()
    changed["corpus"] |= {"synthetic": True, "missing": 1}
    assert leaderboard([changed], "ua")["notes"][0] == "synthetic corpus, missing: 1 utterances"


def built(name, config=(), training=(), protocol="speaker"):
    """A run by how its head was built and trained."""
    found = result(name)
    found["head"]["config"] = dict(config)
    found["training"] |= dict(training)
    found["protocol"]["name"] = protocol
    return found


def settings(*runs):
    table = leaderboard(runs, "ua")
    return dict(zip(table["run"], table["settings"], strict=True))


def test_runs_that_look_alike_show_what_tells_them_apart_and_no_more():
    mean, max_ = ({"pooling": x, "hidden": [64, 8], "width": 3} for x in ("mean", "max"))
    assert settings(built("a", mean), built("b", max_)) == {"a": "pooling=mean", "b": "pooling=max"}
    fewer = settings(built("a", mean, {"lr": 0.1}), built("b", {"pooling": "mean", "width": 3}))
    assert fewer == {"a": "hidden=64-8, lr=0.1", "b": "hidden=-, lr=-"}


def test_what_another_column_tells_is_not_told_again():
    apart = [
        built("a", {"pooling": "mean"}),
        built("b", {"pooling": "max"}, protocol="random"),
        built("c", {"pooling": "max"}, {"labels": "soft"}),
        built("d", {"pooling": "max"}, {"standardise": "speaker"}),
    ]
    assert set(settings(*apart).values()) == {""}


def test_of_what_a_fold_chose_from_all_is_told():
    chosen = {"tried": [{"lr": "0.1"}, {"lr": "0.2"}], "lr": 0.1}
    found = settings(built("a", {}, {"tried": [], "lr": 0.1}), built("b", {}, chosen))
    assert found == {"a": "lr=0.1", "b": "lr=0.1|0.2"}
