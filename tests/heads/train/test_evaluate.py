"""Out-of-fold predictions become the numbers of a run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from heads.metrics import METRICS
from heads.soft_metrics import SOFT_METRICS
from heads.train.evaluate import evaluate
from heads.train.out_of_fold import OutOfFold

LABELS = ("angry", "happy", "sad")
FOLDS = np.repeat([0, 1, 2], [10, 20, 30])  # unequal, so that pooling and averaging differ
ENTRIES = {"mean", "std_seeds", "fold_mean", "std_folds", "ci95"}


def predictions(seeds=3, **changes):
    rng = np.random.default_rng(0)
    parts = {
        "predictions": rng.dirichlet(np.ones(3), (seeds, 60)),
        "targets": np.eye(3)[rng.integers(0, 3, 60)],
        "folds": FOLDS,
        "speakers": [f"s{n % 7}" for n in range(60)],
    }
    parts |= changes
    return OutOfFold(**{"temperatures": np.ones(parts["predictions"].shape[:2])} | parts)


def accuracy(found, seed, rows):
    truth = found.targets[rows].argmax(axis=1)
    return reference.accuracy_score(truth, found.predictions[seed, rows].argmax(axis=1))


def evaluate_hard(found):
    return evaluate(found, LABELS, soft=False)


def test_folds_are_pooled_for_each_seed():
    found = predictions()
    by_seed = [accuracy(found, seed, FOLDS >= 0) for seed in range(3)]
    wa = evaluate_hard(found)["metrics"]["wa"]
    assert wa["mean"] == pytest.approx(np.mean(by_seed))
    assert wa["std_seeds"] == pytest.approx(np.std(by_seed, ddof=1))


def test_means_over_folds_stand_beside_them():
    found = predictions()
    by_fold = [
        np.mean([accuracy(found, seed, fold == FOLDS) for seed in range(3)]) for fold in range(3)
    ]
    wa = evaluate_hard(found)["metrics"]["wa"]
    assert wa["fold_mean"] == pytest.approx(np.mean(by_fold))
    assert wa["std_folds"] == pytest.approx(np.std(by_fold, ddof=1))
    assert wa["fold_mean"] != pytest.approx(wa["mean"])


def test_the_interval_stands_around_the_mean():
    for name, values in evaluate_hard(predictions())["metrics"].items():
        if values["mean"] is not None:
            low, high = values["ci95"]
            assert low < values["mean"] < high, name


def test_scores_per_class_are_means_over_seeds():
    found = predictions()
    truth = found.targets.argmax(axis=1)
    by_seed = np.array(
        [
            reference.precision_recall_fscore_support(truth, p.argmax(axis=1))[:3]
            for p in found.predictions
        ]
    )  # [S, 3, C]
    per_class = evaluate_hard(found)["per_class"]
    for c, label in enumerate(LABELS):
        values = [per_class[label][name] for name in ("precision", "recall", "f1")]
        assert values == pytest.approx(by_seed[:, :, c].mean(axis=0))
        assert per_class[label]["support"] == (truth == c).sum()


def test_the_confusion_matrix_is_the_mean_over_seeds():
    found = predictions()
    truth = found.targets.argmax(axis=1)
    expected = np.mean(
        [reference.confusion_matrix(truth, p.argmax(axis=1)) for p in found.predictions], axis=0
    )
    np.testing.assert_allclose(evaluate_hard(found)["confusion_matrix"], expected, atol=1e-4)


def test_tau_is_against_votes():
    found = predictions(targets=np.random.default_rng(1).dirichlet(np.ones(3), 60))
    soft = evaluate(found, LABELS, soft=True)["metrics"]["kendall_tau"]
    assert -1 < soft["mean"] < 1
    hard = evaluate_hard(predictions())["metrics"]["kendall_tau"]
    assert hard == {**dict.fromkeys(ENTRIES), "reason": "labels are hard: tau is against votes"}


def test_every_metric_has_every_entry():
    metrics = evaluate_hard(predictions())["metrics"]
    assert tuple(metrics) == (*METRICS, *SOFT_METRICS, "ece_scaled")
    assert all(values.keys() >= ENTRIES for values in metrics.values())


@pytest.mark.parametrize(
    ("changes", "entry", "reason"),
    [
        ({"seeds": 1}, "std_seeds", "one seed"),
        ({"folds": np.zeros(60, int)}, "std_folds", "fewer than two folds define it"),
        ({"speakers": ["s"] * 60}, "ci95", "one speaker"),
        ({"speakers": ["s", None] * 30}, "ci95", "the corpus does not name its speakers"),
    ],
)
def test_what_cannot_be_known_is_null_with_a_reason(changes, entry, reason):
    ua = evaluate_hard(predictions(**changes))["metrics"]["ua"]
    assert ua[entry] is None
    assert ua["reasons"] == {entry: reason}
    assert all(ua[other] is not None for other in ENTRIES - {entry})


def test_metrics_that_no_utterance_defines_are_null_with_a_reason():
    tied = predictions(targets=np.full((60, 3), 1 / 3))
    found = evaluate(tied, LABELS, soft=True)
    json.dumps(found, allow_nan=False)
    for name in set(METRICS) - {"kl"}:
        assert found["metrics"][name]["mean"] is None
        assert found["metrics"][name]["reason"] == "no utterance defines it"
    assert found["metrics"]["kl"]["mean"] > 0
    assert found["per_class"]["sad"] == {
        "precision": None,
        "recall": None,
        "f1": None,
        "support": 0.0,
    }


def test_a_fold_that_does_not_define_a_metric_is_out_of_its_mean():
    targets = predictions().targets.copy()
    targets[FOLDS == 0] = 1 / 3
    found = predictions(targets=targets)
    by_fold = [
        np.mean([accuracy(found, seed, fold == FOLDS) for seed in range(3)]) for fold in (1, 2)
    ]
    wa = evaluate(found, LABELS, soft=True)["metrics"]["wa"]
    assert wa["fold_mean"] == pytest.approx(np.mean(by_fold))


def test_a_metric_that_hangs_on_one_speaker_has_no_interval():
    targets = np.full((60, 3), 1 / 3)
    targets[::7] = [0.6, 0.3, 0.1]  # all of speaker s0, and no others
    ua = evaluate(predictions(targets=targets), LABELS, soft=True)["metrics"]["ua"]
    assert ua["mean"] is not None
    assert (ua["ci95"], ua["reasons"]["ci95"]) == (None, "undefined")


# Distributions and calibration


def test_soft_metrics_are_means_over_utterances_for_each_seed():
    found = predictions(targets=np.random.default_rng(1).dirichlet(np.ones(3), 60))
    metrics = evaluate(found, LABELS, soft=True)["metrics"]
    squares = np.square(found.predictions - found.targets).sum(axis=2).mean(axis=1)
    assert metrics["brier"]["mean"] == pytest.approx(squares.mean())
    assert metrics["brier"]["std_seeds"] == pytest.approx(squares.std(ddof=1))


def test_the_spread_of_tau_is_for_votes():
    found = predictions(targets=np.random.default_rng(1).dirichlet(np.ones(3), 60))
    results = evaluate(found, LABELS, soft=True)
    spread = results["tau_spread"]
    assert spread["defined"] + spread["undefined"] == 180
    assert spread["mean"] == pytest.approx(results["metrics"]["kendall_tau"]["mean"], abs=1e-6)
    assert evaluate_hard(predictions())["tau_spread"] is None


def test_the_calibration_curve_has_every_utterance_and_its_error_is_the_ece_of_all_seeds():
    found = predictions(seeds=1)
    results = evaluate_hard(found)
    curve = results["calibration"]
    assert sum(curve["count"]) == 60
    known = [n for n, count in enumerate(curve["count"]) if count]
    error = sum(
        curve["count"][n] * abs(curve["accuracy"][n] - curve["confidence"][n]) for n in known
    )
    assert results["metrics"]["ece"]["mean"] == pytest.approx(error / 60)


def test_temperatures_change_the_calibration_and_no_prediction():
    """Predictions that are made three times too sure are as well calibrated once they are not."""
    found = predictions()
    sure = found.predictions**3
    sure /= sure.sum(axis=2, keepdims=True)
    hot = np.full(found.temperatures.shape, 3.0)
    scaled = evaluate_hard(predictions(predictions=sure, temperatures=hot))["metrics"]
    plain = evaluate_hard(found)["metrics"]
    assert scaled["ece_scaled"]["mean"] == pytest.approx(plain["ece"]["mean"], abs=1e-6)
    assert scaled["ece"]["mean"] != pytest.approx(plain["ece"]["mean"], abs=1e-2)
    assert scaled["ua"] == plain["ua"]
