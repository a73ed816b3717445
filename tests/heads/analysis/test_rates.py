"""Rates of summed counts are scikit-learn's of the utterances themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from heads.analysis.rates import (
    PER_CLASS,
    WHOLE,
    clips_of,
    compared_rates,
    count_by,
    family_of,
    fractions,
    rates,
    speaker_weights,
    supports,
)
from heads.metrics import scores, tally
from tests.heads.analysis.answers import LABELS, answers, make_tested

varied = settings(deadline=None, max_examples=25)


def one_vs_rest(truth, guess):
    """Recall, false-positive rate and F1 of each class against the rest, by scikit-learn."""
    found = {}
    for c, (tn, fp, fn, tp) in enumerate(
        matrix.ravel()
        for matrix in reference.multilabel_confusion_matrix(truth, guess, labels=range(len(LABELS)))
    ):
        found[f"recall:{LABELS[c]}"] = tp / (tp + fn)
        found[f"fpr:{LABELS[c]}"] = fp / (fp + tn)
        found[f"f1:{LABELS[c]}"] = 2 * tp / (2 * tp + fp + fn)
    return found


@varied
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_rates_are_those_of_scikit_learn(seed, seeds):
    truth, _, names = answers(3, 25, seed)
    guess = np.stack([answers(3, 25, seed + s)[1] for s in range(seeds)])
    tested = make_tested(truth, guess, names)
    found = rates(count_by(tested, np.zeros(75, int), 1)[0], LABELS)
    everything, all_guesses = np.tile(truth, seeds), guess.ravel()
    wanted = one_vs_rest(everything, all_guesses)
    wanted["ua"] = reference.balanced_accuracy_score(everything, all_guesses)
    wanted["wa"] = reference.accuracy_score(everything, all_guesses)
    wanted["macro_f1"] = reference.f1_score(everything, all_guesses, average="macro")
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value), name
    assert found.keys() == wanted.keys() | {"ece"}


def test_calibration_is_that_of_the_metrics():
    truth, guess, names = answers(4, 40, 1)
    confidence = np.random.default_rng(0).uniform(0.4, 1, len(truth))
    tested = make_tested(truth, guess, names, confidence)
    found = rates(count_by(tested, np.zeros(len(truth), int), 1)[0], LABELS)
    wanted = scores(tally(tested.predictions[0], tested.targets).sum(axis=0), 3)
    for name in WHOLE:
        assert found[name] == pytest.approx(wanted[name]), name


def test_cells_add_up_and_leave_out_who_is_in_none():
    truth, guess, names = answers(4, 20, 2)
    tested = make_tested(truth, guess, names)
    cells = np.where(names == "s03", -1, np.arange(80) % 2)
    apart = count_by(tested, cells, 2)
    together = count_by(tested, np.minimum(cells, 0), 1)
    assert apart.sum(axis=0) == pytest.approx(together[0])
    assert clips_of(together, 3).tolist() == [60]
    assert supports(apart, 3).sum(axis=0).tolist() == np.bincount(truth[names != "s03"]).tolist()


def test_tied_votes_are_not_scored():
    tested = make_tested([0, -1, 1], [0, 0, 1], ["s"] * 3)
    assert clips_of(count_by(tested, np.zeros(3, int), 1), 3).tolist() == [2]


def test_what_does_not_occur_has_no_rate_and_is_in_no_mean():
    tested = make_tested([0, 0, 0, 0], [0, 0, 1, 1], ["s"] * 4)
    found = rates(count_by(tested, np.zeros(4, int), 1)[0], LABELS)
    assert found["ua"] == found["recall:angry"] == 0.5
    assert np.isnan([found["recall:happy"], found["fpr:angry"], found["f1:sad"]]).all()
    assert found["fpr:happy"] == 0.5
    assert np.isnan(list(rates(np.zeros(24), LABELS).values())).all()


def test_fractions_are_the_rates_that_are_sums():
    tested = make_tested(*answers(5, 30, 3))
    tallies = count_by(tested, np.arange(150) // 30, 5)
    found, wanted = fractions(tallies, LABELS), rates(tallies.sum(axis=0), LABELS)
    for name, (numerator, denominator) in found.items():
        mean = (numerator.sum(axis=0) / denominator.sum(axis=0)).mean()
        assert mean == pytest.approx(wanted[name]), name
    assert set(compared_rates(tallies, LABELS)) == set(found) | {"macro_f1", "ece"}
    assert {family_of(name) for name in wanted} == {*WHOLE, *PER_CLASS}


def test_weights_of_speakers_are_their_shares_of_the_clips_that_a_rate_is_over():
    truth = np.repeat([0, 1, 0, 1, 1], (6, 2, 2, 4, 4))  # nobody is sad
    cells = np.repeat([0, 0, 1, 1, 2], (6, 2, 2, 4, 4))
    tallies = count_by(make_tested(truth, truth, cells.astype(str)), cells, 3)
    found = speaker_weights(tallies, LABELS)
    wanted = {"angry": [6 / 8, 2 / 8, 0], "happy": [2 / 10, 4 / 10, 4 / 10], "sad": [0, 0, 0]}
    for label, shares in wanted.items():
        assert found[f"recall:{label}"] == pytest.approx(shares)
    assert found["fpr:angry"] == pytest.approx(wanted["happy"])
    assert found["ece"] is found["wa"]
    assert found["wa"] == pytest.approx([8 / 18, 6 / 18, 4 / 18])
    means = np.mean([wanted["angry"], wanted["happy"]], axis=0)
    assert found["ua"] == pytest.approx(means)
    assert found["macro_f1"] == pytest.approx(means)
    assert found.keys() == compared_rates(tallies, LABELS).keys()
