"""The SVM: equal to scikit-learn's, chosen without the test part, calibrated on the unseen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from embedcache.errors import SerError, UsageError
from heads.models._one_vs_rest import fit_margins
from heads.models._squared_hinge import multiplier
from heads.models._svm import (
    GRID,
    LinearModel,
    fit_svm,
    unweighted_accuracy,
)
from heads.splits import INNER_FOLDS, INNER_SEED
from heads.temperature import fit_temperature

LABELS = ("angry", "happy", "sad")
SOLVED = 1e-4  # how near the solver comes to the SVM


def plant(speakers=8, clips=12, dim=6, classes=3, noise=1.0, seed=0):
    """Vectors that hold their class, and a voice; the columns have scales of their own."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((classes, dim))
    voices = 0.5 * rng.standard_normal((speakers, dim))
    who = np.repeat(np.arange(speakers), clips)
    truth = np.arange(speakers * clips) % classes
    vectors = centers[truth] + voices[who] + noise * rng.standard_normal((len(who), dim))
    vectors = vectors * 10.0 ** rng.uniform(-3, 3, dim) + rng.standard_normal(dim) * 100
    return vectors, truth, [f"s{s}" for s in who]


def fit(vectors, truth, speakers, train=None, val=None, **changes):
    count = len(truth)
    targets = np.eye(max(truth) + 1)[truth]
    train = np.arange(count) if train is None else train
    val = np.zeros(0, np.int64) if val is None else val
    labels = [f"label{k}" for k in range(targets.shape[1])]
    return fit_svm(vectors, targets, speakers, train, val, labels, **changes)


def reference(c):
    svm = LinearSVC(C=c, class_weight="balanced", dual=False, tol=1e-10, max_iter=10_000)
    return make_pipeline(StandardScaler(), svm)


# Equal to the pipeline of scikit-learn


@pytest.mark.parametrize("dim", [4, 120, 300])  # more utterances than values, and fewer
@pytest.mark.parametrize("classes", [3, 5])
def test_predictions_are_those_of_scikit_learns_pipeline(dim, classes):
    vectors, truth, speakers = plant(dim=dim, classes=classes, clips=15)
    keep = (truth > 0) | (np.arange(len(truth)) % 4 == 0)  # classes of unequal size
    vectors, truth = vectors[keep], truth[keep]
    speakers = [s for s, k in zip(speakers, keep, strict=True) if k]
    found = fit(vectors, truth, speakers)
    theirs = reference(found.c).fit(vectors, truth)
    unseen = (vectors + vectors[::-1]) / 2
    margins = found.model.margins(unseen)
    np.testing.assert_allclose(margins, theirs.decision_function(unseen), atol=SOLVED, rtol=SOLVED)
    np.testing.assert_array_equal(margins.argmax(axis=1), theirs.predict(unseen))


def test_two_classes_have_two_margins_that_are_one():
    vectors, truth, speakers = plant(classes=2)
    found = fit(vectors, truth, speakers)
    margins = found.model.margins(vectors)
    np.testing.assert_allclose(margins[:, 0], -margins[:, 1])
    theirs = reference(found.c).fit(vectors, truth)
    np.testing.assert_allclose(
        margins[:, 1], theirs.decision_function(vectors), atol=SOLVED, rtol=SOLVED
    )


def test_the_arrays_alone_back_from_a_file_predict_what_scikit_learn_does():
    vectors, truth, speakers = plant()
    found = fit(vectors, truth, speakers)
    loaded = LinearModel.from_arrays(load(save(found.model.to_arrays())))
    scaler = StandardScaler().fit(vectors)
    svm = LinearSVC(C=found.c, class_weight="balanced", dual=False, tol=1e-10)
    svm.fit(scaler.transform(vectors), truth)
    theirs = svm.decision_function(scaler.transform(vectors))
    np.testing.assert_allclose(loaded.margins(vectors), theirs, atol=SOLVED)
    scaled = loaded.margins(vectors) / loaded.temperature
    expected = np.exp(log_softmax(scaled, axis=1))
    np.testing.assert_allclose(loaded.probabilities(vectors), expected, atol=1e-12)
    assert loaded.to_arrays().keys() == {"mean", "scale", "coef", "intercept", "temperature"}


# Weights


