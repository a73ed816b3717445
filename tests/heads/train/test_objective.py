"""What stacked models learn: each model's loss and score are of its own utterances alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from heads.concordance import ccc_loss
from heads.dimensional_metrics import dimensional_scores, dimensional_tally
from heads.losses import focal, kl
from heads.temperature import fit_temperature
from heads.train.objective import Classify, Regress

COUNT, MODELS = 40, 3
RNG = np.random.default_rng(0)
OWN = RNG.random((MODELS, COUNT)) < 0.5
VOTES = RNG.dirichlet([1, 1, 1], COUNT)
VALUES = RNG.normal(4, 1.5, (COUNT, 2))
VALUES[RNG.random(VALUES.shape) < 0.2] = np.nan


def classify(**changes):
    parts = {"targets": VOTES, "weights": RNG.random((MODELS, 3)) + 0.5, "loss": kl}
    return Classify(**parts | changes)


def regress(targets=VALUES):
    own = [targets[rows] for rows in OWN]
    return Regress(
        targets=targets,
        names=("valence", "arousal"),
        mean=np.array([np.nanmean(x, axis=0) for x in own]),
        deviation=np.array([np.nanstd(x, axis=0) for x in own]),
    )


COUNTS = RNG.random((MODELS, COUNT)) + 0.5
OBJECTIVES = {
    "classify": classify(),
    "weighted": classify(counts=COUNTS),
    "regress": regress(),
}
every = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)


def outputs_of(objective, seed=1):
    shape = (MODELS, COUNT, objective.targets.shape[1])
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).float()


@every
@pytest.mark.parametrize("foreign", [7.0, torch.inf, torch.nan])
def test_outputs_for_others_change_neither_losses_nor_gradients(objective, foreign):
    outputs = outputs_of(objective)
    own = torch.from_numpy(OWN)
    found = []
    for value in (0.0, foreign):
        held = torch.where(own[:, :, None], outputs, value).requires_grad_()
        losses, _ = objective.batch_loss("cpu")(held, np.arange(COUNT), own.float())
        (gradient,) = torch.autograd.grad(losses.sum(), held)
        found.append((losses.detach(), gradient))
        assert not gradient[~own].any()
        assert gradient[own].any()
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


@every
def test_validation_is_of_each_models_own_utterances(objective):
    """What others are given may be NaN; a model that gives none for its own has no score."""
    outputs = outputs_of(objective)
    plain = objective.validate(outputs, OWN)
    outputs[~torch.from_numpy(OWN)] = torch.nan
    again = objective.validate(outputs, OWN)
    np.testing.assert_allclose(plain, again, rtol=1e-12)
    assert np.isfinite(plain).all()
    outputs[1] = torch.nan
    loss, score = objective.validate(outputs, OWN)
    assert np.isnan(loss).tolist() == [False, True, False]
    assert np.isfinite(score[[0, 2]]).all()


@every
def test_some_models_learn_what_they_learn_among_all(objective):
    outputs = outputs_of(objective)
    rows = [2, 0]
    part = objective.at(rows)
    np.testing.assert_allclose(
        part.validate(outputs[rows], OWN[rows]),
        [values[rows] for values in objective.validate(outputs, OWN)],
        rtol=1e-6,
    )
    np.testing.assert_array_equal(
        part.predictions(outputs[rows]), objective.predictions(outputs)[rows]
    )


def test_unweighted_accuracy_is_that_of_scikit_learn():
    objective = classify()
    outputs = outputs_of(objective)
    truth = VOTES.argmax(axis=1)
    expected = [
        balanced_accuracy_score(truth[rows], guess[rows])
        for rows, guess in zip(OWN, outputs.argmax(-1).numpy(), strict=True)
    ]
    np.testing.assert_allclose(objective.validate(outputs, OWN)[1], expected)


def test_the_losses_of_a_batch_are_means_over_own_utterances():
    objective = classify(smoothing=0.2)
    outputs = outputs_of(objective)
    smoothed = torch.from_numpy(0.8 * VOTES + 0.2 / 3).float()
    weights = torch.from_numpy(objective.weights).float()
    losses = kl(outputs, smoothed, weights).numpy()
    found, counts = objective.batch_loss("cpu")(
        outputs, np.arange(COUNT), torch.from_numpy(OWN).float()
    )
    expected = [row[own].mean() for row, own in zip(losses, OWN, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert counts.tolist() == OWN.sum(axis=1).tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=12), st.integers(0, 1000))
def test_an_utterance_that_counts_twice_is_one_that_is_there_twice(times, seed):
    """The loss of a batch and its gradient, whatever the class weights and the targets."""
    rng = np.random.default_rng(seed)
    count = len(times)
    targets, seen = rng.dirichlet([1, 1, 1], count), rng.standard_normal((count, 4))
    class_weights = rng.random((1, 3)) + 0.5
    counts = np.array([times]) * count / sum(times)
    start = rng.standard_normal((4, 3))

    def learn(rows, counts):
        objective = Classify(targets=targets[rows], weights=class_weights, loss=focal,
                             counts=counts, smoothing=0.1)  # fmt: skip
        weights = torch.from_numpy(start).float().requires_grad_()
        outputs = (torch.from_numpy(seen[rows]).float() @ weights)[None]
        losses, _ = objective.batch_loss("cpu")(
            outputs, np.arange(len(rows)), torch.ones(1, len(rows))
        )
        return losses.detach(), *torch.autograd.grad(losses.sum(), weights)

    once = learn(np.arange(count), counts)
    torch.testing.assert_close(once, learn(np.repeat(np.arange(count), times), None),
                               rtol=1e-4, atol=1e-5)  # fmt: skip


def test_what_counts_for_all_alike_changes_no_bit():
    outputs, own = outputs_of(classify()), torch.from_numpy(OWN).float()
    plain = classify(weights=np.ones((MODELS, 3)))
    even = replace(plain, counts=np.ones((MODELS, COUNT)))
    found = [one.batch_loss("cpu")(outputs, np.arange(COUNT), own) for one in (plain, even)]
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_what_utterances_count_for_is_not_in_validation():
    objective = OBJECTIVES["weighted"]
    plain, outputs = replace(objective, counts=None), outputs_of(objective)
    np.testing.assert_array_equal(objective.validate(outputs, OWN), plain.validate(outputs, OWN))


def test_temperatures_are_those_of_the_logits_and_one_without_numbers():
    objective = classify()
    outputs = outputs_of(objective)
    outputs[1] = torch.nan
    found = objective.temperatures(objective.predictions(outputs), OWN)
    assert found[1] == 1
    for k in (0, 2):
        expected = fit_temperature(outputs[k][OWN[k]].double().numpy(), VOTES[OWN[k]])
        assert found[k] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("factor", "offset"), [(1e-3, 0.0), (250.0, -40.0), (1.0, 1e4)])
def test_the_annotators_scale_changes_nothing_but_the_scale(factor, offset):
    """Losses and scores are the same on every scale, and values come out on it."""
    plain, moved = regress(), regress(VALUES * factor + offset)
    outputs = outputs_of(plain)
    own = torch.from_numpy(OWN).float()
    losses = [one.batch_loss("cpu")(outputs, np.arange(COUNT), own)[0] for one in (plain, moved)]
    torch.testing.assert_close(*losses, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(
        plain.validate(outputs, OWN), moved.validate(outputs, OWN), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        plain.predictions(outputs) * factor + offset, moved.predictions(outputs), rtol=1e-9
    )


def test_concordance_is_of_values_on_the_annotators_scale():
    objective = regress()
    outputs = outputs_of(objective)
    predicted = objective.predictions(outputs)
    loss, score = objective.validate(outputs, OWN)
    for k, rows in enumerate(OWN):
        tally = dimensional_tally(predicted[k][rows], VALUES[rows]).sum(axis=0)
        expected = dimensional_scores(tally, objective.names)["ccc"]
        assert score[k] == pytest.approx(expected) == 1 - loss[k]
    batch, _ = objective.batch_loss("cpu")(outputs, np.arange(COUNT), torch.from_numpy(OWN).float())
    own = torch.from_numpy(predicted).float(), torch.from_numpy(VALUES).float()
    torch.testing.assert_close(batch, ccc_loss(*own, torch.from_numpy(OWN)))
    np.testing.assert_allclose(batch, loss, rtol=1e-5)


def test_a_dimension_that_validation_lacks_does_not_count_there():
    objective = regress()
    targets = VALUES.copy()
    first, *others = np.flatnonzero(OWN[0])
    targets[others, 1] = np.nan
    targets[first, 1] = 4.5  # one value is left: no concordance
    lacking = Regress(targets=targets, names=objective.names, mean=objective.mean,
                      deviation=objective.deviation)  # fmt: skip
    outputs = outputs_of(objective)
    rows = OWN[0]
    tally = dimensional_tally(lacking.predictions(outputs)[0][rows], targets[rows]).sum(axis=0)
    expected = dimensional_scores(tally, objective.names)["ccc_valence"]
    assert lacking.at([0]).validate(outputs[:1], OWN[:1])[1][0] == pytest.approx(expected)


@every
def test_a_batch_is_of_the_utterances_that_it_names(objective):
    """Some utterances in any order give what they give among all, the others nobody's own."""
    rows = np.random.default_rng(2).permutation(COUNT)[:25]
    outputs, own = outputs_of(objective), torch.from_numpy(OWN).float()
    loss = objective.batch_loss("cpu")
    whole = own.clone()
    whole[:, np.setdiff1d(np.arange(COUNT), rows)] = 0
    found = loss(outputs[:, rows], rows, own[:, rows])
    torch.testing.assert_close(found, loss(outputs, np.arange(COUNT), whole), rtol=1e-5, atol=1e-6)


