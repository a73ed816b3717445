"""Metrics agree with the field's references; tallies add up; intervals are over speakers."""

from __future__ import annotations

import re
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from heads.calibration import calibration_curve, top_confidence
from heads.dimensional_metrics import DIMENSIONAL_METRICS
from heads.intervals import jackknife
from heads.losses import CLASS_WEIGHTS, LOSSES
from heads.metrics import (
    METRICS,
    confusion_matrix,
    f1_scores,
    pooled_calibration,
    precisions,
    recalls,
    scores,
    speaker_interval,
    sum_by,
    tally,
)
from heads.soft_metrics import SOFT_METRICS, kl_divergence
from tests.material import REPOSITORY

HARD = ("ua", "wa", "top2", "macro_f1", "micro_f1", "weighted_f1", "ece")
varied = settings(deadline=None, max_examples=60)
tables = st.tuples(st.integers(1, 40), st.integers(2, 6), st.integers(0, 2**32 - 1))


def random_table(count, classes, seed):
    """Predictions and one-hot truths of random utterances."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    return rng.dirichlet(np.full(classes, 0.6), count), np.eye(classes)[truth]


def random_votes(count, classes, seed):
    """Distributions of five votes: many ties, some constant rows."""
    rng = np.random.default_rng(seed)
    votes = rng.multinomial(5, np.full(classes, 1 / classes), count) + rng.integers(0, 2)
    return votes / votes.sum(axis=1, keepdims=True)


def score(probabilities, targets):
    found = scores(tally(probabilities, targets).sum(axis=0), targets.shape[1])
    return {name: float(value) for name, value in found.items()}


def sklearn_scores(probabilities, targets):
    """The hard metrics by scikit-learn."""
    truth, guess = targets.argmax(axis=1), probabilities.argmax(axis=1)
    classes = targets.shape[1]
    chance = probabilities[:, 1] if classes == 2 else probabilities
    with warnings.catch_warnings():
        # It warns of classes that only occur among the predictions, and of k = 2 in binary tasks.
        warnings.simplefilter("ignore")
        return {
            "ua": reference.balanced_accuracy_score(truth, guess),
            "wa": reference.accuracy_score(truth, guess),
            "top2": reference.top_k_accuracy_score(truth, chance, k=2, labels=range(classes)),
            "macro_f1": reference.f1_score(truth, guess, average="macro"),
            "micro_f1": reference.f1_score(truth, guess, average="micro"),
            "weighted_f1": reference.f1_score(truth, guess, average="weighted"),
        }


@varied
@given(tables)
def test_hard_metrics_are_those_of_scikit_learn(table):
    probabilities, targets = random_table(*table)
    found = score(probabilities, targets)
    for name, value in sklearn_scores(probabilities, targets).items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


@varied
@given(tables)
def test_scores_per_class_are_those_of_scikit_learn(table):
    probabilities, targets = random_table(*table)
    classes = targets.shape[1]
    truth, guess = targets.argmax(axis=1), probabilities.argmax(axis=1)
    confusion = confusion_matrix(tally(probabilities, targets).sum(axis=0), classes)
    np.testing.assert_array_equal(
        confusion, reference.confusion_matrix(truth, guess, labels=range(classes))
    )
    precision, recall, f1, _ = reference.precision_recall_fscore_support(
        truth, guess, labels=range(classes), zero_division=np.nan
    )
    np.testing.assert_allclose(precisions(confusion), precision)
    np.testing.assert_allclose(recalls(confusion), recall)
    np.testing.assert_allclose(f1_scores(confusion), f1)


@varied
@given(tables)
def test_mean_tau_is_over_the_utterances_that_define_it(table):
    count, classes, seed = table
    targets, (probabilities, _) = random_votes(count, classes, seed), random_table(*table)
    taus = np.array(
        [stats.kendalltau(p, t).statistic for p, t in zip(probabilities, targets, strict=True)]
    )
    expected = np.nan if np.isnan(taus).all() else np.nanmean(taus)
    assert score(probabilities, targets)["kendall_tau"] == pytest.approx(expected, nan_ok=True)


@varied
@given(tables)
def test_kl_is_that_of_scipy(table):
    count, classes, seed = table
    targets, (probabilities, _) = random_votes(count, classes, seed), random_table(*table)
    probabilities = (probabilities + 0.01) / (1 + 0.01 * classes)
    expected = stats.entropy(targets, probabilities, axis=1)
    np.testing.assert_allclose(kl_divergence(targets, probabilities), expected, atol=1e-12)
    assert score(probabilities, targets)["kl"] == pytest.approx(expected.mean(), abs=1e-12)


@varied
@given(tables)
def test_ece_is_that_of_a_loop_over_its_definition(table):
    probabilities, targets = random_table(*table)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets.argmax(axis=1)
    expected = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += inside.mean() * gap
    assert score(probabilities, targets)["ece"] == pytest.approx(expected, abs=1e-12)


def test_ece_of_certainty_is_the_share_of_errors():
    probabilities = np.eye(3)[[0, 0, 0, 1, 2]]
    assert score(probabilities, np.eye(3)[[0, 0, 1, 1, 0]])["ece"] == pytest.approx(2 / 5)


def test_a_bin_holds_its_upper_edge():
    """0.6 is 9/15: it shares a bin with 0.59 and none with 0.61."""
    right = np.array([[1.0, 0.0], [0.0, 1.0]])
    pairs = {0.59: abs(1 - 1.19) / 2, 0.61: (abs(1 - 0.6) + 0.61) / 2}
    for other, expected in pairs.items():
        probabilities = np.array([[0.6, 0.4], [other, 1 - other]])
        assert score(probabilities, right)["ece"] == pytest.approx(expected)


@varied
@given(tables, st.booleans())
def test_pooled_calibration_is_the_curve_that_ece_is_taken_over(table, soft):
    probabilities, targets = random_table(*table)
    if soft:  # with ties, which no bin holds
        targets = random_votes(*table)
    total = tally(probabilities, targets).sum(axis=0)
    found = pooled_calibration(total, targets.shape[1])
    expected = calibration_curve(*top_confidence(probabilities, targets))
    for name in ("edges", "count", "confidence", "accuracy"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), err_msg=name)
    ece = score(probabilities, targets)["ece"]
    assert found.error == pytest.approx(ece, abs=1e-12, nan_ok=True)


def test_equal_first_places_are_one_prediction():
    """Top-2 takes two classes, however many share the second place."""
    flat = np.full((4, 4), 0.25)
    found = score(flat, np.eye(4))
    assert (found["wa"], found["top2"]) == (0.25, 0.5)


@varied
@given(tables, st.integers(2, 5))
def test_tallies_add_up(table, groups):
    probabilities, targets = random_table(*table)
    count, classes = targets.shape
    rng = np.random.default_rng(table[2])
    codes = rng.integers(0, groups, count)
    assume((codes != 0).any())
    tallies = tally(probabilities, targets)
    by_group = sum_by(tallies, codes, groups)
    np.testing.assert_allclose(by_group.sum(axis=0), tallies.sum(axis=0), atol=1e-12)
    for group in range(groups):
        own = tallies[codes == group].sum(axis=0)
        np.testing.assert_allclose(by_group[group], own, atol=1e-12)
    rest = codes != 0
    without = scores(tallies.sum(axis=0) - by_group[0], classes)
    for name, value in score(probabilities[rest], targets[rest]).items():
        assert float(without[name]) == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_scores_keep_leading_axes():
    probabilities, targets = random_table(24, 3, 0)
    tallies = tally(probabilities, targets).reshape(2, 3, 4, -1).sum(axis=2)
    found = scores(tallies, 3)
    for s, g in np.ndindex(2, 3):
        rows = np.arange(24).reshape(2, 3, 4)[s, g]
        for name, value in score(probabilities[rows], targets[rows]).items():
            assert found[name][s, g] == pytest.approx(value, nan_ok=True), name


def test_absent_classes_count_in_no_mean():
    """Class 2 occurs nowhere; class 3 is predicted once, and never true."""
    truth, guess = [0, 0, 1, 1], [0, 0, 1, 3]
    found = score(np.eye(4)[guess], np.eye(4)[truth])
    assert found["ua"] == pytest.approx(np.mean([1, 0.5]))
    assert found["macro_f1"] == pytest.approx(np.mean([1, 2 / 3, 0]))
    confusion = confusion_matrix(tally(np.eye(4)[guess], np.eye(4)[truth]).sum(axis=0), 4)
    np.testing.assert_array_equal(recalls(confusion), [1, 0.5, np.nan, np.nan])
    np.testing.assert_array_equal(precisions(confusion), [1, 1, np.nan, 0])
    np.testing.assert_array_equal(f1_scores(confusion), [1, 2 / 3, np.nan, 0])


@varied
@given(tables)
def test_tied_votes_are_out_of_hard_metrics_and_in_kl(table):
    probabilities, targets = random_table(*table)
    count, classes = targets.shape
    ties = np.tile(np.eye(classes)[0] + np.eye(classes)[1], (count, 1)) / 2
    shuffled = np.random.default_rng(1).permutation(probabilities)
    both = score(np.concatenate([probabilities, shuffled]), np.concatenate([targets, ties]))
    clear = score(probabilities, targets)
    for name in HARD:
        assert both[name] == pytest.approx(clear[name]), name
    mean_kl = (clear["kl"] + kl_divergence(ties, shuffled).mean()) / 2
    assert both["kl"] == pytest.approx(mean_kl)


def test_without_a_clear_utterance_hard_metrics_are_undefined():
    found = score(np.array([[0.7, 0.3]]), np.array([[0.5, 0.5]]))
    assert all(np.isnan(found[name]) for name in (*HARD, "kendall_tau"))
    assert np.isfinite(found["kl"])


def test_every_metric_has_a_score_and_an_interval():
    probabilities, targets = random_table(40, 3, 0)
    assert set(score(probabilities, targets)) == set(METRICS)
    by_speaker = sum_by(tally(probabilities, targets), np.arange(40) % 5, 5)
    assert set(speaker_interval(by_speaker, 3)) == set(METRICS)


def test_every_metric_and_loss_is_in_the_documents():
    page = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE))
    assert rows >= {*METRICS, *SOFT_METRICS, *DIMENSIONAL_METRICS, *LOSSES, *CLASS_WEIGHTS}


# Intervals over speakers


def hits(right):
    """Tallies of utterances that are recognised (True) or not, in one of two classes."""
    right = np.asarray(right)
    return tally(np.eye(2)[1 - right.astype(int)], np.eye(2)[np.zeros(len(right), int)])


@varied
@given(st.integers(3, 12), st.integers(4, 30), st.integers(0, 2**32 - 1))
def test_with_equal_clips_it_is_the_t_interval_of_speakers_means(speakers, clips, seed):
    rng = np.random.default_rng(seed)
    # Neither near 0 nor near 1, where the interval would be cut.
    right = rng.random((speakers, clips)) < rng.uniform(0.45, 0.55, (speakers, 1))
    means = right.mean(axis=1)
    assume(means.std() > 0)
    expected = stats.t.interval(0.95, speakers - 1, means.mean(), stats.sem(means))
    assume(expected[0] > 0 and expected[1] < 1)
    by_speaker = hits(right.ravel()).reshape(speakers, clips, -1).sum(axis=1)
    assert speaker_interval(by_speaker, 2)["wa"] == pytest.approx(expected, abs=1e-12)


def test_it_is_the_jackknife_over_speakers_of_each_metric():
    probabilities, targets = random_table(120, 4, 3)
    codes = np.random.default_rng(3).integers(0, 7, 120)
    found = speaker_interval(sum_by(tally(probabilities, targets), codes, 7), 4)
    full = sklearn_scores(probabilities, targets)
    clips = np.bincount(codes)
    effective = clips.sum() ** 2 / (clips**2).sum()
    assert 5 < effective < 6.9
    for name, center in full.items():
        left_out = [
            sklearn_scores(probabilities[codes != g], targets[codes != g])[name] for g in range(7)
        ]
        error = np.sqrt(6 / 7 * np.sum((left_out - np.mean(left_out)) ** 2))
        half = stats.t.ppf(0.975, effective - 1) * error
        assert found[name] == pytest.approx((center - half, center + half)), name


def test_intervals_of_hard_metrics_do_not_know_clips_whose_votes_are_tied():
    """Many tied clips of one speaker take no degrees of freedom, but for tau and KL."""
    probabilities, targets = random_table(120, 4, 3)
    clear, codes = tally(probabilities, targets), np.arange(120) % 6
    tied = tally(probabilities[:60], np.tile([0.5, 0.5, 0, 0], (60, 1)))
    more = sum_by(np.concatenate([clear, tied]), np.append(codes, np.zeros(60, int)), 6)
    found, expected = speaker_interval(more, 4), speaker_interval(sum_by(clear, codes, 6), 4)
    for name in HARD:
        assert found[name] == pytest.approx(expected[name]), name
    clips = np.array([80, 20, 20, 20, 20, 20])
    assert (
        found["kl"] == jackknife(more, partial(scores, classes=4), {"kl": (0, np.inf)}, clips)["kl"]
    )
    assert np.diff(found["kl"]) > np.diff(expected["kl"])


def test_seeds_are_averaged_before_speakers_are_left_out():
    """A speaker who is good under one seed and bad under another is an average speaker."""
    one = np.stack([hits([1] * 6 + [0] * 4).sum(axis=0), hits([0] * 6 + [1] * 4).sum(axis=0)])
    by_speaker = np.stack([np.stack([one[0], one[1]]), np.stack([one[1], one[0]])])  # [S, G, K]
    low, high = speaker_interval(by_speaker, 2)["wa"]
    assert (low, high) == pytest.approx((0.5, 0.5))
    assert np.diff(speaker_interval(by_speaker[0], 2)["wa"]) > 0.1


def test_it_stays_within_what_the_metric_can_be():
    by_speaker = np.stack([hits([0] * 10).sum(axis=0), hits([1] * 10).sum(axis=0)])
    assert speaker_interval(by_speaker, 2)["wa"] == (0.0, 1.0)
    votes = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    tau = speaker_interval(tally(votes, votes[[0, 0]]), 3)["kendall_tau"]
    assert tau == (-1.0, 1.0)


def test_one_speaker_allows_none():
    assert set(speaker_interval(hits([1, 0]).sum(axis=0)[None], 2).values()) == {None}


def test_an_undefined_metric_allows_none():
    tied = tally(np.array([[0.7, 0.3], [0.4, 0.6]]), np.full((2, 2), 0.5))
    found = speaker_interval(tied, 2)
    assert found["ua"] is None
    assert found["kl"] is not None


def test_leaving_out_all_that_defines_a_metric_allows_none():
    """One speaker has every clear vote: without them nothing is left, however sums round."""
    rng = np.random.default_rng(0)
    targets = np.concatenate([np.eye(3)[rng.integers(0, 3, 20)], np.full((9, 3), 1 / 3)])
    codes = np.repeat([0, 1], [20, 9])
    for probabilities in rng.dirichlet(np.ones(3), (20, 29)):
        found = speaker_interval(sum_by(tally(probabilities, targets), codes, 2), 3)
        assert {name for name, interval in found.items() if interval} == {"kl"}


def test_it_covers_the_planted_accuracy_where_clips_as_witnesses_would_not():
    """Speakers differ: 95 % intervals over them hold the truth, intervals over clips do not."""
    rng = np.random.default_rng(0)
    repetitions, speakers, clips, truth = 600, 10, 40, 0.6
    skill = np.clip(truth + 0.12 * rng.standard_normal((repetitions, speakers, 1)), 0, 1)
    right = rng.random((repetitions, speakers, clips)) < skill
    tallies = hits(right.ravel()).reshape(repetitions, speakers, clips, -1).sum(axis=2)
    covered = naive = 0
    for by_speaker, one in zip(tallies, right, strict=True):
        low, high = speaker_interval(by_speaker, 2)["wa"]
        covered += low <= truth <= high
        half = 1.96 * np.sqrt(one.mean() * (1 - one.mean()) / one.size)
        naive += abs(one.mean() - truth) <= half
    # 95 % of 600 repetitions, within 4 standard deviations of the count.
    assert stats.binom.ppf(3e-5, 600, 0.95) <= covered <= stats.binom.isf(3e-5, 600, 0.95)
    assert naive < 0.85 * repetitions


def test_it_covers_the_planted_unweighted_accuracy():
    """UA is no plain mean: its jackknife is right for many speakers, and close with twelve."""
    rng = np.random.default_rng(1)
    repetitions, speakers, clips = 300, 12, 30
    recall, shares = np.array([0.8, 0.5, 0.3]), np.array([0.6, 0.3, 0.1])
    covered = 0
    for _ in range(repetitions):
        truth = rng.choice(3, (speakers, clips), p=shares)
        skill = np.clip(recall + 0.1 * rng.standard_normal((speakers, 1)), 0, 1)
        right = rng.random((speakers, clips)) < np.take_along_axis(skill, truth, axis=1)
        guess = np.where(right, truth, (truth + 1) % 3)
        tallies = tally(np.eye(3)[guess.ravel()], np.eye(3)[truth.ravel()])
        by_speaker = tallies.reshape(speakers, clips, -1).sum(axis=1)
        low, high = speaker_interval(by_speaker, 3)["ua"]
        covered += low <= recall.mean() <= high
    assert covered >= stats.binom.ppf(1e-3, repetitions, 0.93)
    assert covered <= stats.binom.isf(1e-3, repetitions, 0.97)