def weigh(count, seed=0):
    """Some utterances count twice, some half, and some for nothing."""
    return np.random.default_rng(seed).choice([0.0, 0.5, 1.0, 2.0], count, p=[0.2, 0.2, 0.3, 0.3])


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("dim", [4, 300])
def test_weights_are_scikit_learns_sample_weights(classes, dim):
    vectors, truth, speakers = plant(dim=dim, classes=classes, clips=15)
    weights = weigh(len(truth))
    found = fit(vectors, truth, speakers, c=0.3 / dim, weights=weights)
    there = weights > 0
    scaler = StandardScaler().fit(vectors[there])
    shares = np.bincount(truth, weights) * classes / weights.sum()
    svm = LinearSVC(C=0.3 / dim, class_weight=dict(enumerate(1 / shares)), dual=False, tol=1e-10,
                    max_iter=10_000)  # fmt: skip
    svm.fit(scaler.transform(vectors[there]), truth[there], sample_weight=weights[there])
    theirs = svm.decision_function(scaler.transform(vectors))
    ours = found.model.margins(vectors)
    np.testing.assert_allclose(ours[:, -1] if classes == 2 else ours, theirs, atol=SOLVED,
                               rtol=SOLVED)  # fmt: skip


def test_a_weight_of_two_is_an_utterance_that_is_there_twice():
    """To the machines; the moments of the columns, before them, are of plain utterances."""
    rng = np.random.default_rng(0)
    vectors, truth = rng.standard_normal((40, 6)), np.arange(40) % 3
    times = rng.integers(1, 4, 40)
    targets, rows = np.eye(3)[truth], np.repeat(np.arange(40), times)
    once = fit_margins(
        vectors, multiplier(vectors), targets, [0.1, 1.0], weights=times.astype(float)
    )
    many = vectors[rows]
    twice = fit_margins(many, multiplier(many), targets[rows], [0.1, 1.0])
    for ours, theirs in zip(once, twice, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=SOLVED)


@pytest.mark.parametrize("c", [0.0, 0.1])
def test_weights_that_are_all_alike_change_no_bit(c):
    vectors, truth, speakers = plant()
    plain = fit(vectors, truth, speakers, c=c)
    even = fit(vectors, truth, speakers, c=c, weights=np.ones(len(truth)))
    for name, array in plain.model.to_arrays().items():
        np.testing.assert_array_equal(even.model.to_arrays()[name], array)


def test_what_counts_for_nothing_is_predicted_and_never_fitted():
    """Inner folds choose C and temperature by it as by any other, as validation does."""
    vectors, truth, speakers = plant(noise=2.0)
    weights = np.where(np.arange(len(truth)) % 4 == 0, 0.0, 1.0)
    found = fit(vectors, truth, speakers, c=0.1, weights=weights)
    wrong = np.where(weights > 0, truth, (truth + 1) % 3)
    other = fit(vectors, wrong, speakers, c=0.1, weights=weights)
    np.testing.assert_array_equal(found.model.coef, other.model.coef)
    assert found.inner_ua != other.inner_ua
    assert found.model.temperature != other.model.temperature
    there = np.flatnonzero(weights)
    alone = fit(vectors, truth, speakers, c=0.1, train=there)
    np.testing.assert_allclose(found.model.coef, alone.model.coef, atol=1e-12)


def test_what_counts_in_one_inner_fold_alone_is_refused():
    vectors, truth, speakers = plant()
    weights = np.array([float(speaker == "s0") for speaker in speakers])
    with pytest.raises(SerError, match="svm: all utterances that count in training are of one par"):
        fit(vectors, truth, speakers, c=0.1, weights=weights)


def test_c_has_the_best_ua_of_the_group_that_is_served_worst():
    vectors, truth, speakers = plant(noise=3.0, seed=4)
    rng = np.random.default_rng(0)
    groups = rng.integers(-1, 3, len(truth))
    whole = fit(vectors, truth, speakers)
    fair = fit(vectors, truth, speakers, groups=groups)
    each = [
        fit(vectors, truth, speakers, groups=np.where(groups == g, 0, -1)).inner_ua
        for g in range(3)
    ]
    np.testing.assert_array_equal(fair.inner_ua, np.min(each, axis=0))
    assert fair.c == fair.candidates[int(np.argmax(fair.inner_ua))]
    everyone = fit(vectors, truth, speakers, groups=np.zeros(len(truth), int))
    assert everyone.inner_ua == whole.inner_ua


# The choice of C


def chosen_by_hand(vectors, truth, speakers):
    """UA of each C over pooled predictions of inner folds by speaker, with scikit-learn alone."""
    splitter = StratifiedGroupKFold(INNER_FOLDS, shuffle=True, random_state=INNER_SEED)
    parts = list(splitter.split(truth, truth, speakers))
    uas = []
    for factor in GRID:
        predicted = np.zeros_like(truth)
        for rest, held in parts:
            model = reference(factor / vectors.shape[1]).fit(vectors[rest], truth[rest])
            predicted[held] = model.predict(vectors[held])
        uas.append(balanced_accuracy_score(truth, predicted))
    return uas


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_c_has_the_best_ua_over_the_inner_folds(seed):
    vectors, truth, speakers = plant(seed=seed, dim=40, noise=3.0)
    found = fit(vectors, truth, speakers)
    uas = chosen_by_hand(vectors, truth, speakers)
    np.testing.assert_allclose(found.inner_ua, uas, atol=0.011)  # one utterance of 96
    assert found.c == found.candidates[int(np.argmax(found.inner_ua))]
    assert found.candidates == tuple(factor / 40 for factor in GRID)