@every
def test_a_model_without_an_own_utterance_has_no_loss_and_counts_for_nothing(objective):
    own = torch.from_numpy(OWN).float()
    own[1] = 0
    losses, counts = objective.batch_loss("cpu")(outputs_of(objective), np.arange(COUNT), own)
    assert losses[1] == 0 and counts[1] == 0
    assert (losses[[0, 2]] > 0).all()


def test_a_batch_without_two_values_has_no_concordance_and_counts_for_nothing():
    """Else its loss of 0 would make the mean of an epoch look better than it is."""
    objective, own = regress(), torch.zeros(MODELS, COUNT)
    known = np.flatnonzero(~np.isnan(VALUES).any(axis=1))
    own[0, known[:1]], own[1, known[:2]], own[2, known[:5]] = 1, 1, 1
    losses, counts = objective.batch_loss("cpu")(outputs_of(objective), np.arange(COUNT), own)
    assert losses[0] == 0 and (losses[1:] > 0).all()
    assert counts.tolist() == [0, 2, 5]


@every
def test_views_behind_the_utterances_are_in_no_validation(objective):
    outputs = outputs_of(objective)
    behind = replace(
        objective, targets=np.concatenate([objective.targets, objective.targets[::-1]])
    )
    np.testing.assert_array_equal(behind.validate(outputs, OWN), objective.validate(outputs, OWN))
    if isinstance(objective, Classify):
        predicted = objective.predictions(outputs)
        np.testing.assert_array_equal(
            behind.temperatures(predicted, OWN), objective.temperatures(predicted, OWN)
        )


