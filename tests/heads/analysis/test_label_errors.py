"""Confident learning: as cleanlab does it, and on labels that were flipped on purpose."""

from __future__ import annotations

import numpy as np
import pytest
from cleanlab.count import (
    calibrate_confident_joint,
    compute_confident_joint,
    get_confident_thresholds,
)
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_normalized_margin_for_each_label

from heads.analysis.label_errors import confident_joint, margins, suspected


def make_table(seed, count=400, classes=5, sharpness=2.0, flipped=0.0):
    """Probabilities of a model that is right more or less often, labels, and which are flipped."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, count, p=rng.dirichlet(np.full(classes, 5.0)))
    logits = rng.normal(0, 1, (count, classes)) + sharpness * np.eye(classes)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = rng.random(count) < flipped
    given = np.where(wrong, (truth + rng.integers(1, classes, count)) % classes, truth)
    return probabilities, given, wrong


TABLES = [
    {"seed": seed, "classes": classes, "sharpness": sharpness, "flipped": flipped}
    for seed, (classes, sharpness, flipped) in enumerate(
        [(2, 1.0, 0.2), (3, 0.0, 0.0), (4, 3.0, 0.1), (5, 2.0, 0.3), (8, 1.5, 0.05), (9, 4.0, 0.1)]
    )
]


@pytest.mark.parametrize("table", TABLES, ids=lambda t: f"{t['classes']} classes")
def test_thresholds_joint_and_issues_are_cleanlabs(table):
    probabilities, given, _ = make_table(**table)
    joint = confident_joint(probabilities, given)
    np.testing.assert_allclose(
        joint.thresholds, get_confident_thresholds(given, probabilities), rtol=1e-12
    )
    counted = compute_confident_joint(given, probabilities, calibrate=False)
    np.testing.assert_array_equal(joint.counted, counted)
    rounded = calibrate_confident_joint(counted, given)  # to whole clips, rows kept
    assert np.abs(joint.calibrated - rounded).max() <= 1
    expected = find_label_issues(
        given, probabilities, filter_by="confident_learning",
        return_indices_ranked_by="normalized_margin", n_jobs=1,
    )  # fmt: skip
    assert len(expected) or table["sharpness"] > 3
    assert suspected(probabilities, given, joint).tolist() == expected.tolist()
    quality = get_normalized_margin_for_each_label(given, probabilities)
    np.testing.assert_allclose((margins(probabilities, given) + 1) / 2, quality, atol=1e-12)


def test_a_class_that_was_given_to_nobody_has_no_threshold_and_no_errors():
    probabilities, given, _ = make_table(seed=3, classes=4)
    given[given == 2] = 0
    joint = confident_joint(probabilities, given)
    assert np.isnan(joint.thresholds[2])
    assert not (joint.confident == 2).any()
    counted = compute_confident_joint(given, probabilities, calibrate=False)
    np.testing.assert_array_equal(joint.counted, counted)
    assert joint.calibrated[2].sum() == 0
    assert 0 <= joint.share <= 1


def test_rows_sum_to_the_labels_that_were_given():
    probabilities, given, _ = make_table(seed=5, flipped=0.2)
    joint = confident_joint(probabilities, given)
    np.testing.assert_allclose(joint.calibrated.sum(axis=1), np.bincount(given, minlength=5))
    off_diagonal = joint.calibrated.sum() - np.trace(joint.calibrated)
    assert joint.share == pytest.approx(off_diagonal / len(given))


@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_are_found(seed):
    """A tenth is flipped: of the first as many suspects nearly all are, by chance a tenth."""
    probabilities, given, wrong = make_table(seed, count=2000, sharpness=5.0, flipped=0.1)
    joint = confident_joint(probabilities, given)
    found = suspected(probabilities, given, joint)
    first = found[: int(wrong.sum())]
    assert len(first) > 0.8 * wrong.sum()
    assert wrong[first].mean() > 0.9
    assert joint.share == pytest.approx(wrong.mean(), abs=0.02)


def test_which_class_is_taken_for_which_is_found():
    """Only labels of class 0 are flipped, and only to class 1."""
    probabilities, given, _ = make_table(seed=2, count=3000, sharpness=5.0)
    rng = np.random.default_rng(0)
    moved = (given == 0) & (rng.random(len(given)) < 0.3)
    given = np.where(moved, 1, given)
    joint = confident_joint(probabilities, given)
    wrong = joint.calibrated - np.diag(np.diagonal(joint.calibrated))
    assert np.unravel_index(wrong.argmax(), wrong.shape) == (1, 0)
    assert 0.7 * moved.sum() < wrong[1, 0] < 1.1 * moved.sum()  # the estimate is careful


@pytest.mark.parametrize("seed", range(3))
def test_without_flips_hardly_a_label_is_wrong(seed):
    probabilities, given, _ = make_table(seed, count=2000, sharpness=6.0)
    assert confident_joint(probabilities, given).share < 0.01


def test_a_weak_model_suspects_right_labels():
    """The limit that docs/ambiguity.md tells of: its own confident mistakes count."""
    probabilities, given, _ = make_table(seed=0, count=2000, classes=6, sharpness=1.5)
    assert 0.5 < (probabilities.argmax(axis=1) == given).mean() < 0.7
    assert confident_joint(probabilities, given).share > 0.2


def test_an_overconfident_model_moves_thresholds_and_not_the_estimate():
    """Thresholds are the model's own means: too much or too little confidence shifts both."""
    probabilities, given, wrong = make_table(seed=4, count=3000, sharpness=5.0, flipped=0.1)
    for power in (0.5, 2.0):
        other = probabilities**power
        other /= other.sum(axis=1, keepdims=True)
        share = confident_joint(other, given).share
        assert share == pytest.approx(wrong.mean(), abs=0.03)


def test_a_label_that_is_the_likeliest_class_is_no_suspect():
    """Above the threshold of another class alone, but the given one is likelier still."""
    probabilities = np.array([[0.95, 0.05], [0.97, 0.03], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3]])
    given = np.array([0, 0, 0, 1, 1])
    joint = confident_joint(probabilities, given)
    assert joint.confident[2] == 1
    assert 2 not in suspected(probabilities, given, joint).tolist()
    assert joint.counted[0, 1] == 1