def test_validation_trains_the_final_model_and_chooses_nothing():
    vectors, truth, speakers = plant()
    train, val = np.arange(60), np.arange(60, 84)
    found, alone = fit(vectors, truth, speakers, train, val), fit(vectors, truth, speakers, train)
    assert (found.c, found.inner_ua) == (alone.c, alone.inner_ua)
    assert found.model.temperature == alone.model.temperature
    assert not np.allclose(found.model.coef, alone.model.coef)
    np.testing.assert_allclose(found.model.mean, vectors[:84].mean(axis=0))


def test_what_neither_trains_nor_validates_does_not_show():
    vectors, truth, speakers = plant()
    train, val = np.arange(60), np.arange(60, 72)
    before = fit(vectors, truth, speakers, train, val)
    vectors[72:] = np.nan
    truth[72:-1] = 0
    after = fit(vectors, truth, speakers, train, val)
    assert before.inner_ua == after.inner_ua
    np.testing.assert_array_equal(before.model.coef, after.model.coef)


def test_inner_folds_share_no_speaker():
    """Voices alone, each with one class: known speakers are recognised, others are not."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(12), 10)
    vectors = 5 * rng.standard_normal((12, 30))[who] + 0.1 * rng.standard_normal((120, 30))
    truth = who % 3
    speakers = [f"s{s}" for s in who]
    assert max(fit(vectors, truth, speakers).inner_ua) < 0.7
    assert min(fit(vectors, truth, [None] * 120).inner_ua[-2:]) > 0.95


def test_a_given_c_is_taken():
    vectors, truth, speakers = plant()
    found = fit(vectors, truth, speakers, c=0.5)
    assert (found.c, found.candidates) == (0.5, (0.5,))
    theirs = reference(0.5).fit(vectors, truth).decision_function(vectors)
    np.testing.assert_allclose(found.model.margins(vectors), theirs, atol=SOLVED, rtol=SOLVED)


# Soft labels


def test_ties_train_and_do_not_count_in_ua():
    margins = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    targets = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert unweighted_accuracy(margins, targets) == 1
    assert unweighted_accuracy(margins[2:], targets[2:]) == 0
    vectors, truth, speakers = plant(classes=2)
    targets = np.eye(2)[truth]
    targets[:10] = 0.5
    everyone, nobody = np.arange(len(truth)), np.zeros(0, np.int64)
    tied = fit_svm(vectors, targets, speakers, everyone, nobody, LABELS[:2], 0.1)
    without = fit_svm(vectors, targets, speakers, everyone[10:], nobody, LABELS[:2], 0.1)
    assert not np.allclose(tied.model.coef, without.model.coef)


# Temperature


def test_the_temperature_is_the_one_that_was_planted():
    rng = np.random.default_rng(0)
    margins = rng.standard_normal((20_000, 4))
    logits = margins / 0.4
    chances = np.exp(log_softmax(logits, axis=1))
    drawn = (chances.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert fit_temperature(margins, np.eye(4)[drawn]) == pytest.approx(0.4, rel=0.03)
    assert fit_temperature(margins, chances) == pytest.approx(0.4, rel=1e-3)


def test_no_other_temperature_has_a_lower_cross_entropy():
    vectors, truth, speakers = plant(noise=2.0)
    targets = np.eye(3)[truth]
    margins = fit(vectors, truth, speakers).model.margins(vectors)

    def cross_entropy(x):
        return -(targets * log_softmax(margins * np.exp(x), axis=1)).sum()

    theirs = minimize(cross_entropy, 0.0, tol=1e-10).x[0]
    assert fit_temperature(margins, targets) == pytest.approx(np.exp(-theirs), rel=1e-3)


@pytest.mark.parametrize("margins", [np.eye(2), -np.eye(2), np.zeros((2, 2))])
def test_margins_without_a_fault_or_without_worth_still_give_probabilities(margins):
    temperature = fit_temperature(margins, np.eye(2))
    assert 0.01 <= temperature <= 1000
    model = LinearModel(np.zeros(2), np.ones(2), np.eye(2), np.zeros(2), temperature)
    assert np.isfinite(np.log(model.probabilities(margins))).all()


def test_probabilities_are_fitted_to_what_the_model_did_not_see():
    """Labels by chance: seen vectors are separated, unseen ones are not, and the model knows."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((90, 200))
    truth = np.arange(90) % 3
    found = fit(vectors, truth, [f"s{i % 9}" for i in range(90)], c=1.0)
    assert (found.model.margins(vectors).argmax(axis=1) == truth).all()
    assert found.model.probabilities(vectors).max() < 0.6