def test_validation_looks_at_targets_as_they_are_and_at_classes_that_occur():
    plain, outputs = classify(), outputs_of(classify())
    smoothed = replace(plain, smoothing=0.5)
    np.testing.assert_array_equal(plain.validate(outputs, OWN), smoothed.validate(outputs, OWN))
    two = OWN & (VOTES.argmax(axis=1) != 2)  # no third class to be heard
    truth, guess = VOTES.argmax(axis=1), outputs.argmax(-1).numpy()
    expected = [
        np.mean([(guess[k][rows & (truth == c)] == c).mean() for c in (0, 1)])
        for k, rows in enumerate(two)
    ]
    np.testing.assert_allclose(plain.validate(outputs, two)[1], expected)


def test_a_constant_beside_itself_has_no_concordance_and_is_no_divergence():
    targets = np.full((COUNT, 1), 2.5)
    objective = Regress(targets=targets, names=("valence",), mean=np.full((1, 1), 2.5),
                        deviation=np.ones((1, 1)))  # fmt: skip
    loss, score = objective.validate(torch.zeros(1, COUNT, 1), OWN[:1])
    assert (loss[0], score[0]) == (1, 0)
    broken = torch.full((1, COUNT, 1), torch.inf)
    assert np.isnan(objective.validate(broken, OWN[:1])).all()