# Laws


def test_shift_and_scale_of_a_column_change_nothing():
    vectors, truth, speakers = plant(dim=20)
    factors = 2.0 ** np.arange(-10, 10)
    before, after = (fit(x, truth, speakers) for x in (vectors, vectors * factors))
    assert before.inner_ua == after.inner_ua
    np.testing.assert_allclose(
        after.model.margins(vectors * factors), before.model.margins(vectors), atol=1e-6
    )
    shifted = fit(vectors + 64.0, truth, speakers)
    np.testing.assert_allclose(
        shifted.model.margins(vectors + 64.0), before.model.margins(vectors), atol=SOLVED
    )


def test_a_column_that_does_not_vary_changes_nothing():
    vectors, truth, speakers = plant()
    wider = np.concatenate([vectors, np.full((len(truth), 1), 1 / 3)], axis=1)
    before, after = fit(vectors, truth, speakers, c=0.1), fit(wider, truth, speakers, c=0.1)
    np.testing.assert_allclose(after.model.coef[:, :-1], before.model.coef, atol=1e-6)
    assert after.model.scale[-1] == 1
    np.testing.assert_allclose(after.model.coef[:, -1], 0, atol=1e-12)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000))
def test_a_given_c_gives_the_same_model_in_whatever_order_utterances_come(seed):
    vectors, truth, speakers = plant()
    order = np.random.default_rng(seed).permutation(len(truth))
    before = fit(vectors, truth, speakers, c=0.1)
    after = fit(vectors[order], truth[order], [speakers[i] for i in order], c=0.1)
    np.testing.assert_allclose(
        after.model.margins(vectors), before.model.margins(vectors), atol=SOLVED
    )


def test_the_same_again_is_the_same_bit_for_bit():
    vectors, truth, speakers = plant(dim=150)
    first, again = (fit(vectors, truth, speakers) for _ in range(2))
    for name, array in first.model.to_arrays().items():
        assert array.tobytes() == again.model.to_arrays()[name].tobytes()
    assert first.inner_ua == again.inner_ua


def test_it_tells_planted_classes_of_unseen_speakers():
    vectors, truth, speakers = plant(speakers=12, noise=0.7)
    found = fit(vectors, truth, speakers, np.arange(96), np.arange(96, 108))
    assert (found.model.probabilities(vectors).argmax(axis=1) == truth)[108:].mean() > 0.9
    np.testing.assert_allclose(found.model.probabilities(vectors).sum(axis=1), 1)


# What is not as it should be


def test_a_class_that_one_speaker_has_counts_as_missed_in_the_inner_folds():
    vectors, truth, speakers = plant(noise=0.1)
    alone = np.array([s == "s0" for s in speakers])
    keep = (truth < 2) | alone
    kept = [s for s, k in zip(speakers, keep, strict=True) if k]
    found = fit(vectors[keep], truth[keep], kept)
    assert max(found.inner_ua) == pytest.approx(2 / 3, abs=0.02)
    predicted = found.model.margins(vectors[keep]).argmax(axis=1)
    assert (predicted[truth[keep] == 2] == 2).all()  # the final model has examples of it


def test_a_class_without_an_example_is_named():
    vectors, truth, speakers = plant()
    targets = np.eye(3)[truth]
    here = np.flatnonzero(truth != 1)
    with pytest.raises(SerError, match="no utterance of happy trains; give fewer --folds"):
        fit_svm(vectors, targets, speakers, here[:50], here[50:], LABELS)


@pytest.mark.parametrize(
    ("speakers", "why"),
    [(["s0"] * 96, "one speaker"), ([None] * 96, "speakers that are not known")],
)
def test_without_speakers_to_tell_apart_inner_folds_share_them_and_it_is_said(
    speakers, why, caplog
):
    vectors, truth, _ = plant()
    assert max(fit(vectors, truth, speakers).inner_ua) > 0.6
    assert f"has {why}: its inner folds are dealt at random" in caplog.text


def test_two_speakers_make_two_inner_folds(caplog):
    vectors, truth, speakers = plant(speakers=2, clips=30, noise=0.5)
    assert max(fit(vectors, truth, speakers).inner_ua) > 0.6
    assert not caplog.text


def test_one_utterance_is_refused():
    vectors, truth, speakers = plant()
    with pytest.raises(UsageError, match="1 utterances train, and it takes 2 to choose"):
        fit(vectors, truth, speakers, np.arange(1), np.arange(1, 50))
